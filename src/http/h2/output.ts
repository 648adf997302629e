/** What is to be written, in order: small frames gathered in pieces of memory that are never written to twice, large payloads as they are. */

const slabSize = 16 * 1024;
/** Payloads up to this size are cheaper copied than passed on by themselves. */
const copied = 2048;

export class Output {
  #pieces: Uint8Array[] = [];
  /** Where frames are written: `slab[at]`, with as much room as was asked for. */
  slab: Buffer = empty;
  at = 0;
  /** The slab's first byte that was not taken yet. */
  #from = 0;
  /** Bytes that wait to be taken. */
  get size(): number {
    return this.#passed + this.at - this.#from;
  }
  /** … of which in pieces. */
  #passed = 0;

  /** Makes room for a frame of so many bytes. */
  reserve(count: number): void {
    if (this.at + count <= this.slab.length) return;
    this.#cut();
    this.slab = Buffer.allocUnsafeSlow(Math.max(slabSize, count));
    this.at = 0;
    this.#from = 0;
  }

  /** A payload: passed on, or copied if small; the room for it is found here. */
  add(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length <= copied) {
      this.reserve(length);
      this.slab.set(bytes, this.at);
      this.at += length;
      return;
    }
    this.#cut();
    this.#pieces.push(bytes);
    this.#passed += length;
  }

  #cut(): void {
    if (this.at === this.#from) return;
    this.#pieces.push(this.slab.subarray(this.#from, this.at));
    this.#passed += this.at - this.#from;
    this.#from = this.at;
  }

  take(): readonly Uint8Array[] {
    this.#cut();
    if (this.#pieces.length === 0) return nothing;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#passed = 0;
    return pieces;
  }
}

const empty = Buffer.alloc(0);
const nothing: readonly Uint8Array[] = [];
