/** How much of a request's body has been sent: it has to be as long as its head says, or its reader takes it for something else. */
export class SentBody {
  /** All of it. */
  ended: boolean;
  /** Bytes that are missing; -1: it ends when it ends. */
  #left: number;

  constructor(length: number | undefined) {
    this.#left = length ?? 0;
    this.ended = this.#left === 0;
  }

  /** Throws for more or less than there should be. */
  add(bytes: Uint8Array, last: boolean): void {
    if (this.ended) throw new Error("request body out of turn");
    if (this.#left >= 0) {
      this.#left -= bytes.length;
      if (this.#left < 0 || (last && this.#left > 0))
        throw new Error("a request's body does not have the length that its head says");
    }
    this.ended = last;
  }
}
