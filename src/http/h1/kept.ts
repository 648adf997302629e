/** Bytes that cannot be understood yet: an unfinished line, or requests that wait for their turn. Holds nothing while empty. */
export class Kept {
  #buffer: Buffer | undefined;
  #start = 0;
  #end = 0;

  get size(): number {
    return this.#end - this.#start;
  }

  append(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length === 0) return;
    const buffer = this.#room(length);
    // Copied byte by byte where short: a line that drips in would else cost a view per byte.
    if (length < 16) for (let i = 0; i < length; i++) buffer[this.#end + i] = bytes[from + i]!;
    else buffer.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), this.#end);
    this.#end += length;
  }

  /** The bytes; valid until the next `append`. */
  view(): Buffer {
    return this.#buffer === undefined ? empty : this.#buffer.subarray(this.#start, this.#end);
  }

  /** Forgets the first `count` bytes; what `view` gave remains valid until the next `append`. */
  drop(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.clear();
  }

  clear(): void {
    this.#buffer = undefined;
    this.#start = this.#end = 0;
  }

  /** The buffer, with room for `length` bytes at its end. */
  #room(length: number): Buffer {
    const size = this.size;
    const old = this.#buffer;
    if (old !== undefined && this.#end + length <= old.length) return old;
    // Always at least doubled, so that dripping bytes are copied a bounded number of times; never from the shared pool,
    // which one kept byte would hold whole.
    if (old === undefined || size + length > old.length / 2) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, 2 * (size + length)));
      if (old !== undefined) grown.set(old.subarray(this.#start, this.#end));
      this.#buffer = grown;
    } else {
      old.copyWithin(0, this.#start, this.#end);
    }
    this.#start = 0;
    this.#end = size;
    return this.#buffer as Buffer;
  }
}

const empty = Buffer.allocUnsafeSlow(0);
