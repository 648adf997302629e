/** Recoding between character sets by tables (`charset_map`): single bytes, or single bytes and UTF-8. */

/** What is put where a character has no counterpart. */
const unknown = 0x3f; // "?"

/** Both directions between two character sets. */
export interface CharsetMap {
  /** In lower case. */
  readonly from: string;
  readonly to: string;
  /** A new recoder for one body: `from` → `to`. */
  forth(): Recoder;
  back(): Recoder;
}

export interface Recoder {
  /** The content's length stays what it is; every byte is recoded by itself. */
  readonly keepsLength: boolean;
  recode(bytes: Uint8Array, last: boolean): Uint8Array;
}

/** Between two single-byte sets. `pairs`: byte of the one, byte of the other; ASCII is itself where nothing is said. */
export function byteMap(from: string, to: string, pairs: readonly (readonly [number, number])[]): CharsetMap {
  const forth = asciiTable();
  const back = asciiTable();
  for (const [a, b] of pairs) {
    forth[a] = b;
    back[b] = a;
  }
  return { from, to, forth: () => new ByteRecoder(forth), back: () => new ByteRecoder(back) };
}

function asciiTable(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => (i < 128 ? i : unknown));
}

class ByteRecoder implements Recoder {
  readonly keepsLength = true;
  readonly #table: Uint8Array;

  constructor(table: Uint8Array) {
    this.#table = table;
  }

  recode(bytes: Uint8Array): Uint8Array {
    const table = this.#table;
    const out = new Uint8Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) out[i] = table[bytes[i]!]!;
    return out;
  }
}

/** Between a single-byte set and UTF-8. `pairs`: byte, the character's bytes in UTF-8 (two or three). */
export function utf8Map(from: string, pairs: readonly (readonly [number, Uint8Array])[]): CharsetMap {
  const forth: Uint8Array[] = Array.from({ length: 256 }, (_, i) => Uint8Array.of(i < 128 ? i : unknown));
  const back = new Uint8Array(0x10000);
  for (let i = 0; i < 128; i++) back[i] = i;
  for (const [byte, utf8] of pairs) {
    forth[byte] = utf8;
    back[decode(utf8, 0)] = byte;
  }
  return { from, to: "utf-8", forth: () => new ToUtf8(forth), back: () => new FromUtf8(back) };
}

class ToUtf8 implements Recoder {
  readonly keepsLength = false;
  readonly #table: readonly Uint8Array[];

  constructor(table: readonly Uint8Array[]) {
    this.#table = table;
  }

  recode(bytes: Uint8Array): Uint8Array {
    const table = this.#table;
    let length = 0;
    for (let i = 0; i < bytes.length; i++) length += table[bytes[i]!]!.length;
    const out = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < bytes.length; i++) {
      const character = table[bytes[i]!]!;
      for (let j = 0; j < character.length; j++) out[at++] = character[j]!;
    }
    return out;
  }
}

/** What has no byte in the other set becomes a numeric character reference of HTML, as in Nginx. */
class FromUtf8 implements Recoder {
  readonly keepsLength = false;
  readonly #table: Uint8Array;
  /** A character whose end is in the next piece. */
  #held: Uint8Array = none;

  constructor(table: Uint8Array) {
    this.#table = table;
  }

  recode(piece: Uint8Array, last: boolean): Uint8Array {
    const bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    this.#held = none;
    // At most: two bytes become "&#2047;".
    let out = new Uint8Array(bytes.length + 16);
    let at = 0;
    for (let i = 0; i < bytes.length; ) {
      if (at + 16 > out.length) out = grown(out);
      const first = bytes[i]!;
      if (first < 0x80) {
        out[at++] = first;
        i++;
        continue;
      }
      const code = decode(bytes, i);
      if (code === incomplete && !last) {
        this.#held = bytes.slice(i);
        break;
      }
      i += consumed(bytes, i);
      const known = code >= 0 && code < 0x10000 ? this.#table[code]! : 0;
      if (known !== 0) out[at++] = known;
      else if (code < 0 || code > 0x10ffff) out[at++] = unknown;
      else for (const char of `&#${code};`) out[at++] = char.charCodeAt(0);
    }
    return out.subarray(0, at);
  }
}

function grown(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes.length * 2);
  larger.set(bytes);
  return larger;
}

const none = new Uint8Array(0);
const incomplete = -1;
const invalid = -2;

/** How many bytes follow a first one; -1: it is none. */
function followers(first: number): number {
  if (first >= 0xf8 || first < 0xc2) return -1;
  return first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
}

const least = [0, 0x80, 0x800, 0x10000];

/** The character at `at`: its number, `incomplete` or `invalid` (RFC 3629 3). */
export function decode(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const count = followers(first);
  if (count < 0) return invalid;
  let code = first & (0x3f >> count);
  for (let i = 1; i <= count; i++) {
    const next = bytes[at + i];
    if (next === undefined) return incomplete;
    if ((next & 0xc0) !== 0x80) return invalid;
    code = (code << 6) | (next & 0x3f);
  }
  return code < least[count]! ? invalid : code;
}

/** How many bytes a character takes, or what is none: up to the byte that may begin another. */
function consumed(bytes: Uint8Array, at: number): number {
  const count = followers(bytes[at] ?? 0);
  let i = 1;
  while (i <= count && ((bytes[at + i] ?? 0) & 0xc0) === 0x80) i++;
  return i;
}
