/** Character classes: `[…]` of PCRE2 as the set of their bytes. */
import {
  addRange,
  addSet,
  type ByteSet,
  emptySet,
  inverted,
  posixClass,
  propertyClass,
  setOf,
  typeClass,
} from "./regex_bytes.ts";
import { byteEscape, octal, type PatternReader, propertyName } from "./regex_reader.ts";

/** How a class is read. */
export interface ClassFlags {
  readonly caseless: boolean;
  /** `(?xx)`: spaces and tabs in it mean nothing. */
  readonly extendedMore: boolean;
}

/** Something in a class: a byte, a set, or nothing (`\E`). */
type Item = number | ByteSet | undefined;

/** Reads a class from behind its `[`. */
export function readClass(reader: PatternReader, flags: ClassFlags): ByteSet {
  const isNegated = reader.accept("^");
  const set = new ClassReader(reader, flags).read();
  return isNegated ? inverted(set) : set;
}

class ClassReader {
  readonly #reader: PatternReader;
  readonly #flags: ClassFlags;
  readonly #set = emptySet();
  #isQuoting = false;

  constructor(reader: PatternReader, flags: ClassFlags) {
    this.#reader = reader;
    this.#flags = flags;
  }

  read(): ByteSet {
    const reader = this.#reader;
    // A "]" at the start stands for itself.
    for (let isFirst = true; ; ) {
      if (reader.isAtEnd()) throw reader.fault("missing terminating ] for character class");
      if (!this.#isQuoting && !isFirst && reader.accept("]")) return this.#set;
      const first = this.#item();
      if (first === undefined) continue;
      isFirst = false;
      if (typeof first !== "number") {
        addSet(this.#set, first);
        if (this.#isRange()) throw reader.fault("invalid range in character class");
      } else this.#add(first, this.#isRange() ? this.#rangeEnd() : first);
    }
  }

  #add(first: number, last: number): void {
    if (last < first) throw this.#reader.fault("range out of order in character class", this.#reader.at - 1);
    addRange(this.#set, [first, last], this.#flags.caseless);
  }

  /** Does a hyphen follow that is no item itself? At the end of the class it is one. */
  #isRange(): boolean {
    if (this.#isQuoting) return false;
    this.#skip();
    const { pattern, at } = this.#reader;
    return pattern[at] === "-" && at + 1 < pattern.length && pattern[at + 1] !== "]";
  }

  #rangeEnd(): number {
    this.#reader.at++;
    this.#skip();
    let last = this.#item();
    while (last === undefined && !this.#reader.isAtEnd()) last = this.#item();
    if (typeof last === "number") return last;
    throw this.#reader.fault("invalid range in character class");
  }

  #skip(): void {
    if (this.#flags.extendedMore && !this.#isQuoting) this.#reader.match(/[ \t]*/y);
  }

  #item(): Item {
    const reader = this.#reader;
    this.#skip();
    if (reader.accept("\\E")) {
      this.#isQuoting = false;
      return undefined;
    }
    if (this.#isQuoting) return reader.take().charCodeAt(0);
    if (reader.accept("\\Q")) {
      this.#isQuoting = true;
      return undefined;
    }
    if (reader.accept("\\")) return this.#escape();
    return this.#posix() ?? reader.take().charCodeAt(0);
  }

  #posix(): ByteSet | undefined {
    const reader = this.#reader;
    const start = reader.at;
    const found = reader.match(/\[([:.=])(\^?)([^\][\\:]*)\1\]/y);
    if (found === undefined) return undefined;
    const [, kind, not, name = ""] = found;
    if (kind !== ":") throw reader.fault("POSIX collating elements are not supported", start);
    const set = posixClass(name, this.#flags.caseless);
    if (set === undefined) throw reader.fault("unknown POSIX class name", start + 2 + (not ?? "").length);
    return not === "^" ? inverted(set) : set;
  }

  #escape(): Item {
    const reader = this.#reader;
    const byte = byteEscape(reader);
    if (byte !== undefined) return byte;
    const letter = reader.peek();
    if (/[1-7]/.test(letter)) return octal(reader);
    if (letter === "p" || letter === "P") return readProperty(reader);
    reader.at++;
    if (letter === "b") return 8;
    if (letter === "8" || letter === "9") return letter.charCodeAt(0);
    if (letter === "N") throw reader.fault("\\N is not supported in a class");
    if (/[ABCGKRXZkz]/.test(letter)) throw reader.fault("escape sequence is invalid in character class", reader.at - 1);
    const set = typeClass(letter);
    if (set === undefined) throw reader.fault("unrecognized character follows \\", reader.at - 1);
    return set;
  }
}

/** `\p{…}` and `\P{…}`, from behind the backslash. */
export function readProperty(reader: PatternReader): ByteSet {
  const { name, isNegated } = propertyName(reader);
  const set = propertyClass(name);
  if (set === undefined) throw reader.fault("unknown property after \\P or \\p");
  return isNegated ? inverted(set) : set;
}

/** The class of one byte that stands for itself. */
export function byteClass(byte: number, caseless: boolean): ByteSet {
  const set = emptySet();
  addRange(set, [byte, byte], caseless);
  return set;
}

/** `.`: all but the newline, with `(?s)` all. */
export const dotClass = (dotAll: boolean): ByteSet => setOf((byte) => dotAll || byte !== 0x0a);
