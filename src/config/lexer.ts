/** From the text of a configuration file to the words of its statements, as `nginx.conf` is read. */

/** What ended a statement; "end": the text did, between two statements. */
export type Ending = ";" | "{" | "}" | "end";

/** A text to read, and how its faults are told. */
export interface Source {
  /** latin-1 text of the bytes. */
  readonly text: string;
  /** Said when the text ends within a statement. */
  readonly unfinished: string;
  /** Makes the error for a fault in a line, counted from 1. */
  readonly fail: (message: string, line: number) => Error;
}

const tab = 0x09;
const newline = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;
const doubleQuote = 0x22;
const sharp = 0x23;
const dollar = 0x24;
const singleQuote = 0x27;
const closingParenthesis = 0x29;
const semicolon = 0x3b;
const backslash = 0x5c;
const opening = 0x7b;
const closing = 0x7d;

/** Nginx reads files through a buffer of this size, and a word has to fit. It is how a forgotten quote is noticed where it is. */
const longestWord = 4096;

const isBlank = (code: number): boolean =>
  code === space || code === tab || code === newline || code === carriageReturn;

/** Reads one statement after the other: `next` says how it ended, `words` are its words, `line` is where it ended. */
export class Lexer {
  words: string[] = [];
  line = 1;
  #at = 0;
  readonly #source: Source;
  readonly #text: string;

  constructor(source: Source) {
    this.#source = source;
    this.#text = source.text;
    // UTF-8's byte order mark, which some editors write.
    if (this.#text.startsWith("\xef\xbb\xbf")) this.#at = 3;
  }

  /** Goes past the next statement's `;` or `{`, or a `}`. Throws what `fail` makes. */
  next(): Ending {
    this.words = [];
    for (;;) {
      const code = this.#toWord();
      if (Number.isNaN(code)) {
        if (this.words.length > 0) throw this.#fault(this.#source.unfinished);
        return "end";
      }
      if (code === semicolon || code === opening || code === closing) return this.#ending(code);
      if (code === doubleQuote || code === singleQuote) {
        this.#word(code);
        this.#afterQuote();
      } else this.#word(0);
    }
  }

  #ending(code: number): Ending {
    const ending = code === semicolon ? ";" : code === opening ? "{" : "}";
    // "}" stands alone, the others do not.
    if ((code === closing) !== (this.words.length === 0)) throw this.#fault(`unexpected "${ending}"`);
    this.#at++;
    return ending;
  }

  /** Past white space and comments; the character there, NaN at the end of the text. */
  #toWord(): number {
    const text = this.#text;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code === sharp) {
        const end = text.indexOf("\n", this.#at);
        this.#at = end < 0 ? text.length : end;
        continue;
      }
      if (!isBlank(code)) return code;
      if (code === newline) this.line++;
      this.#at++;
    }
  }

  /** A word up to its closing quote, or, with `quote` 0, up to what may follow a word. */
  #word(quote: number): void {
    const text = this.#text;
    const start = quote === 0 ? this.#at : this.#at + 1;
    const startLine = this.line;
    let hasEscapes = false;
    // In `${name}` the brace belongs to the word.
    let afterDollar = false;
    let at = start;
    for (; ; at++) {
      if (at >= text.length) throw this.#fault(this.#source.unfinished);
      if (at - start >= longestWord) throw this.#tooLong(start, startLine, quote);
      const code = text.charCodeAt(at);
      if (code === opening && afterDollar) continue;
      afterDollar = code === dollar;
      if (quote === 0 ? isBlank(code) || code === semicolon || code === opening : code === quote) break;
      if (code === backslash) {
        hasEscapes = true;
        at++;
        if (text.charCodeAt(at) === newline) this.line++;
      } else if (code === newline) this.line++;
    }
    const word = text.slice(start, at);
    this.words.push(hasEscapes ? unescapeWord(word) : word);
    this.#at = quote === 0 ? at : at + 1;
  }

  #tooLong(start: number, line: number, quote: number): Error {
    const { fail } = this.#source;
    if (quote === 0) return fail(`too long parameter "${this.#text.slice(start, start + 10)}..." started`, line);
    const character = String.fromCharCode(quote);
    return fail(`too long parameter, probably missing terminating "${character}" character`, line);
  }

  /** `")"` may follow a closing quote directly, as in `if ($a = "b")`: it begins a word of its own. */
  #afterQuote(): void {
    const code = this.#text.charCodeAt(this.#at);
    if (Number.isNaN(code)) throw this.#fault(this.#source.unfinished);
    if (isBlank(code) || code === semicolon || code === opening || code === closingParenthesis) return;
    throw this.#fault(`unexpected "${this.#text.charAt(this.#at)}"`);
  }

  #fault(message: string): Error {
    return this.#source.fail(message, this.line);
  }
}

const escapes: Record<string, string> = { t: "\t", r: "\r", n: "\n" };

/** `\"`, `\'`, `\\`, `\t`, `\r` and `\n`; every other backslash stays, so that regular expressions need no second one. */
function unescapeWord(word: string): string {
  return word.replace(/\\(["'\\trn])/g, (_, character: string) => escapes[character] ?? character);
}
