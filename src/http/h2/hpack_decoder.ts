/**
 * Header blocks into fields (RFC 7541).
 *
 * What a block holds is looked at only as far as decoding needs: the fields are judged as a request elsewhere. A block is
 * always decoded to its end, even if nobody wants it, because the table is the connection's.
 */
import { type ConnectionError, code, connectionError } from "./errors.ts";
import { type Field, type H2Name, h2Name, type ValueFault, valueFault } from "./field.ts";
import { huffmanDecode } from "./huffman.ts";
import { staticCount, staticTable } from "./static_table.ts";

/** RFC 7541 4.1: what an entry costs beside its characters. */
export const entryOverhead = 32;
/** A table of 4096 bytes has no more entries. */
const slots = 128;
/** SETTINGS_HEADER_TABLE_SIZE, a server's: the value that holds when nobody says another (RFC 9113 6.5.2). */
export const decoderTableSize = 4096;

/** Larger numbers mean nothing in a block of a few kilobytes. */
const maxInteger = 1 << 24;

let scratch = Buffer.allocUnsafeSlow(16 * 1024);

export class HpackDecoder {
  /** The last block's fields, in order. */
  readonly fields: Field[] = [];
  /** Characters of their names and values. */
  length = 0;
  /** The longest name or value. */
  longest = 0;
  /** What was wrong with it. */
  error: ConnectionError | undefined = undefined;
  /** Counts the changes of the table: the same block means the same as long as it stays. */
  changes = 0;

  // The dynamic table: a ring, newest at #newest.
  readonly #table: (Field | undefined)[] = new Array(slots).fill(undefined);
  #newest = 0;
  #count = 0;
  #size = 0;
  #maxSize = decoderTableSize;
  readonly #limit: number;
  readonly #isLoose: boolean;
  // Where the block is read.
  #at = 0;
  #to = 0;

  /** `isLoose`: a little more padding passes than should. `limit`: what the peer may set the table's size to, as it has been told. */
  constructor(isLoose = false, limit = decoderTableSize) {
    this.#isLoose = isLoose;
    this.#limit = limit;
  }

  /** Decodes `bytes[from, to)`; false: it cannot be, the connection is lost. */
  decode(bytes: Buffer, from: number, to: number): boolean {
    this.fields.length = 0;
    this.length = 0;
    this.longest = 0;
    this.#at = from;
    this.#to = to;
    let mayResize = true;
    while (this.#at < to) {
      const first = bytes[this.#at]!;
      let field: Field | undefined;
      if ((first & 0x80) !== 0) field = this.#indexed(bytes);
      else if ((first & 0xe0) === 0x20) {
        // RFC 7541 4.2: at the beginning of a block only.
        if (!mayResize) return this.#fail("RFC 7541 4.2", "table size update after a field");
        if (!this.#resize(bytes)) return false;
        continue;
      } else field = this.#literal(bytes, (first & 0x40) !== 0);
      if (field === undefined) return false;
      mayResize = false;
      this.fields.push(field);
      this.length += field.name.text.length + field.value.length;
    }
    return true;
  }

  /** RFC 7541 6.1 */
  #indexed(bytes: Buffer): Field | undefined {
    const index = this.#integer(bytes, 0x7f);
    return index < 0 ? undefined : this.#entry(index);
  }

  /** RFC 7541 2.3.3 */
  #entry(index: number): Field | undefined {
    if (index > 0 && index <= staticCount) return staticTable[index];
    const back = index - staticCount - 1;
    if (index > 0 && back < this.#count) return this.#table[(this.#newest - back) & (slots - 1)];
    this.#fail("RFC 7541 2.3.3", `index ${index} is in no table`);
    return undefined;
  }

  /** RFC 7541 6.2 */
  #literal(bytes: Buffer, isIndexed: boolean): Field | undefined {
    const index = this.#integer(bytes, isIndexed ? 0x3f : 0x0f);
    if (index < 0) return undefined;
    let name: H2Name | undefined;
    if (index === 0) {
      const text = this.#string(bytes);
      if (text === undefined) return undefined;
      name = h2Name(text);
    } else name = this.#entry(index)?.name;
    if (name === undefined) return undefined;
    const value = this.#string(bytes);
    if (value === undefined) return undefined;
    const field = { name, value, fault: this.#fault };
    if (isIndexed) this.#insert(field);
    return field;
  }

  /** Of the last string, as a value. */
  #fault: ValueFault | undefined = undefined;

  /** RFC 7541 5.2 */
  #string(bytes: Buffer): string | undefined {
    if (this.#at >= this.#to) return this.#truncated();
    const isHuffman = (bytes[this.#at]! & 0x80) !== 0;
    const length = this.#integer(bytes, 0x7f);
    if (length < 0) return undefined;
    const from = this.#at;
    const to = from + length;
    if (to > this.#to) return this.#truncated();
    this.#at = to;
    if (!isHuffman) {
      if (length > this.longest) this.longest = length;
      this.#fault = valueFault(bytes, from, to);
      return bytes.latin1Slice(from, to);
    }
    if (length * 2 > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2);
    const decoded = huffmanDecode(bytes, [from, to], scratch, this.#isLoose);
    if (decoded < 0) {
      this.#fail("RFC 7541 5.2", "invalid Huffman code");
      return undefined;
    }
    if (decoded > this.longest) this.longest = decoded;
    this.#fault = valueFault(scratch, 0, decoded);
    return scratch.latin1Slice(0, decoded);
  }

  /** RFC 7541 5.1; -1: it is none. `mask`: the bits of the first byte that belong to it. */
  #integer(bytes: Buffer, mask: number): number {
    let value = bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 28; shift += 7) {
      if (this.#at >= this.#to) {
        this.#truncated();
        return -1;
      }
      const byte = bytes[this.#at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (value > maxInteger) break;
      if ((byte & 0x80) === 0) return value;
    }
    this.#fail("RFC 7541 5.1", "a number is too large");
    return -1;
  }

  /** RFC 7541 6.3 */
  #resize(bytes: Buffer): boolean {
    const size = this.#integer(bytes, 0x1f);
    if (size < 0) return false;
    if (size > this.#limit) return this.#fail("RFC 7541 6.3", `table size ${size} is above the limit`);
    this.changes++;
    this.#maxSize = size;
    this.#evict(0);
    return true;
  }

  /** RFC 7541 4.4: what is larger than the whole table empties it. */
  #insert(field: Field): void {
    const size = field.name.text.length + field.value.length + entryOverhead;
    this.changes++;
    this.#evict(size);
    if (size > this.#maxSize) return;
    this.#newest = (this.#newest + 1) & (slots - 1);
    this.#table[this.#newest] = field;
    this.#count++;
    this.#size += size;
  }

  /** Makes room for `size` bytes. */
  #evict(size: number): void {
    while (this.#count > 0 && this.#size + size > this.#maxSize) {
      const oldest = (this.#newest - this.#count + 1) & (slots - 1);
      const { name, value } = this.#table[oldest]!;
      this.#size -= name.text.length + value.length + entryOverhead;
      this.#table[oldest] = undefined;
      this.#count--;
    }
  }

  #fail(rule: string, detail: string): false {
    // RFC 9113 4.3
    this.error = connectionError(code.compressionError, rule, detail);
    return false;
  }

  /** RFC 9113 4.2: the frames are too small for what they have to contain. */
  #truncated(): undefined {
    this.error = connectionError(code.frameSizeError, "RFC 9113 4.2", "a header block ends within a field");
    return undefined;
  }
}
