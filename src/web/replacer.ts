/** Looks for several texts in a stream of bytes and replaces them: what `sub_filter` does, without its configuration. */
import { asBuffer } from "../base/bytes.ts";

/** One text and what takes its place. */
export interface Replacement {
  /** Not empty. ASCII letters match in either case. */
  readonly match: string;
  /** Asked once, when it is first needed. */
  value(): string;
}

interface Found {
  readonly at: number;
  /** The number of the text. */
  readonly which: number;
}

// Those that vary with the request are worth remembering, too; bounded, since they may come from clients.
const maxRemembered = 256;
const remembered = new Map<string, RegExp>();

/** Texts to look for, in the order in which they count where several begin at one place. */
export class Matcher {
  readonly texts: readonly string[];
  readonly longest: number;
  readonly #regex: RegExp;

  constructor(texts: readonly string[]) {
    this.texts = texts.map(lowerCase);
    this.longest = Math.max(...this.texts.map((text) => text.length));
    this.#regex = regexOf(this.texts);
  }

  /** The first match at or behind `from`; undefined: none. */
  find(text: string, from: number): Found | undefined {
    this.#regex.lastIndex = from;
    const found = this.#regex.exec(text);
    if (found === null) return undefined;
    return { at: found.index, which: found.indexOf(found[0], 1) - 1 };
  }

  /**
   * The first place at or behind `from` where the end of `text` may be the beginning of a match that counts more than `found`.
   * undefined: there is none.
   */
  partial(text: string, from: number, found: Found | undefined): number | undefined {
    const { at: to, which: than } = found ?? { at: text.length, which: 0 };
    const start = Math.max(from, text.length - this.longest + 1);
    if (start > to) return undefined;
    const tail = lowerCase(text.slice(start));
    for (let at = start; at <= to && at < text.length; at++) {
      const rest = tail.slice(at - start);
      const most = at === to ? than : this.texts.length;
      for (let i = 0; i < most; i++) {
        const candidate = this.texts[i] ?? "";
        if (candidate.length > rest.length && candidate.startsWith(rest)) return at;
      }
    }
    return undefined;
  }
}

function regexOf(texts: readonly string[]): RegExp {
  const source = texts.map((text) => `(${[...text].map(pattern).join("")})`).join("|");
  const known = remembered.get(source);
  if (known !== undefined) return known;
  const made = new RegExp(source, "g");
  if (remembered.size < maxRemembered) remembered.set(source, made);
  return made;
}

// The engine's own flag would know more letters than ASCII's.
function pattern(char: string): string {
  if (/[a-z]/.test(char)) return `[${char}${char.toUpperCase()}]`;
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

const lowerCase = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** Replaces in one body. Keeps no more of it than the longest text may still need. */
export class Replacer {
  readonly #once: boolean;
  #left: readonly Replacement[];
  #matcher: Matcher | undefined;
  readonly #values = new Map<Replacement, string>();
  #held = "";

  /** `once`: each of them only the first time. `matcher`: of just these, if it is there already. */
  constructor(replacements: readonly Replacement[], once: boolean, matcher?: Matcher) {
    this.#once = once;
    this.#left = replacements;
    this.#matcher = matcher ?? matcherOf(replacements);
  }

  /** What may go on after this piece. `last`: no other follows. */
  change(bytes: Uint8Array, last: boolean): Uint8Array {
    if (this.#matcher === undefined) return bytes;
    const piece = asBuffer(bytes).latin1Slice(0, bytes.length);
    const text = this.#held + piece;
    const wasHeld = this.#held !== "";
    this.#held = "";
    const out = this.#replace(text, last);
    // Nothing was found, and nothing held back: the very bytes.
    if (!wasHeld && out === undefined && this.#held === "") return bytes;
    return Buffer.from(out ?? text.slice(0, text.length - this.#held.length), "latin1");
  }

  /** undefined: no match in it. */
  #replace(text: string, last: boolean): string | undefined {
    let out: string | undefined;
    let from = 0;
    for (let matcher = this.#matcher; ; matcher = this.#matcher) {
      const found = matcher?.find(text, from);
      const partial = last || matcher === undefined ? undefined : matcher.partial(text, from, found);
      if (partial !== undefined) {
        this.#held = text.slice(partial);
        return out === undefined ? undefined : out + text.slice(from, partial);
      }
      const replacement = found && this.#left[found.which];
      if (found === undefined || replacement === undefined)
        return out === undefined ? undefined : out + text.slice(from);
      out = (out ?? "") + text.slice(from, found.at) + this.#valueOf(replacement);
      from = found.at + replacement.match.length;
      if (this.#once) this.#forget(replacement);
    }
  }

  #valueOf(replacement: Replacement): string {
    const known = this.#values.get(replacement);
    if (known !== undefined) return known;
    const value = replacement.value();
    this.#values.set(replacement, value);
    return value;
  }

  #forget(done: Replacement): void {
    this.#left = this.#left.filter((each) => each !== done);
    this.#matcher = matcherOf(this.#left);
  }
}

const matcherOf = (replacements: readonly Replacement[]): Matcher | undefined =>
  replacements.length === 0 ? undefined : new Matcher(replacements.map(({ match }) => match));
