/** Bytes that cannot be understood yet: an unfinished line, or requests that wait for their turn. */

const empty = Buffer.allocUnsafeSlow(0);

/** A queue of bytes in one piece of memory; holds none while it is empty. */
export class Kept {
  /** The bytes are `buffer[start, end)`; they stay where they are until the next `append`. */
  buffer = empty;
  start = 0;
  end = 0;

  get size(): number {
    return this.end - this.start;
  }

  append(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length === 0) return;
    this.#makeRoom(length);
    // Copied byte by byte where short: a line that drips in would else cost a view per byte.
    if (length < 16) for (let i = 0; i < length; i++) this.buffer[this.end + i] = bytes[from + i]!;
    else this.buffer.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), this.end);
    this.end += length;
  }

  /** Forgets the bytes before `start`. */
  dropTo(start: number): void {
    this.start = start;
    if (start === this.end) this.clear();
  }

  clear(): void {
    this.buffer = empty;
    this.start = this.end = 0;
  }

  /** Makes room for `length` bytes behind `end`. */
  #makeRoom(length: number): void {
    const { buffer, size } = this;
    if (this.end + length <= buffer.length) return;
    // At least doubled, so that dripping bytes are copied a bounded number of times; never from the runtime's shared pool,
    // of which a few kept bytes would hold 8 KB.
    if (size + length > buffer.length / 2) {
      this.buffer = Buffer.allocUnsafeSlow(Math.max(256, 2 * (size + length)));
      this.buffer.set(buffer.subarray(this.start, this.end));
    } else {
      buffer.copyWithin(0, this.start, this.end);
    }
    this.start = 0;
    this.end = size;
  }
}
