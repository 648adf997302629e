/** What all parts of a PCRE2 pattern are read with: the position, faults, and the escapes that mean one byte. */

/** The pattern cannot be: why, and where PCRE2 points. */
export class PatternFault extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

export class PatternReader {
  readonly pattern: string;
  at = 0;

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  isAtEnd(): boolean {
    return this.at >= this.pattern.length;
  }

  /** The next character, "" at the end. */
  peek(): string {
    return this.pattern.charAt(this.at);
  }

  take(): string {
    return this.pattern.charAt(this.at++);
  }

  /** Goes past `text` if it stands here. */
  accept(text: string): boolean {
    if (!this.pattern.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  /** Goes past what the sticky expression finds here; its groups, undefined: nothing found. */
  match(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.at;
    const found = expression.exec(this.pattern);
    if (found === null) return undefined;
    this.at = expression.lastIndex;
    return found;
  }

  fault(message: string, offset = this.at): PatternFault {
    return new PatternFault(message, Math.min(offset, this.pattern.length));
  }
}

const control: Record<string, number> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 };

/**
 * The byte that an escape stands for, read from behind its backslash: pcre2pattern(3), Non-printing characters. undefined:
 * it stands for something else, and nothing was read.
 */
export function byteEscape(reader: PatternReader): number | undefined {
  if (reader.isAtEnd()) throw reader.fault("\\ at end of pattern");
  const letter = reader.peek();
  if (!/[0-9A-Za-z]/.test(letter)) return reader.take().charCodeAt(0);
  const byte = control[letter];
  if (byte !== undefined) {
    reader.at++;
    return byte;
  }
  if (letter === "0") return octal(reader);
  if (letter === "x") return hexadecimal(reader);
  if (letter === "o") return bracedOctal(reader);
  if (letter === "c") return controlCharacter(reader);
  return undefined;
}

/** Up to three octal digits. */
export function octal(reader: PatternReader): number {
  const byte = Number.parseInt(reader.match(/[0-7]{1,3}/y)?.[0] ?? "0", 8);
  if (byte > 0xff) throw reader.fault("octal value is greater than \\377 in 8-bit non-UTF-8 mode");
  return byte;
}

function hexadecimal(reader: PatternReader): number {
  reader.at++;
  const braced = reader.match(/\{([0-9A-Fa-f]+)\}/y);
  if (braced !== undefined) return codePoint(reader, Number.parseInt(braced[1] ?? "", 16));
  if (reader.peek() === "{") {
    reader.match(/\{[0-9A-Fa-f]*/y);
    throw reader.fault("non-hex character in \\x{} (closing brace missing?)");
  }
  return Number.parseInt(reader.match(/[0-9A-Fa-f]{1,2}/y)?.[0] ?? "0", 16);
}

function bracedOctal(reader: PatternReader): number {
  reader.at++;
  if (reader.peek() !== "{") throw reader.fault("missing opening brace after \\o");
  const braced = reader.match(/\{([0-7]+)\}/y);
  if (braced === undefined) {
    reader.match(/\{[0-7]*/y);
    throw reader.fault("non-octal character in \\o{} (closing brace missing?)");
  }
  return codePoint(reader, Number.parseInt(braced[1] ?? "", 8));
}

function codePoint(reader: PatternReader, value: number): number {
  if (value > 0xff) throw reader.fault("character code point value in \\x{} or \\o{} is too large", reader.at - 1);
  return value;
}

function controlCharacter(reader: PatternReader): number {
  reader.at++;
  if (reader.isAtEnd()) throw reader.fault("\\c at end of pattern");
  const code = reader.take().toUpperCase().charCodeAt(0);
  if (code < 0x20 || code > 0x7e)
    throw reader.fault("\\c must be followed by a printable ASCII character", reader.at - 1);
  return code ^ 0x40;
}

/** `\p{Name}`, `\pL`, `\p{^Name}`, from behind the backslash: the name, and whether it is what must not be. */
export function propertyName(reader: PatternReader): { name: string; isNegated: boolean } {
  const isCapital = reader.take() === "P";
  const found = reader.match(/(?:\{\s*(\^?)\s*([\w &=:-]*?)\s*\}|([A-Za-z]))/y);
  if (found === undefined) throw reader.fault("malformed \\P or \\p sequence");
  const [, not = "", braced, single] = found;
  return { name: braced ?? single ?? "", isNegated: isCapital !== (not === "^") };
}
