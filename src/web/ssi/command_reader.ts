/** Reads what stands between `<!--#` and `-->`, byte by byte, as Nginx does. */

/** A command as it was written; values with their escapes. */
export interface Command {
  readonly name: string;
  readonly params: readonly Param[];
}

export interface Param {
  readonly name: string;
  readonly value: string;
}

const maxNameLength = 32;
/** One more than a command may have: too many are an error, but need no more memory. */
const maxKeptParams = 17;

type State =
  | "before command"
  | "command"
  | "before parameter"
  | "parameter"
  | "before equal"
  | "before value"
  | "value"
  | "escaped"
  | "after value"
  | "end"
  | "last end"
  | "fault"
  | "fault end"
  | "fault last end";

const isSpace = (char: string): boolean => char === " " || char === "\r" || char === "\n" || char === "\t";

export class CommandReader {
  readonly #maxValueLength: number;
  readonly #log: (message: string) => void;
  #state: State = "before command";
  #command = "";
  #params: Param[] = [];
  #name = "";
  #value = "";
  #quote = "";

  /** `log` is told what is wrong. */
  constructor(maxValueLength: number, log: (message: string) => void) {
    this.#maxValueLength = maxValueLength;
    this.#log = log;
  }

  /** "more": it goes on. "fault": it is over, and no command. */
  read(char: string): Command | "more" | "fault" {
    switch (this.#state) {
      case "last end":
        if (char === ">") return { name: this.#command, params: this.#params };
        this.#unexpected(char, "");
        break;
      case "fault last end":
        if (char === ">") return "fault";
        this.#state = "fault";
        break;
      default:
        this.#step(char);
    }
    return "more";
  }

  #step(char: string): void {
    switch (this.#state) {
      case "before command":
        if (!isSpace(char)) this.#begin(char);
        return;
      case "command":
        this.#inCommand(char);
        return;
      case "before parameter":
        this.#beforeParam(char);
        return;
      case "parameter":
        this.#inParam(char);
        return;
      case "before equal":
        if (char === "=") this.#state = "before value";
        else if (!isSpace(char)) this.#unexpected(char, ` after "${this.#name}" parameter`);
        return;
      case "before value":
        this.#beforeValue(char);
        return;
      case "value":
      case "escaped":
        this.#inValue(char);
        return;
      case "after value":
        this.#afterValue(char);
        return;
      case "end":
        if (char === "-") this.#state = "last end";
        else this.#unexpected(char, "");
        return;
      case "fault":
        if (char === "-") this.#state = "fault end";
        return;
      default:
        this.#state = char === "-" ? "fault last end" : "fault";
    }
  }

  #begin(char: string): void {
    this.#command = char;
    this.#params = [];
    this.#state = "command";
  }

  #inCommand(char: string): void {
    if (isSpace(char)) this.#state = "before parameter";
    else if (char === "-") this.#state = "end";
    else if (this.#command.length < maxNameLength) this.#command += char;
    else this.#fault(`the "${this.#command}${char}..." SSI command is too long`);
  }

  #beforeParam(char: string): void {
    if (isSpace(char)) return;
    if (char === "-") {
      this.#state = "end";
      return;
    }
    this.#name = char;
    this.#value = "";
    this.#state = "parameter";
  }

  #inParam(char: string): void {
    if (isSpace(char)) this.#state = "before equal";
    else if (char === "=") this.#state = "before value";
    else if (char === "-") this.#unexpected(char, ` after "${this.#name}" parameter`);
    else if (this.#name.length < maxNameLength) this.#name += char;
    else this.#fault(`too long "${this.#name}${char}..." parameter in "${this.#command}" SSI command`);
  }

  #beforeValue(char: string): void {
    if (char === '"' || char === "'") {
      this.#quote = char;
      this.#state = "value";
    } else if (!isSpace(char)) this.#unexpected(char, ` before value of "${this.#name}" parameter`);
  }

  #inValue(char: string): void {
    const wasEscaped = this.#state === "escaped";
    this.#state = "value";
    if (!wasEscaped && char === this.#quote) {
      if (this.#params.length < maxKeptParams) this.#params.push({ name: this.#name, value: this.#value });
      this.#state = "after value";
      return;
    }
    if (!wasEscaped && char === "\\") this.#state = "escaped";
    if (this.#value.length < this.#maxValueLength) this.#value += char;
    else
      this.#fault(
        `too long "${this.#value}${char}..." value of "${this.#name}" parameter in "${this.#command}" SSI command`,
      );
  }

  #afterValue(char: string): void {
    if (isSpace(char)) this.#state = "before parameter";
    else if (char === "-") this.#state = "end";
    else
      this.#fault(
        `unexpected "${char}" symbol after "${this.#value}" value of "${this.#name}" parameter in "${this.#command}" SSI command`,
      );
  }

  #unexpected(char: string, where: string): void {
    // A hyphen where none may be could begin the end, unless it is the end that is wrong.
    const mayEnd = char === "-" && where !== "";
    this.#fault(`unexpected "${char}" symbol${where} in "${this.#command}" SSI command`);
    if (mayEnd) this.#state = "fault end";
  }

  #fault(message: string): void {
    this.#log(message);
    this.#state = "fault";
  }
}
