/** Bodies on their way between an upstream and a client: counted, slowed down, read to their end whoever leaves. */
import type { Sink, Source } from "../../http/message.ts";

/** `count` is told of each piece's length. */
export function counted(source: Source, count: (bytes: number) => void): Source {
  return {
    pull: (to) =>
      source.pull({
        push(bytes, last) {
          count(bytes.length);
          to.push(bytes, last);
        },
        fail: (reason) => to.fail(reason),
      }),
    cancel: (reason) => source.cancel(reason),
  };
}

/** Reads it to its end though its reader has left. */
export function finishing(source: Source): Source {
  let pulling = false;
  let reader: Sink | undefined;
  let left = false;
  const sink: Sink = {
    push(bytes, last) {
      pulling = false;
      const to = reader;
      reader = undefined;
      if (!left) to?.push(bytes, last);
      else if (!last) next();
    },
    fail(reason) {
      pulling = false;
      if (!left) reader?.fail(reason);
    },
  };
  // Not within a push: a source that has all at hand would call and call.
  const next = () => setImmediate(ask);
  const ask = () => {
    if (pulling) return;
    pulling = true;
    source.pull(sink);
  };
  return {
    pull(to) {
      reader = to;
      ask();
    },
    cancel() {
      left = true;
      reader = undefined;
      ask();
    },
  };
}

/** No more than `rate` bytes per second are read from it (`proxy_limit_rate`); a second's worth may come at once. */
export class Paced implements Source, Sink {
  readonly #source: Source;
  readonly #rate: number;
  readonly #startedAt = performance.now();
  #given = 0;
  #held: Uint8Array | undefined;
  #last = false;
  #to: Sink | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(source: Source, rate: number) {
    this.#source = source;
    this.#rate = rate;
  }

  pull(to: Sink): void {
    this.#to = to;
    const allowed = this.#allowed();
    if (allowed < 1) this.#wait(allowed);
    else if (this.#held === undefined) this.#source.pull(this);
    else this.#give(this.#held, allowed);
  }

  /** As Nginx counts: in whole seconds, the one that has begun included. */
  #allowed(): number {
    return this.#rate * (Math.floor((performance.now() - this.#startedAt) / 1000) + 1) - this.#given;
  }

  #wait(allowed: number): void {
    const ms = (-allowed * 1000) / this.#rate + 1;
    const toNextSecond = 1000 - ((performance.now() - this.#startedAt) % 1000);
    this.#timer = setTimeout(() => this.#to !== undefined && this.pull(this.#to), Math.max(ms, toNextSecond));
  }

  #give(bytes: Uint8Array, allowed: number): void {
    const piece = bytes.length <= allowed ? bytes : bytes.subarray(0, allowed);
    this.#held = piece.length === bytes.length ? undefined : bytes.subarray(piece.length);
    this.#given += piece.length;
    const to = this.#to;
    this.#to = undefined;
    to?.push(piece, this.#last && this.#held === undefined);
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#last = last;
    this.#give(bytes, Math.max(this.#allowed(), 1));
  }

  fail(reason: string): void {
    this.#to?.fail(reason);
  }

  cancel(reason: string): void {
    clearTimeout(this.#timer);
    this.#to = undefined;
    if (!this.#last) this.#source.cancel(reason);
  }
}

/** A body that may be given to several in turn, as long as nobody has begun to read it. */
export class Untouched implements Source {
  readonly #source: Source;
  /** Somebody has begun to read it. */
  isTouched = false;

  constructor(source: Source) {
    this.#source = source;
  }

  pull(to: Sink): void {
    this.isTouched = true;
    this.#source.pull(to);
  }

  cancel(reason: string): void {
    if (this.isTouched) this.#source.cancel(reason);
  }

  /** Nobody will read it. */
  drop(reason: string): void {
    if (!this.isTouched) this.#source.cancel(reason);
  }
}

/**
 * Pieces that come at the same moment are passed on as one: a client's small chunks become larger ones. The first is asked for
 * at once: it may leave together with the request's head.
 */
export class Joined implements Source, Sink {
  readonly #source: Source;
  #held: Uint8Array[] = [];
  #last = false;
  #failure: string | undefined;
  #asked = false;
  #waiting = false;
  #to: Sink | undefined;

  constructor(source: Source) {
    this.#source = source;
    this.#ask();
  }

  pull(to: Sink): void {
    this.#to = to;
    if (this.#held.length > 0 || this.#last || this.#failure !== undefined) this.#give();
    else this.#ask();
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#source.pull(this);
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#asked = false;
    // What it stands in may be written to again.
    if (bytes.length > 0) this.#held.push(new Uint8Array(bytes));
    this.#last = last;
    this.#soon();
  }

  fail(reason: string): void {
    this.#asked = false;
    this.#failure = reason;
    this.#soon();
  }

  /** At the end of what is happening now. */
  #soon(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    queueMicrotask(() => {
      this.#waiting = false;
      // What has come meanwhile is at hand; else it is asked for in advance.
      if (!this.#last && this.#failure === undefined && this.#to !== undefined) this.#ask();
      if (!this.#waiting || this.#last) this.#give();
    });
  }

  #give(): void {
    const to = this.#to;
    if (to === undefined) return;
    const bytes = Buffer.concat(this.#held);
    if (bytes.length === 0 && !this.#last && this.#failure === undefined) return;
    this.#to = undefined;
    this.#held = [];
    if (bytes.length === 0 && this.#failure !== undefined) to.fail(this.#failure);
    else to.push(bytes, this.#last);
  }

  cancel(reason: string): void {
    this.#to = undefined;
    this.#held = [];
    this.#source.cancel(reason);
  }
}
