/** Sets of bytes, which every character class comes down to: what PCRE2 means by a name, and how JavaScript writes it. */

/** `set[byte]` is 1: the byte belongs to it. */
export type ByteSet = Uint8Array;

export const emptySet = (): ByteSet => new Uint8Array(256);

export function setOf(belongs: (byte: number) => boolean): ByteSet {
  return emptySet().map((_, byte) => (belongs(byte) ? 1 : 0));
}

export const inverted = (set: ByteSet): ByteSet => set.map((is) => 1 - is);

export function addSet(to: ByteSet, set: ByteSet): void {
  for (let byte = 0; byte < 256; byte++) if (set[byte] === 1) to[byte] = 1;
}

const isLetter = (byte: number): boolean => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;

/** The bytes of the range; with `caseless` in both cases. Only ASCII has cases, as in PCRE2 without UTF and locale. */
export function addRange(to: ByteSet, range: readonly [number, number], caseless: boolean): void {
  for (let byte = range[0]; byte <= range[1]; byte++) {
    to[byte] = 1;
    if (caseless && isLetter(byte)) to[byte ^ 0x20] = 1;
  }
}

const like = (pattern: RegExp): ByteSet => setOf((byte) => pattern.test(String.fromCharCode(byte)));

/** pcre2pattern(3), POSIX CHARACTER CLASSES; ASCII only. */
const posix: Record<string, ByteSet> = {
  alpha: like(/[A-Za-z]/),
  lower: like(/[a-z]/),
  upper: like(/[A-Z]/),
  alnum: like(/[0-9A-Za-z]/),
  ascii: like(/[\0-\x7f]/),
  blank: like(/[ \t]/),
  cntrl: like(/[\0-\x1f\x7f]/),
  digit: like(/[0-9]/),
  graph: like(/[!-~]/),
  print: like(/[ -~]/),
  punct: like(/[!-/:-@[-`{-~]/),
  space: like(/[\t-\r ]/),
  word: like(/[0-9A-Z_a-z]/),
  xdigit: like(/[0-9A-Fa-f]/),
};

/** The class in `[[:name:]]`. undefined: there is none of that name. */
export function posixClass(name: string, caseless: boolean): ByteSet | undefined {
  // Without regard to case, a lower-case letter is any letter.
  return posix[caseless && /^(?:lower|upper)$/.test(name) ? "alpha" : name];
}

const types: Record<string, ByteSet> = {
  d: like(/[0-9]/),
  w: like(/[0-9A-Z_a-z]/),
  // JavaScript's has the no-break space too, PCRE2's has not.
  s: like(/[\t-\r ]/),
  h: like(/[\t \xa0]/),
  v: like(/[\n-\r\x85]/),
  n: like(/[\n]/),
};

/** The class that `\d`, `\D`, `\w`, … stand for: pcre2pattern(3), Generic character types. undefined: none. */
export function typeClass(letter: string): ByteSet | undefined {
  // "\n" is the newline itself; "\N" all but it.
  if (letter === "n") return undefined;
  const set = types[letter.toLowerCase()];
  return set === undefined || letter === letter.toLowerCase() ? set : inverted(set);
}

/** Properties that are PCRE2's own, in Unicode's words. */
const ownProperties: Record<string, string> = {
  Any: "[^]",
  "L&": "\\p{LC}",
  Xan: "[\\p{L}\\p{N}]",
  Xwd: "[\\p{L}\\p{N}\\p{Mn}\\p{Pc}_]",
  Xsp: "[\\s\\x85]",
  Xps: "[\\s\\x85]",
};

/** The bytes that have a Unicode property as characters of Latin-1: `\p{name}`. undefined: no such property. */
export function propertyClass(name: string): ByteSet | undefined {
  for (const source of [ownProperties[name], `\\p{${name}}`, `\\p{Script=${name}}`]) {
    if (source === undefined) continue;
    try {
      return like(new RegExp(source, "u"));
    } catch {
      // Not this kind of property.
    }
  }
  return undefined;
}

/** The byte as it stands for itself, outside and inside of brackets. */
export function escapeByte(byte: number): string {
  const character = String.fromCharCode(byte);
  if (/[0-9A-Za-z_/%&=,:;@~<>!"'` #]/.test(character)) return character;
  if (byte > 0x20 && byte < 0x7f) return `\\${character}`;
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** A JavaScript expression for one byte of the set. */
export function classText(set: ByteSet): string {
  const own = ranges(set);
  const others = ranges(inverted(set));
  // Text is of bytes: what a negated class says beyond them does not matter.
  return own.length <= others.length ? positive(own) : `[^${others.map(rangeText).join("")}]`;
}

function positive(own: readonly [number, number][]): string {
  const [first] = own;
  if (own.length === 1 && first !== undefined && first[0] === first[1]) return escapeByte(first[0]);
  return `[${own.map(rangeText).join("")}]`;
}

function rangeText([first, last]: readonly [number, number]): string {
  if (first === last) return escapeByte(first);
  return `${escapeByte(first)}${last === first + 1 ? "" : "-"}${escapeByte(last)}`;
}

function ranges(set: ByteSet): [number, number][] {
  const found: [number, number][] = [];
  for (let byte = 0; byte < 256; byte++) {
    if (set[byte] !== 1) continue;
    const last = found.at(-1);
    if (last !== undefined && last[1] === byte - 1) last[1] = byte;
    else found.push([byte, byte]);
  }
  return found;
}
