/** Cuts a page, which comes in pieces, into text and commands. */
import { asBuffer } from "../../base/bytes.ts";
import { type Command, CommandReader } from "./command_reader.ts";

/** Text is a view into the piece that was fed. */
export type Found =
  | { readonly kind: "text"; readonly bytes: Uint8Array }
  | { readonly kind: "command"; readonly command: Command }
  | { readonly kind: "fault" };

const opening = "<!--#";
const fault: Found = { kind: "fault" };

export class Scanner {
  readonly #maxValueLength: number;
  readonly #log: (message: string) => void;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #isLast = false;
  /** How much of an opening the last piece ended with. */
  #held = 0;
  /** The command that is being read. */
  #reader: CommandReader | undefined;

  /** `maxValueLength`: of a parameter's value. `log` is told what is wrong with a command. */
  constructor(maxValueLength: number, log: (message: string) => void) {
    this.#maxValueLength = maxValueLength;
    this.#log = log;
  }

  /** The next piece, when `next` has nothing more. */
  feed(bytes: Uint8Array, last: boolean): void {
    this.#bytes =
      this.#held === 0 ? asBuffer(bytes) : Buffer.concat([Buffer.from(opening.slice(0, this.#held)), bytes]);
    this.#held = 0;
    this.#at = 0;
    this.#isLast = last;
  }

  /** undefined: the piece has no more. An unfinished command at the very end is nothing. */
  next(): Found | undefined {
    if (this.#at === this.#bytes.length) return undefined;
    if (this.#reader !== undefined) return this.#command(this.#reader);
    const from = this.#at;
    const found = this.#bytes.indexOf(opening, from, "latin1");
    if (found >= 0) {
      this.#at = found + opening.length;
      this.#reader = new CommandReader(this.#maxValueLength, this.#log);
      return found > from ? this.#text(from, found) : this.next();
    }
    if (!this.#isLast) this.#held = heldBack(this.#bytes, from);
    this.#at = this.#bytes.length;
    const end = this.#at - this.#held;
    return end > from ? this.#text(from, end) : undefined;
  }

  #text(from: number, to: number): Found {
    return { kind: "text", bytes: this.#bytes.subarray(from, to) };
  }

  #command(reader: CommandReader): Found | undefined {
    while (this.#at < this.#bytes.length) {
      const read = reader.read(String.fromCharCode(this.#bytes[this.#at++]!));
      if (read === "more") continue;
      this.#reader = undefined;
      return read === "fault" ? fault : { kind: "command", command: read };
    }
    return undefined;
  }
}

/** How many of the last bytes are the beginning of an opening. */
function heldBack(bytes: Buffer, from: number): number {
  for (let length = Math.min(opening.length - 1, bytes.length - from); length > 0; length--) {
    if (bytes.latin1Slice(bytes.length - length, bytes.length) === opening.slice(0, length)) return length;
  }
  return 0;
}
