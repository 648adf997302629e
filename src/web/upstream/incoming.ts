/** What an upstream sends, on its way to whoever asks for it: as fast as it is read, with a little kept in between. */
import { type Body, emptyBody, type Sink, type Source } from "../../http/message.ts";

/** Above this the upstream is not read any further until the reader has caught up. */
const highWater = 64 * 1024;
/** A piece of this size is passed on as it is. */
const joinBelow = 16 * 1024;

/** Who fills it. */
export interface Feeder {
  /** The reader has caught up, or fallen behind: go on reading, or stop. */
  onFlow(mayRead: boolean): void;
  /** The reader is gone. */
  onCancelled(reason: string): void;
}

export class Incoming implements Source {
  /** undefined: it has all it will ever get. */
  #feeder: Feeder | undefined;
  /** Most bodies come in one piece: it needs no list. */
  #first: Uint8Array | undefined;
  #more: Uint8Array[] | undefined;
  #bytes = 0;
  #sink: Sink | undefined;
  #stopped = false;
  #ended = false;
  #failure: string | undefined;

  constructor(feeder: Feeder) {
    this.#feeder = feeder;
  }

  /** From the feeder: more bytes, which the reader sees at the next `pump`. */
  add(bytes: Uint8Array): void {
    if (this.#first === undefined) this.#first = bytes;
    else {
      this.#more ??= [];
      this.#more.push(bytes);
    }
    this.#bytes += bytes.length;
  }

  /** From the feeder: that was all. */
  end(): void {
    this.#ended = true;
    this.#feeder = undefined;
  }

  /** From the feeder: there will be no end. What came before it still reaches the reader. */
  fail(reason: string): void {
    this.#failure = reason;
    this.#feeder = undefined;
    this.pump();
  }

  /** All of it, if it has ended and nobody has begun to read it; else undefined. */
  takeWhole(): Uint8Array | undefined {
    if (!this.#ended || this.#sink !== undefined) return undefined;
    return this.#more === undefined ? this.#first : this.#joined(this.#more.length);
  }

  /** From the feeder, after `add` and `end`: gives the reader what it waits for. */
  pump(): void {
    const sink = this.#sink;
    if (sink !== undefined && (this.#first !== undefined || this.#ended)) {
      this.#sink = undefined;
      this.#answer(sink);
    } else if (sink !== undefined && this.#failure !== undefined) {
      this.#sink = undefined;
      sink.fail(this.#failure);
    }
    if (!this.#stopped && this.#bytes >= highWater) {
      this.#stopped = true;
      this.#feeder?.onFlow(false);
    }
  }

  #answer(sink: Sink): void {
    const piece = this.#next();
    this.#bytes -= piece.length;
    sink.push(piece, this.#ended && this.#first === undefined);
  }

  /** Small pieces (an upstream's chunks, say) are joined: each push costs its reader more than the copying. */
  #next(): Uint8Array {
    const first = this.#first;
    const more = this.#more;
    if (first === undefined) return nothing;
    if (more === undefined || first.length >= joinBelow) {
      this.#dropTo(0);
      return first;
    }
    let size = first.length;
    let count = 0;
    while (count < more.length && size < highWater) size += more[count++]!.length;
    const joined = this.#joined(count);
    this.#dropTo(count);
    return joined;
  }

  /** The first piece and `count` others. */
  #joined(count: number): Uint8Array {
    return Buffer.concat([this.#first ?? nothing, ...(this.#more?.slice(0, count) ?? [])]);
  }

  /** Forgets the first piece and `count` others. */
  #dropTo(count: number): void {
    const rest = this.#more?.slice(count);
    this.#first = rest?.shift();
    this.#more = rest === undefined || rest.length === 0 ? undefined : rest;
  }

  pull(to: Sink): void {
    if (this.#first !== undefined || this.#ended) this.#answer(to);
    else if (this.#failure !== undefined) to.fail(this.#failure);
    else this.#sink = to;
    if (this.#stopped && this.#bytes === 0) {
      this.#stopped = false;
      this.#feeder?.onFlow(true);
    }
  }

  cancel(reason: string): void {
    const feeder = this.#feeder;
    this.#feeder = undefined;
    this.#sink = undefined;
    this.#first = undefined;
    this.#more = undefined;
    this.#bytes = 0;
    feeder?.onCancelled(reason);
  }
}

const nothing = new Uint8Array(0);

/** The body of a response: in one piece if it is all here, a stream if more may come, empty if there is none. */
export function bodyOf(incoming: Incoming | undefined): Body {
  const whole = incoming?.takeWhole();
  if (whole !== undefined) return { kind: "bytes", bytes: whole };
  return incoming === undefined ? emptyBody : { kind: "stream", source: incoming };
}
