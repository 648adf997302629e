/** Everything that leaves: control frames at once, heads at once, bodies as windows and their order allow. */
import type { Headers } from "../headers.ts";
import type { ResponseHead } from "../message.ts";
import type { ErrorCode } from "./errors.ts";
import { code } from "./errors.ts";
import { flag, frame, frameHeaderLength, preface, write32, writeFrameHeader } from "./frames.ts";
import type { Guard } from "./guard.ts";
import { HpackEncoder } from "./hpack_encoder.ts";
import type { H2Options } from "./options.ts";
import { Output } from "./output.ts";
import { goesFirst } from "./priority.ts";
import { encodeHead, encodeTrailers, roomFor } from "./response.ts";
import type { PeerSettings } from "./settings.ts";
import type { H2Stream, Streams } from "./stream.ts";
import { defaultWindow, SendWindow } from "./window.ts";
import { encodeRequest, type H2RequestHead, requestRoom } from "./write_request.ts";

/** A message is with the transport, or will never be. */
export interface Sent {
  readonly stream: number;
  /** Bytes of its frames. */
  readonly bytes: number;
  /** What was wrong with it. */
  readonly fault: string | undefined;
}

export type SenderOptions = Pick<H2Options, "server" | "chunkSize">;

/** Bytes that are made into frames at once: more would only wait in the transport, while others could go first. */
const turnSize = 128 * 1024;
const emptyBytes = new Uint8Array(0);

export class Sender {
  readonly window = new SendWindow(defaultWindow);
  readonly #out = new Output();
  readonly #encoder = new HpackEncoder();
  readonly #streams: Streams;
  readonly #peer: PeerSettings;
  readonly #options: SenderOptions;
  readonly #guard: Guard;
  /** Streams with something in their queue. */
  readonly #waiting: H2Stream[] = [];
  #turn = 0;
  #sent: Sent[] = [];
  /** Streams whose queue has emptied: they take more. */
  #drained: H2Stream[] = [];

  constructor(streams: Streams, peer: PeerSettings, options: SenderOptions, guard: Guard) {
    this.#streams = streams;
    this.#peer = peer;
    this.#options = options;
    this.#guard = guard;
  }

  /** Bytes that wait for `take`, those of bodies not counted. */
  get size(): number {
    return this.#out.size;
  }

  /** Something of a body could leave now. */
  get isReady(): boolean {
    return this.window.left > 0 && this.#waiting.some(({ sendWindow }) => sendWindow.left > 0);
  }

  /** Bodies wait, if only for a window. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** What a client begins with (RFC 9113 3.4). */
  preface(): void {
    this.#out.add(preface);
  }

  // Control frames.

  control(kind: number, flags: number, stream: number, payload: Uint8Array): void {
    const out = this.#out;
    out.reserve(frameHeaderLength + payload.length);
    const at = write32(out.slab, writeFrameHeader(out.slab, out.at, payload.length, kind, flags), stream);
    out.slab.set(payload, at);
    out.at = at + payload.length;
  }

  reset(stream: number, code: ErrorCode): void {
    this.#number(frame.rstStream, stream, code);
  }

  windowUpdate(stream: number, by: number): void {
    this.#number(frame.windowUpdate, stream, by);
  }

  /** A frame whose payload is a number of 32 bits. */
  #number(kind: number, stream: number, value: number): void {
    const out = this.#out;
    out.reserve(frameHeaderLength + 4);
    const at = write32(out.slab, writeFrameHeader(out.slab, out.at, 4, kind, 0), stream);
    out.at = write32(out.slab, at, value);
  }

  goaway(last: number, code: ErrorCode): void {
    const payload = new Uint8Array(8);
    write32(payload, write32(payload, 0, last), code);
    this.control(frame.goaway, 0, 0, payload);
  }

  /** The peer's settings have changed. */
  applySettings(): void {
    this.#encoder.limit(this.#peer.headerTableSize);
  }

  // Heads.

  head(stream: H2Stream, head: ResponseHead, end: boolean, date: string): void {
    const { server } = this.#options;
    this.#headers(stream, roomFor(head.headers, server.length + date.length), end, (encoder) =>
      encodeHead(encoder, head, head.server ?? server, date),
    );
    if (end) this.#ended(stream);
  }

  /** The head of a client's request. Throws if it cannot be sent; nothing of it has become output then. */
  request(stream: H2Stream, head: H2RequestHead, end: boolean): void {
    this.#headers(stream, requestRoom(head), end, (encoder) => encodeRequest(encoder, head));
    if (end) this.#ended(stream);
  }

  #headers(stream: H2Stream, room: number, end: boolean, encode: (encoder: HpackEncoder) => void): void {
    const out = this.#out;
    out.reserve(frameHeaderLength + room);
    const start = out.at;
    this.#encoder.begin(out.slab, start + frameHeaderLength);
    try {
      encode(this.#encoder);
    } catch (error) {
      this.#encoder.abort();
      throw error;
    }
    const to = this.#encoder.end();
    const length = to - start - frameHeaderLength;
    const flags = end ? flag.endStream : 0;
    stream.sent += length + frameHeaderLength;
    if (length > this.#peer.maxFrameSize) return this.#continued(stream.id, start + frameHeaderLength, to, flags);
    write32(out.slab, writeFrameHeader(out.slab, start, length, frame.headers, flags | flag.endHeaders), stream.id);
    out.at = to;
  }

  /** RFC 9113 6.10 */
  #continued(stream: number, from: number, to: number, flags: number): void {
    const block = Uint8Array.prototype.slice.call(this.#out.slab, from, to);
    const size = this.#peer.maxFrameSize;
    for (let at = 0; at < block.length; at += size) {
      const part = block.subarray(at, at + size);
      const last = at + size >= block.length ? flag.endHeaders : 0;
      this.control(at === 0 ? frame.headers : frame.continuation, (at === 0 ? flags : 0) | last, stream, part);
    }
  }

  // Bodies.

  /** Takes a piece; returns whether it has left already. One piece at a time: the next when this one is gone. */
  data(stream: H2Stream, bytes: Uint8Array, end: boolean): boolean {
    if (stream.queue !== undefined) this.#append(stream, bytes);
    else {
      stream.queue = bytes;
      stream.queueAt = 0;
    }
    stream.queueEnd = end;
    if (this.#waiting.length === 0 && this.#out.size < turnSize && this.#mayLeaveWhole(stream)) {
      this.#frame(stream, bytes.length);
      return true;
    }
    if (!stream.isWaiting) this.#waiting.push(stream);
    stream.isWaiting = true;
    return false;
  }

  /** Nobody should give more than was taken, but who does loses nothing. */
  #append(stream: H2Stream, bytes: Uint8Array): void {
    const rest = (stream.queue ?? emptyBytes).subarray(stream.queueAt);
    stream.queue = new Uint8Array(rest.length + bytes.length);
    stream.queue.set(rest);
    stream.queue.set(bytes, rest.length);
    stream.queueAt = 0;
  }

  #mayLeaveWhole(stream: H2Stream): boolean {
    const { length } = stream.queue ?? emptyBytes;
    return length === 0 || length <= this.#most(stream);
  }

  /** Bytes of the stream's next frame. */
  #most({ chunkSize, sendWindow }: H2Stream): number {
    return Math.min(chunkSize || this.#options.chunkSize, this.#peer.maxFrameSize, sendWindow.left, this.window.left);
  }

  /** Sends `count` bytes of the stream's queue in one frame. */
  #frame(stream: H2Stream, count: number): void {
    const { queue = emptyBytes, queueAt } = stream;
    const isLast = queueAt + count === queue.length;
    const end = isLast && stream.queueEnd;
    const closes = end && stream.trailers === undefined;
    if (count > 0 || closes) {
      const out = this.#out;
      out.reserve(frameHeaderLength);
      const at = writeFrameHeader(out.slab, out.at, count, frame.data, closes ? flag.endStream : 0);
      out.at = write32(out.slab, at, stream.id);
      if (count > 0) out.add(count === queue.length ? queue : queue.subarray(queueAt, queueAt + count));
      stream.sendWindow.left -= count;
      this.window.left -= count;
      stream.sent += count + frameHeaderLength;
      this.#guard.moved(count);
    }
    if (!isLast) {
      stream.queueAt += count;
      return;
    }
    stream.queue = undefined;
    if (!end) this.#drained.push(stream);
    else {
      if (stream.trailers !== undefined) this.#trailers(stream, stream.trailers);
      this.#ended(stream);
    }
  }

  #trailers(stream: H2Stream, trailers: Headers): void {
    this.#headers(stream, roomFor(trailers, 0), true, (encoder) => encodeTrailers(encoder, trailers));
  }

  /** END_STREAM has been sent. */
  #ended(stream: H2Stream): void {
    stream.phase = "ended";
    stream.move("sent END_STREAM");
    this.#sent.push({ stream: stream.id, bytes: stream.sent, fault: stream.fault });
    this.#guard.answered();
    if (stream.malformed) {
      this.reset(stream.id, code.protocolError);
      this.#streams.closeReset(stream);
    } else if (stream.state === "closed") this.#streams.close(stream);
  }

  /** The response is given up: nothing of it is sent any more. */
  abandon(stream: H2Stream): void {
    if (stream.phase !== "ended") this.#sent.push({ stream: stream.id, bytes: stream.sent, fault: stream.fault });
    stream.phase = "ended";
    stream.queue = undefined;
    if (!stream.isWaiting) return;
    stream.isWaiting = false;
    this.#waiting.splice(this.#waiting.indexOf(stream), 1);
  }

  /** Frames of bodies for one turn. */
  #schedule(): void {
    let left = turnSize - this.#out.size;
    while (left > 0 && this.#waiting.length > 0) {
      const stream = this.#next();
      if (stream === undefined) return;
      const { queue = emptyBytes, queueAt } = stream;
      const count = Math.min(queue.length - queueAt, this.#most(stream));
      stream.turn = ++this.#turn;
      this.#frame(stream, Math.max(count, 0));
      left -= count + frameHeaderLength;
      if (stream.queue === undefined) {
        stream.isWaiting = false;
        const at = this.#waiting.indexOf(stream);
        if (at >= 0) this.#waiting.splice(at, 1);
      }
    }
  }

  /** Whose turn it is; undefined: all wait for windows. */
  #next(): H2Stream | undefined {
    let first: H2Stream | undefined;
    for (const stream of this.#waiting) {
      const { queue = emptyBytes, queueAt } = stream;
      // An end without bytes needs no window (RFC 9113 6.9.1).
      const fits = queue.length === queueAt || (stream.sendWindow.left > 0 && this.window.left > 0);
      if (fits && (first === undefined || goesFirst(stream, first))) first = stream;
    }
    return first;
  }

  take(): readonly Uint8Array[] {
    if (this.#waiting.length > 0) this.#schedule();
    return this.#out.take();
  }

  /** Responses that have ended since the last call. */
  takeSent(): readonly Sent[] {
    if (this.#sent.length === 0) return noneSent;
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** Streams that take more since the last call. */
  takeDrained(): readonly H2Stream[] {
    if (this.#drained.length === 0) return noneDrained;
    const drained = this.#drained;
    this.#drained = [];
    return drained;
  }
}

const noneSent: readonly Sent[] = [];
const noneDrained: readonly H2Stream[] = [];
