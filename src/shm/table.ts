/**
 * A table in shared memory: text keys, small records, and the order in which the records were last touched.
 * All its methods but `get`, `set` and `size` are for callers that hold the zone's lock.
 *
 * The memory: a head, then buckets (each the first node of a chain), then chunks of one size. A chunk is free, or a node (links, record, the
 * key's first bytes), or holds more bytes of a key. Chunks are counted from 1; 0 is none. Only what a node's own chunks say counts: chains,
 * order and free chunks follow from it, so that `repair` can make them anew when a process was killed amid a change.
 */
import { keyHash } from "./key_hash.ts";
import type { ZoneLock } from "./lock.ts";
import { type Fields, type RecordLayout, recordLayout } from "./record.ts";

/** A record's place in its table, until it is removed. */
export type Node = number;

/** Nginx's limit for keys: their length is kept in 16 bits. */
export const maxKeyBytes = 65535;

const headBytes = 64;
const chunkUnit = 64;
/** One bucket for so many chunks: chains of two nodes on average when the table is full. */
const chunksPerBucket = 2;
/** Words of the table's head. */
const head = { ready: 0, fresh: 1, free: 2, freeCount: 3, oldest: 4, newest: 5, clock: 6, size: 7, seed: 8 } as const;
/** Words of a chunk; `state`: 0 free, `keyMore`, or a node's key length + 1. `next`: the chunk that goes on with the key, or the next free one. */
const word = { state: 0, next: 1, chain: 2, hash: 3, older: 4, newer: 5, stamp: 6 } as const;
const keyMore = -1;
const recordOffset = 28;
/** Where a chunk that only holds key bytes begins to. */
const moreOffset = 8;
/** A node has room for at least so many key bytes: an IPv4 address. */
const leastKeyRoom = 4;

export class SharedTable<F extends Fields> {
  readonly #lock: ZoneLock;
  readonly #layout: RecordLayout<F>;
  readonly #ints: Int32Array;
  readonly #uints: Uint32Array;
  readonly #doubles: Float64Array;
  readonly #bytes: Uint8Array;
  /** In words, from the memory's begin. */
  readonly #head: number;
  readonly #buckets: number;
  readonly #bucketCount: number;
  /** Of chunk 0, which does not exist. */
  readonly #chunks: number;
  readonly #chunkWords: number;
  /** How many chunks there are: the count of records with short keys. */
  readonly capacity: number;
  #hashedKey = "";
  #hashOfKey: number;

  /** On the zone's memory from `offset` (a multiple of 64) on, which is zero at first; `lock` must repair it (`repair`). */
  constructor(memory: Uint8Array, offset: number, fields: F, lock: ZoneLock) {
    this.#lock = lock;
    const { buffer, byteOffset, byteLength } = memory;
    this.#ints = new Int32Array(buffer, byteOffset, byteLength >>> 2);
    this.#uints = new Uint32Array(buffer, byteOffset, byteLength >>> 2);
    this.#doubles = new Float64Array(buffer, byteOffset, byteLength >>> 3);
    this.#bytes = memory;
    this.#layout = recordLayout(fields, recordOffset);
    const chunkBytes = roundUp(this.#layout.end + leastKeyRoom, chunkUnit);
    const room = byteLength - offset - headBytes - chunkUnit;
    this.capacity = Math.max(0, Math.floor(room / (chunkBytes + 4 / chunksPerBucket)));
    this.#bucketCount = Math.max(1, Math.floor(this.capacity / chunksPerBucket));
    this.#head = offset / 4;
    this.#buckets = (offset + headBytes) / 4;
    this.#chunkWords = chunkBytes / 4;
    this.#chunks = roundUp(offset + headBytes + this.#bucketCount * 4, chunkUnit) / 4 - this.#chunkWords;
    this.#hashOfKey = 0;
  }

  /** Under the lock, before anything else: makes the table if no process has done so yet. */
  prepare(): void {
    this.#mustHold();
    if (this.#headWord("ready") === 0) {
      crypto.getRandomValues(this.#ints.subarray(this.#head + head.seed, this.#head + head.seed + 2));
      this.#setHead("ready", 1);
    }
    this.#hashOfKey = this.#hash("");
  }

  /** How many records there are. */
  get size(): number {
    return this.#headWord("size");
  }

  /** The record of a key. Does not count as a touch. */
  lookup(key: string): Node | undefined {
    this.#mustHold();
    const hash = this.#hashOnce(key);
    let node = this.#int(this.#bucketOf(hash));
    while (node !== 0) {
      if (this.#word(node, "hash") === hash && this.#hasKey(node, key)) return node;
      node = this.#word(node, "chain");
    }
    return undefined;
  }

  /**
   * A new record, all zeros, for a key of at most `maxKeyBytes` that has none yet; it is the newest. While there is no room for it, the oldest
   * record is evicted if `mayEvict` says so. undefined: there is no room.
   */
  insert(key: string, mayEvict: (node: Node) => boolean): Node | undefined {
    this.#mustHold();
    const chunks = this.#chunksFor(key.length);
    if (key.length > maxKeyBytes || chunks > this.capacity) return undefined;
    while (this.#available() < chunks) if (this.evict(1, mayEvict) === 0) return undefined;
    const node = this.#take();
    for (let last = node, i = 1; i < chunks; i++) last = this.#takeMore(last);
    this.#writeKey(node, key);
    this.#ints.fill(0, this.#at(node) + recordOffset / 4, this.#at(node) + Math.ceil(this.#layout.end / 4));
    this.#setWord(node, "hash", this.#hashOnce(key));
    this.#setWord(node, "stamp", this.#tick());
    // From here on the node is one, for `repair` too.
    Atomics.store(this.#ints, this.#at(node) + word.state, key.length + 1);
    this.#chain(node);
    this.#linkNewest(node);
    this.#setHead("size", this.size + 1);
    return node;
  }

  /** Makes it the newest. */
  touch(node: Node): void {
    this.#mustHold();
    if (this.#headWord("newest") === node) return;
    this.#setWord(node, "stamp", this.#tick());
    this.#unlink(node);
    this.#linkNewest(node);
  }

  /** Throws an Error if that is no record (any more). */
  remove(node: Node): void {
    this.#mustHold();
    if (this.#word(node, "state") <= 0) throw new Error(`record ${node} of a shared table does not exist`);
    this.#unchain(node);
    this.#unlink(node);
    this.#setHead("size", this.size - 1);
    // First the node: what holds the rest of its key belongs to it as long as it is one.
    for (let chunk = node; chunk !== 0; ) {
      const more = this.#word(chunk, "next");
      this.#release(chunk);
      chunk = more;
    }
  }

  /** Removes up to `limit` records from the oldest on, until `mayEvict` refuses one; returns how many. */
  evict(limit: number, mayEvict: (node: Node) => boolean): number {
    for (let count = 0; count < limit; count++) {
      const node = this.oldest();
      if (node === undefined || !mayEvict(node)) return count;
      this.remove(node);
    }
    return limit;
  }

  /** The record whose last touch is longest ago. */
  oldest(): Node | undefined {
    this.#mustHold();
    return this.#headWord("oldest") || undefined;
  }

  /** The record that was touched next after this one. */
  newer(node: Node): Node | undefined {
    this.#mustHold();
    return this.#word(node, "newer") || undefined;
  }

  get(node: Node, field: keyof F): number {
    const { type, offset } = this.#layout.fields[field];
    const at = this.#at(node) * 4 + offset;
    if (type === "f64") return this.#doubles[at / 8] ?? 0;
    return (type === "i32" ? this.#ints[at / 4] : this.#uints[at / 4]) ?? 0;
  }

  set(node: Node, field: keyof F, value: number): void {
    const { type, offset } = this.#layout.fields[field];
    const at = this.#at(node) * 4 + offset;
    if (type === "f64") this.#doubles[at / 8] = value;
    else if (type === "i32") this.#ints[at / 4] = value;
    else this.#uints[at / 4] = value;
  }

  keyOf(node: Node): string {
    this.#mustHold();
    let key = "";
    this.#eachKeyByte(node, this.#word(node, "state") - 1, (at) => {
      key += String.fromCharCode(this.#bytes[at] ?? 0);
      return true;
    });
    return key;
  }

  /** Makes chains, order and free chunks from the nodes: a process that was killed may have left them half changed. */
  repair(): void {
    this.#mustHold();
    if (this.#headWord("ready") === 0) return;
    this.#ints.fill(0, this.#buckets, this.#buckets + this.#bucketCount);
    for (const name of ["free", "freeCount", "oldest", "newest", "size"] as const) this.#setHead(name, 0);
    const last = Math.min(this.#headWord("fresh"), this.capacity);
    const used = new Uint8Array(last + 1);
    const nodes: Node[] = [];
    for (let chunk = 1; chunk <= last; chunk++) if (this.#word(chunk, "state") > 0) nodes.push(chunk);
    for (const node of nodes) for (let chunk = node; chunk !== 0; chunk = this.#word(chunk, "next")) used[chunk] = 1;
    for (let chunk = last; chunk > 0; chunk--) if (used[chunk] === 0) this.#release(chunk);
    const clock = this.#headWord("clock");
    const age = (node: Node): number => (clock - this.#word(node, "stamp")) >>> 0;
    for (const node of nodes.sort((a, b) => age(b) - age(a))) {
      this.#chain(node);
      this.#linkNewest(node);
    }
    this.#setHead("size", nodes.length);
  }

  #mustHold(): void {
    if (!this.#lock.held) throw new Error("a shared table is used without its lock");
  }

  // Words. Chunk numbers times words may exceed 32 bits: no shifts here.
  #int(index: number): number {
    return this.#ints[index] ?? 0;
  }

  #at(chunk: number): number {
    return this.#chunks + chunk * this.#chunkWords;
  }

  #word(chunk: number, name: keyof typeof word): number {
    return this.#int(this.#at(chunk) + word[name]);
  }

  #setWord(chunk: number, name: keyof typeof word, value: number): void {
    this.#ints[this.#at(chunk) + word[name]] = value;
  }

  #headWord(name: keyof typeof head): number {
    return this.#int(this.#head + head[name]);
  }

  #setHead(name: keyof typeof head, value: number): void {
    this.#ints[this.#head + head[name]] = value;
  }

  #tick(): number {
    const now = (this.#headWord("clock") + 1) | 0;
    this.#setHead("clock", now);
    return now;
  }

  // Chunks.
  #chunksFor(keyBytes: number): number {
    const more = keyBytes - (this.#chunkWords * 4 - this.#layout.end);
    return more <= 0 ? 1 : 1 + Math.ceil(more / (this.#chunkWords * 4 - moreOffset));
  }

  #available(): number {
    return this.capacity - this.#headWord("fresh") + this.#headWord("freeCount");
  }

  /** A chunk that counts as free until its state says otherwise. */
  #take(): number {
    let chunk = this.#headWord("free");
    if (chunk === 0) {
      chunk = this.#headWord("fresh") + 1;
      this.#setHead("fresh", chunk);
    } else {
      this.#setHead("free", this.#word(chunk, "next"));
      this.#setHead("freeCount", this.#headWord("freeCount") - 1);
    }
    this.#setWord(chunk, "next", 0);
    return chunk;
  }

  #takeMore(last: number): number {
    const chunk = this.#take();
    this.#setWord(chunk, "state", keyMore);
    this.#setWord(last, "next", chunk);
    return chunk;
  }

  #release(chunk: number): void {
    Atomics.store(this.#ints, this.#at(chunk) + word.state, 0);
    this.#setWord(chunk, "next", this.#headWord("free"));
    this.#setHead("free", chunk);
    this.#setHead("freeCount", this.#headWord("freeCount") + 1);
  }

  // Keys.
  #hash(key: string): number {
    const seed = this.#head + head.seed;
    return keyHash(key, this.#int(seed), this.#int(seed + 1));
  }

  /** An insert follows a look-up of the same key. */
  #hashOnce(key: string): number {
    if (key !== this.#hashedKey) {
      this.#hashOfKey = this.#hash(key);
      this.#hashedKey = key;
    }
    return this.#hashOfKey;
  }

  #hasKey(node: Node, key: string): boolean {
    if (this.#word(node, "state") !== key.length + 1) return false;
    return this.#eachKeyByte(node, key.length, (at, i) => this.#bytes[at] === key.charCodeAt(i));
  }

  #writeKey(node: Node, key: string): void {
    this.#eachKeyByte(node, key.length, (at, i) => {
      this.#bytes[at] = key.charCodeAt(i);
      return true;
    });
  }

  /** Visits the places of a key's bytes until `visit` says false; tells whether it never did. */
  #eachKeyByte(node: Node, length: number, visit: (at: number, i: number) => boolean): boolean {
    const chunkBytes = this.#chunkWords * 4;
    let chunk = node;
    let at = this.#at(chunk) * 4 + this.#layout.end;
    let end = this.#at(chunk) * 4 + chunkBytes;
    for (let i = 0; i < length; i++, at++) {
      if (at === end) {
        chunk = this.#word(chunk, "next");
        at = this.#at(chunk) * 4 + moreOffset;
        end = this.#at(chunk) * 4 + chunkBytes;
      }
      if (!visit(at, i)) return false;
    }
    return true;
  }

  // Chains.
  #bucketOf(hash: number): number {
    return this.#buckets + ((hash >>> 0) % this.#bucketCount);
  }

  #chain(node: Node): void {
    const bucket = this.#bucketOf(this.#word(node, "hash"));
    this.#setWord(node, "chain", this.#int(bucket));
    this.#ints[bucket] = node;
  }

  #unchain(node: Node): void {
    const bucket = this.#bucketOf(this.#word(node, "hash"));
    const after = this.#word(node, "chain");
    let before = this.#int(bucket);
    if (before === node) {
      this.#ints[bucket] = after;
      return;
    }
    while (this.#word(before, "chain") !== node) before = this.#word(before, "chain");
    this.#setWord(before, "chain", after);
  }

  // The order of touches.
  #linkNewest(node: Node): void {
    const newest = this.#headWord("newest");
    this.#setWord(node, "older", newest);
    this.#setWord(node, "newer", 0);
    this.#setHead("newest", node);
    if (newest === 0) this.#setHead("oldest", node);
    else this.#setWord(newest, "newer", node);
  }

  #unlink(node: Node): void {
    const older = this.#word(node, "older");
    const newer = this.#word(node, "newer");
    if (older === 0) this.#setHead("oldest", newer);
    else this.#setWord(older, "newer", newer);
    if (newer === 0) this.#setHead("newest", older);
    else this.#setWord(newer, "older", older);
  }
}

const roundUp = (n: number, unit: number): number => Math.ceil(n / unit) * unit;
