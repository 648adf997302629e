/**
 * Fields into header blocks (RFC 7541).
 *
 * A field that comes again and again is one byte from its second time on, without anybody's having said which fields those
 * are: a pair that is seen twice enters the table. Those that are known to repeat enter it at once, those that are known not to
 * (or that must not be guessed: RFC 7541 7.1) never do.
 */

import { isTokenText } from "../h1/classes.ts";
import type { FieldName } from "../headers.ts";
import { entryOverhead } from "./hpack_decoder.ts";
import { huffmanEncode, huffmanLength } from "./huffman.ts";
import { staticCount, staticTable } from "./static_table.ts";

const slots = 128;
/** What we use of a peer's table, bytes. */
const maxTableSize = 4096;
/** Longer values would drive out too many others. */
const maxIndexed = 1024;

/** "now": enters the table at once. "not": never. "drop": no field of HTTP/2 (RFC 9113 8.2.2). */
type Policy = "seen twice" | "now" | "not" | "drop";

const policies: Readonly<Record<string, Policy>> = {
  connection: "drop",
  "keep-alive": "drop",
  "proxy-connection": "drop",
  "transfer-encoding": "drop",
  upgrade: "drop",
  "set-cookie": "not",
  "content-length": "not",
  "content-range": "not",
  etag: "not",
  "last-modified": "not",
  location: "not",
  age: "not",
  expires: "not",
  // RFC 7541 7.1.3: nobody shall find out somebody else's by trying which of his own come out shorter.
  authorization: "not",
  "proxy-authorization": "not",
  cookie: "not",
  ":authority": "now",
  server: "now",
  date: "now",
  "content-type": "now",
  "content-encoding": "now",
  "cache-control": "now",
  "accept-ranges": "now",
  vary: "now",
};

/** A name as messages carry it; one per process. */
export interface OutName {
  readonly lower: string;
  readonly policy: Policy;
  /** Of the static table; 0: it is not in it. */
  readonly index: number;
  /** Entries of the static table with a value. */
  readonly values: ReadonlyMap<string, number> | undefined;
}

// Names come from applications and clients, which could make one up per message.
const maxKnown = 1024;
const known = new Map<FieldName, OutName>();
/** All spellings of a name are one. */
const byLower = new Map<string, OutName>();

/** Throws for a name that is none: who lets it come here has a bug. */
export function outName(name: FieldName): OutName {
  const found = known.get(name);
  if (found !== undefined) return found;
  if (!isTokenText(name.lower)) throw new Error(`invalid name of a field: ${JSON.stringify(name.raw)}`);
  const made = byLower.get(name.lower) ?? makeOutName(name.lower);
  if (known.size < maxKnown) {
    known.set(name, made);
    byLower.set(name.lower, made);
  }
  return made;
}

function makeOutName(lower: string): OutName {
  let index = 0;
  let values: Map<string, number> | undefined;
  for (let i = staticCount; i > 0; i--) {
    const { name, value } = staticTable[i]!;
    if (name.text !== lower) continue;
    index = i;
    if (value !== "") {
      values ??= new Map();
      values.set(value, i);
    }
  }
  return { lower, policy: policies[lower] ?? "seen twice", index, values };
}

const statusName = makeOutName(":status");
const pseudoNames = {
  method: makeOutName(":method"),
  scheme: makeOutName(":scheme"),
  authority: makeOutName(":authority"),
  path: makeOutName(":path"),
};

/** What is in the table of a name: sequence numbers of its entries, by value. */
interface Entries {
  lastValue: string;
  lastSequence: number;
  readonly values: Map<string, number>;
}

interface Entry {
  readonly name: OutName;
  readonly value: string;
}

export class HpackEncoder {
  readonly #entries = new Map<OutName, Entries>();
  /** The dynamic table as a ring: entry n is at n & (slots - 1). */
  readonly #table: (Entry | undefined)[] = new Array(slots).fill(undefined);
  /** The newest entry's number; the oldest one's is #sequence - #count + 1. */
  #sequence = 0;
  #count = 0;
  #size = 0;
  #maxSize = maxTableSize;
  /** Sizes that the peer's decoder must be told at the beginning of the next block (RFC 7541 4.2); -1: none. */
  #smallest = -1;
  /** Pairs of late, by a hash. */
  readonly #seen: (string | undefined)[] = new Array(64).fill(undefined);
  #out: Buffer = empty;
  #at = 0;

  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  limit(size: number): void {
    const use = Math.min(size, maxTableSize);
    if (use === this.#maxSize) return;
    this.#smallest = this.#smallest < 0 ? use : Math.min(this.#smallest, use);
    this.#maxSize = use;
    this.#evict(0);
  }

  /** A block begins at `out[at]`, which has room for all that will be in it. */
  begin(out: Buffer, at: number): void {
    this.#out = out;
    this.#at = at;
    if (this.#smallest < 0) return;
    if (this.#smallest < this.#maxSize) this.#integer(0x20, 0x1f, this.#smallest);
    this.#integer(0x20, 0x1f, this.#maxSize);
    this.#smallest = -1;
  }

  /** Returns where the block ends. */
  end(): number {
    this.#out = empty;
    return this.#at;
  }

  /** The block is given up: what it has put into the table nobody else knows of, so both sides begin anew. */
  abort(): void {
    const size = this.#maxSize;
    this.#maxSize = 0;
    this.#evict(0);
    this.#maxSize = size;
    this.#smallest = 0;
    this.#out = empty;
  }

  status(status: number): void {
    const index = statusIndexes[status];
    if (index !== undefined) this.#out[this.#at++] = 0x80 | index;
    else this.#field(statusName, String(status), "now");
  }

  /** RFC 9113 8.3.1. Throws for a value that no field can have. */
  pseudo(name: keyof typeof pseudoNames, value: string): void {
    const found = pseudoNames[name];
    this.#field(found, value, found.policy);
  }

  /** Throws for a value that no field can have. */
  field(name: OutName, value: string): void {
    if (name.policy !== "drop") this.#field(name, value, name.policy);
  }

  #field(name: OutName, value: string, policy: Policy): void {
    const entries = this.#entries.get(name);
    if (entries !== undefined) {
      const found = entries.lastValue === value ? entries.lastSequence : (entries.values.get(value) ?? -1);
      if (found >= 0) return this.#integer(0x80, 0x7f, this.#sequence - found + staticCount + 1);
    }
    const index = name.values?.get(value);
    if (index !== undefined) return this.#integer(0x80, 0x7f, index);
    checkValue(name, value);
    let nameIndex = name.index;
    if (nameIndex === 0 && entries !== undefined) nameIndex = this.#sequence - entries.lastSequence + staticCount + 1;
    if (value.length <= maxIndexed && (policy === "now" || (policy === "seen twice" && this.#wasSeen(name, value)))) {
      this.#literal(0x40, 0x3f, nameIndex, name);
      this.#string(value);
      this.#insert(name, value);
      return;
    }
    this.#literal(0, 0x0f, nameIndex, name);
    this.#string(value);
  }

  #wasSeen(name: OutName, value: string): boolean {
    const slot = (name.lower.length * 7 + value.length * 3 + value.charCodeAt(value.length - 1)) & 63;
    const pair = `${name.lower}:${value}`;
    if (this.#seen[slot] === pair) return true;
    this.#seen[slot] = pair;
    return false;
  }

  #literal(pattern: number, mask: number, index: number, name: OutName): void {
    this.#integer(pattern, mask, index);
    if (index === 0) this.#string(name.lower);
  }

  /** RFC 7541 5.1 */
  #integer(pattern: number, mask: number, value: number): void {
    const out = this.#out;
    if (value < mask) {
      out[this.#at++] = pattern | value;
      return;
    }
    out[this.#at++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      out[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    out[this.#at++] = rest;
  }

  /** RFC 7541 5.2: whatever is shorter. */
  #string(text: string): void {
    const coded = huffmanLength(text);
    if (coded < text.length) {
      this.#integer(0x80, 0x7f, coded);
      this.#at = huffmanEncode(text, this.#out, this.#at);
      return;
    }
    this.#integer(0, 0x7f, text.length);
    this.#at += this.#out.latin1Write(text, this.#at, text.length);
  }

  #insert(name: OutName, value: string): void {
    const size = name.lower.length + value.length + entryOverhead;
    this.#evict(size);
    if (size > this.#maxSize) return;
    const sequence = ++this.#sequence;
    this.#table[sequence & (slots - 1)] = { name, value };
    this.#count++;
    this.#size += size;
    const entries = this.#entries.get(name);
    if (entries === undefined) {
      this.#entries.set(name, { lastValue: value, lastSequence: sequence, values: new Map([[value, sequence]]) });
      return;
    }
    entries.lastValue = value;
    entries.lastSequence = sequence;
    entries.values.set(value, sequence);
  }

  #evict(size: number): void {
    while (this.#count > 0 && this.#size + size > this.#maxSize) {
      const oldest = this.#sequence - this.#count + 1;
      const { name, value } = this.#table[oldest & (slots - 1)]!;
      this.#table[oldest & (slots - 1)] = undefined;
      this.#count--;
      this.#size -= name.lower.length + value.length + entryOverhead;
      const entries = this.#entries.get(name);
      if (entries?.values.get(value) === oldest) entries.values.delete(value);
      if (entries?.lastSequence === oldest) this.#entries.delete(name);
    }
  }
}

const empty = Buffer.alloc(0);

const statusIndexes: (number | undefined)[] = [];
for (const [value, index] of statusName.values ?? []) statusIndexes[Number(value)] = index;

/** What a field may take at most, beside its characters. */
export const fieldOverhead = 12;

/**
 * A value with CR or LF would write fields for somebody else where it becomes HTTP/1 again (RFC 9113 8.2.1); nothing above 0xFF
 * either: it would be cut to some other byte.
 */
function checkValue({ lower }: OutName, value: string): void {
  for (let i = 0; i < value.length; i++) {
    const char = value.charCodeAt(i);
    if (char === 0 || char === 0x0a || char === 0x0d || char > 0xff)
      throw new Error(`invalid character in the field ${lower}: ${JSON.stringify(value.slice(0, 80))}`);
  }
}
