/** A request's body on its way to an upstream: the next piece is asked for when there is room for it. */
import type { Sink, Source } from "../../http/message.ts";

/** Who sends it. */
export interface Outlet {
  /** Would a piece leave at once? */
  readonly hasRoom: boolean;
  onPiece(bytes: Uint8Array, last: boolean): void;
  /** There is no more of it, though there should be. */
  onBroken(reason: string): void;
}

export class Outgoing implements Sink {
  /** undefined: all of it has come, or nobody wants the rest. */
  #source: Source | undefined;
  readonly #outlet: Outlet;
  /** A piece has been asked for and has not come yet. */
  isPulling = false;
  #pumping = false;

  constructor(source: Source, outlet: Outlet) {
    this.#source = source;
    this.#outlet = outlet;
  }

  /** Asks for more, unless it is on its way or there is no room. A loop: sources may answer at once. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#source !== undefined && !this.isPulling && this.#outlet.hasRoom) {
      this.isPulling = true;
      this.#source.pull(this);
    }
    this.#pumping = false;
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.isPulling = false;
    if (this.#source === undefined) return;
    if (last) this.#source = undefined;
    this.#outlet.onPiece(bytes, last);
    this.pump();
  }

  fail(reason: string): void {
    if (this.#source === undefined) return;
    this.#source = undefined;
    this.#outlet.onBroken(reason);
  }

  /** Nobody wants the rest. */
  cancel(reason: string): void {
    const source = this.#source;
    this.#source = undefined;
    source?.cancel(reason);
  }
}
