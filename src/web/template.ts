/** Strings with variables: `"$scheme://${host}$request_uri"`. Cut up once, joined per request. */
import { ConfigError, type Place } from "../config/statement.ts";
import type { Exchange } from "./exchange.ts";
import type { Variables } from "./variables.ts";

type Part = string | { readonly variable: string } | { readonly capture: number };
type Get = (exchange: Exchange) => string | undefined;

/** What variables' values pass through on their way into a string (escapes). */
export interface ValueChange {
  /** Makes what one place in the string needs. */
  any(): (value: string | undefined) => string;
  /** For variables that are always plain. */
  plain(value: string | undefined): string;
}

export class Template {
  /** As it was written. */
  readonly text: string;
  readonly at: Place;
  /** Its value, if that is always the same. */
  readonly constant: string | undefined;
  readonly #parts: readonly Part[];
  #change: ValueChange | undefined;
  /** Its value for a request: "" for variables without a value. */
  value: (exchange: Exchange) => string;

  /** Throws ConfigError for a `$` without a name. */
  constructor(text: string, at: Place) {
    this.text = text;
    this.at = at;
    this.#parts = split(text, at);
    const [first] = this.#parts;
    this.constant =
      first === undefined ? "" : this.#parts.length === 1 && typeof first === "string" ? first : undefined;
    const { constant } = this;
    this.value =
      constant === undefined
        ? () => {
            throw new Error(`"${text}" is used before its variables are known`);
          }
        : () => constant;
  }

  /** The values of its variables pass through `change`. Call it before `resolve`. */
  mapValues(change: ValueChange): void {
    this.#change = change;
  }

  /** Does it use the last regular expression's captures? */
  get usesCaptures(): boolean {
    return this.#parts.some((part) => typeof part === "object" && "capture" in part);
  }

  /** Finds its variables. Throws ConfigError for an unknown one. */
  resolve(variables: Variables): void {
    if (this.constant !== undefined) return;
    this.value = joined(
      this.#parts.map((part) => {
        if (typeof part === "string") return part;
        const get = this.#getter(part, variables);
        const change = this.#change;
        if (change === undefined) return get;
        const isPlain = "variable" in part && variables.isPlain(part.variable);
        const through = isPlain ? change.plain : change.any();
        return (exchange) => through(get(exchange));
      }),
    );
  }

  #getter(part: Exclude<Part, string>, variables: Variables): Get {
    if ("capture" in part) return (exchange) => exchange.captures?.[part.capture];
    return variables.reader(part.variable, this.at);
  }
}

// The usual shapes without a loop: one variable; text and a variable.
function joined(parts: readonly (string | Get)[]): (exchange: Exchange) => string {
  const [a, b] = parts;
  if (parts.length === 1 && typeof a === "function") return (exchange) => a(exchange) ?? "";
  if (parts.length === 2 && typeof a === "string" && typeof b === "function")
    return (exchange) => a + (b(exchange) ?? "");
  return inPairs(parts);
}

/** A long string is text and a variable, several times. One joining for both halves the number of strings that are made. */
function inPairs(parts: readonly (string | Get)[]): (exchange: Exchange) => string {
  const before: string[] = [];
  const gets: Get[] = [];
  let plain = "";
  for (const part of parts) {
    if (typeof part === "string") plain += part;
    else {
      before.push(plain);
      gets.push(part);
      plain = "";
    }
  }
  const after = plain;
  return (exchange) => {
    let text = "";
    for (let i = 0; i < gets.length; i++) text = text + before[i] + (gets[i]!(exchange) ?? "");
    return text + after;
  };
}

function split(text: string, at: Place): Part[] {
  const parts: Part[] = [];
  let plain = "";
  for (let i = 0; i < text.length; ) {
    if (text[i] !== "$") {
      plain += text[i++];
      continue;
    }
    const found = /^\$(?:(\d)|\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))/.exec(text.slice(i));
    if (found === null) throw malformed(text.slice(i), at);
    if (plain !== "") parts.push(plain);
    plain = "";
    const [whole, digit, braced, bare] = found;
    const name = digit ?? braced ?? bare ?? "";
    parts.push(/^\d$/.test(name) ? { capture: Number(name) } : { variable: name });
    i += whole.length;
  }
  if (plain !== "") parts.push(plain);
  return parts;
}

function malformed(rest: string, at: Place): ConfigError {
  if (rest.startsWith("${") && rest.length > 2 && rest[2] !== "}")
    return new ConfigError(
      `the closing bracket in "${/^\$\{[A-Za-z0-9_]*/.exec(rest)?.[0].slice(2)}" variable is missing`,
      at,
    );
  return new ConfigError("invalid variable name", at);
}
