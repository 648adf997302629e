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
  #pieces: Uint8Array[] = [];
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
    this.#pieces.push(bytes);
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
    const [first] = this.#pieces;
    return this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces, this.#bytes);
  }

  /** From the feeder, after `add` and `end`: gives the reader what it waits for. */
  pump(): void {
    const sink = this.#sink;
    if (sink !== undefined && (this.#pieces.length > 0 || this.#ended)) {
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
    sink.push(piece, this.#ended && this.#pieces.length === 0);
  }

  /** Small pieces (an upstream's chunks, say) are joined: each push costs its reader more than the copying. */
  #next(): Uint8Array {
    const pieces = this.#pieces;
    if (pieces.length <= 1 || (pieces[0]?.length ?? 0) >= joinBelow) return pieces.shift() ?? nothing;
    let size = 0;
    let count = 0;
    while (count < pieces.length && size < highWater) size += pieces[count++]?.length ?? 0;
    return Buffer.concat(pieces.splice(0, count), size);
  }

  pull(to: Sink): void {
    if (this.#pieces.length > 0 || this.#ended) this.#answer(to);
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
    this.#pieces = [];
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
