/** Bodies in small pieces: for who sends at a rate, and for who makes much of little (gunzip). */
import type { Sink, Source } from "../http/message.ts";

/** The same content, in pieces of `size` bytes at most. */
export function sliced(source: Source, size: number): Source {
  return new SlicedSource(source, size);
}

class SlicedSource implements Source, Sink {
  readonly #inner: Source;
  readonly #size: number;
  #to: Sink | undefined;
  /** Of the piece that is being given out. */
  #rest: Uint8Array = nothing;
  #isLast = false;

  constructor(inner: Source, size: number) {
    this.#inner = inner;
    this.#size = size;
  }

  pull(to: Sink): void {
    this.#to = to;
    if (this.#rest.length > 0) this.#give(this.#rest);
    else this.#inner.pull(this);
  }

  cancel(reason: string): void {
    this.#inner.cancel(reason);
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#isLast = last;
    this.#give(bytes);
  }

  #give(bytes: Uint8Array): void {
    const piece = bytes.length <= this.#size ? bytes : bytes.subarray(0, this.#size);
    this.#rest = bytes.subarray(piece.length);
    this.#to?.push(piece, this.#isLast && this.#rest.length === 0);
  }

  fail(reason: string): void {
    this.#to?.fail(reason);
  }
}

const nothing = new Uint8Array(0);
