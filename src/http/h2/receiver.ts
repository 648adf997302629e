/** What each frame means (RFC 9113 6): for its stream, for the connection, for whoever hears of the events. */
import type { EngineEvent, ProtocolError } from "../engine.ts";
import { type ConnectionParts, Control, type StreamError } from "./control.ts";
import { broken, type ConnectionError, code, connectionError, type ErrorCode } from "./errors.ts";
import { flag, frame, read31 } from "./frames.ts";
import { Heads } from "./heads.ts";
import { connectionWindow, type H2Options, maxHeld } from "./options.ts";
import { Priorities } from "./priorities.ts";
import { parsePriority } from "./priority.ts";
import { dataOf, type FrameHandler, FrameReader, type Span, tooSmall } from "./reader.ts";
import { type Assembled, assembleTrailers } from "./request.ts";
import { H2Stream } from "./stream.ts";
import { defaultWindow, ReceiveWindow } from "./window.ts";

/** What the frames' meanings change, beside streams. */
export interface Parts extends ConnectionParts {
  readonly options: H2Options;
}

export class Receiver implements FrameHandler {
  readonly reader: FrameReader;
  /** Since they were last taken. */
  events: EngineEvent[] = [];
  /** The peer will open no further streams. */
  peerLeaves = false;
  /** The highest stream that is still served; streams above it are ignored. */
  lastServed = Number.MAX_SAFE_INTEGER;
  readonly control: Control;
  readonly #parts: Parts;
  readonly #heads: Heads;
  readonly #window = new ReceiveWindow(connectionWindow);
  /** Bytes of all bodies that nobody has taken. */
  #held = 0;
  /** A head whose stream has been refused before it was complete. */
  #refusedHead = 0;
  readonly #priorities: Priorities;

  constructor(parts: Parts) {
    this.#parts = parts;
    // RFC 9113 3.4. Nginx does not insist.
    this.control = new Control(parts, "client", !parts.options.policy.looseHead);
    this.#heads = new Heads(parts.options);
    this.#priorities = new Priorities(parts.streams, parts.guard);
    // Huffman coding makes at most five eighths of a text.
    const { fieldsLimit } = parts.options;
    this.reader = new FrameReader(this, "client", fieldsLimit + 16 * 1024);
  }

  /** What the connection's window is opened by at its beginning. */
  static readonly windowAtStart = connectionWindow - defaultWindow;

  // Heads.

  onHeadersBegin(id: number, dependsOn: number): ConnectionError | undefined {
    if ((id & 1) === 0) return broken("RFC 9113 5.1.1", "client sent HEADERS frame with incorrect identifier");
    if (dependsOn === id)
      return broken("RFC 7540 5.3.1", `client sent HEADERS frame for stream ${id} with incorrect dependency`);
    const { streams } = this.#parts;
    const early = this.control.tooEarly();
    if (early !== undefined) return early;
    if (id > streams.last) streams.last = id;
    else if (!streams.open.has(id) && !streams.wasReset(id))
      return broken("RFC 9113 5.1.1", `client sent HEADERS frame for closed stream ${id}`);
    return undefined;
  }

  onHeaders(id: number, flags: number, block: Span): ConnectionError | undefined {
    const { streams } = this.#parts;
    const end = (flags & flag.endStream) !== 0;
    const stream = streams.open.get(id);
    if (stream !== undefined) return this.#trailers(stream, end, block);
    const read = this.#heads.read(block, end);
    if ("code" in read) return read;
    // What has been refused, or was on its way when the end was announced (RFC 9113 6.8): only the table is concerned.
    if (streams.wasReset(id) || id > this.lastServed) return undefined;
    if (this.#refusedHead === id) return this.#forget(id);
    return this.#begin(id, end, read);
  }

  #begin(id: number, end: boolean, { head, error, priority, length }: Assembled): ConnectionError | undefined {
    const { streams, options, guard, peer } = this.#parts;
    const early = !this.control.acknowledged && !end && options.prereadSize < defaultWindow;
    if (streams.open.size >= options.maxStreams || early) return this.#refuseStream(id);
    guard.request();
    const stream = new H2Stream(id, peer.initialWindowSize, options.prereadSize);
    streams.open.set(id, stream);
    stream.isHead = head.method === "HEAD";
    stream.expected = end ? 0 : length;
    if (end) stream.move("received END_STREAM");
    if (priority !== undefined) stream.priority = parsePriority(priority);
    this.#priorities.take(stream);
    if (error === undefined) this.events.push({ type: "request", stream: id, head, end });
    else {
      stream.malformed = error.status === 400;
      this.events.push({ type: "refused", stream: id, error, head });
      return guard.reset();
    }
    return undefined;
  }

  /** RFC 9113 5.1.2: the client may try again. */
  #refuseStream(id: number): ConnectionError | undefined {
    const { streams, sender, guard } = this.#parts;
    sender.reset(id, code.refusedStream);
    streams.remember(id);
    return guard.reset();
  }

  #forget(id: number): undefined {
    this.#refusedHead = 0;
    this.#parts.streams.remember(id);
    return undefined;
  }

  /** RFC 9113 8.1 */
  #trailers(stream: H2Stream, end: boolean, { bytes, from, to }: Span): ConnectionError | undefined {
    const { decoder } = this.#heads;
    if (!decoder.decode(bytes, from, to)) return decoder.error;
    if (!stream.receives) return this.#streamError(stream, code.streamClosed, "RFC 9113 5.1", "HEADERS after the end");
    if (!end)
      return this.#streamError(
        stream,
        code.protocolError,
        "RFC 9113 8.1",
        "a second head that does not end the stream",
      );
    const trailers = assembleTrailers(decoder.fields, this.#parts.options.policy);
    if (typeof trailers === "string") return this.#streamError(stream, code.protocolError, "RFC 9113 8.1", trailers);
    if (decoder.length > this.#parts.options.fieldsLimit)
      return this.#streamError(stream, code.protocolError, "RFC 9113 10.5.1", "too many trailers");
    if (stream.expected >= 0 && stream.received !== stream.expected) return this.#wrongLength(stream, true);
    this.#endBody(stream);
    this.events.push({ type: "trailers", stream: stream.id, headers: trailers });
    return undefined;
  }

  /** The head that is arriving will be no request; what is still to come of it is read for the table's sake. */
  refuseHead(id: number): void {
    this.#refusedHead = id;
    this.#parts.sender.reset(id, code.protocolError);
  }

  // All other frames.

  onFrame(kind: number, flags: number, stream: number, payload: Span): ConnectionError | undefined {
    const size = payload.to - payload.from;
    const early = kind === frame.settings ? undefined : this.control.tooEarly();
    if (early !== undefined) return early;
    switch (kind) {
      case frame.data:
        return this.#data(stream, flags, payload);
      case frame.windowUpdate:
        return this.#unlessOfStream(this.control.windowUpdate(stream, payload));
      case frame.rstStream:
        return size === 4 ? this.#rstStream(stream, payload) : tooSmall("RST_STREAM");
      case frame.settings:
        return this.control.settings(stream, flags, payload);
      case frame.ping:
        return this.control.ping(stream, flags, payload);
      case frame.goaway:
        if (stream !== 0) return broken("RFC 9113 6.8", "client sent GOAWAY frame with incorrect identifier");
        if (size < 8) return tooSmall("GOAWAY");
        this.peerLeaves = true;
        return this.#parts.guard.control("GOAWAY");
      case frame.priority:
        return this.#priorities.onPriority(stream, payload);
      case frame.priorityUpdate:
        return this.#priorities.onUpdate(stream, payload);
      default:
        // RFC 9113 5.5
        return this.#parts.guard.control("unknown");
    }
  }

  /** RFC 9113 6.1 */
  #data(id: number, flags: number, payload: Span): ConnectionError | undefined {
    const { streams, guard, sender } = this.#parts;
    const size = payload.to - payload.from;
    if (id === 0) return broken("RFC 9113 6.1", "client sent DATA frame with incorrect identifier");
    const bytes = dataOf(flags, payload, "client");
    if ("code" in bytes) return bytes;
    if (!this.#window.take(size))
      return connectionError(code.flowControlError, "RFC 9113 6.9.1", "client violated connection flow control");
    this.openConnection();
    const stream = streams.open.get(id);
    if (stream === undefined) {
      if (streams.isIdle(id)) return broken("RFC 9113 5.1", "client sent DATA frame for an idle stream");
      if (streams.wasReset(id)) return guard.control("late DATA");
      sender.reset(id, code.streamClosed);
      streams.remember(id);
      return guard.reset();
    }
    if (!stream.receives)
      return this.#streamError(
        stream,
        code.streamClosed,
        "RFC 9113 5.1",
        "client sent DATA frame for half-closed stream",
      );
    if (!stream.receiveWindow.take(size))
      return this.#streamError(stream, code.flowControlError, "RFC 9113 6.9.1", "client violated flow control");
    const last = (flags & flag.endStream) !== 0;
    guard.moved(size);
    return this.#body(stream, bytes, last) ?? (bytes.length === 0 && !last ? guard.control("empty DATA") : undefined);
  }

  #body(stream: H2Stream, bytes: Uint8Array, last: boolean): ConnectionError | undefined {
    stream.received += bytes.length;
    const { expected, received } = stream;
    // RFC 9113 8.1.1
    if (expected >= 0 && (received > expected || (last && received < expected))) return this.#wrongLength(stream, last);
    if (last) this.#endBody(stream);
    else if (stream.wanted && !stream.paused) this.#openStream(stream);
    else {
      stream.held += bytes.length;
      this.#held += bytes.length;
    }
    if (!stream.malformed) this.events.push({ type: "data", stream: stream.id, bytes, end: last });
    return undefined;
  }

  #wrongLength(stream: H2Stream, last: boolean): ConnectionError | undefined {
    const detail = "client sent a body of another length than Content-Length says";
    if (stream.phase === "ended" || stream.malformed)
      return this.#streamError(stream, code.protocolError, "RFC 9113 8.1.1", detail);
    stream.malformed = true;
    stream.expected = -1;
    if (last) this.#endBody(stream);
    this.events.push({ type: "refused", stream: stream.id, error: { status: 400, rule: "RFC 9113 8.1.1", detail } });
    return this.#parts.guard.reset();
  }

  #endBody(stream: H2Stream): void {
    this.release(stream);
    stream.move("received END_STREAM");
    if (stream.state === "closed") this.#parts.streams.close(stream);
  }

  // Windows that we open.

  /** The body is read, or has to wait: a window that is closed makes the client wait, too. */
  read(stream: H2Stream, paused: boolean): void {
    stream.wanted = true;
    stream.paused = paused;
    stream.receiveWindow.grow(this.#parts.options.bodyWindow);
    if (paused) return;
    this.release(stream);
    if (stream.receives) this.#openStream(stream);
  }

  /** What it held is with its reader, or will never be. */
  release(stream: H2Stream): void {
    this.#held -= stream.held;
    stream.held = 0;
    this.openConnection();
  }

  #openStream(stream: H2Stream): void {
    const due = stream.receiveWindow.due(0);
    if (due > 0) this.#parts.sender.windowUpdate(stream.id, due);
  }

  openConnection(): void {
    const due = this.#window.due(Math.max(this.#held - maxHeld, 0));
    if (due > 0) this.#parts.sender.windowUpdate(0, due);
  }

  // Frames about streams and the connection.

  /** RFC 9113 6.4 */
  #rstStream(id: number, { bytes, from }: Span): ConnectionError | undefined {
    const { streams, guard } = this.#parts;
    if (id === 0) return broken("RFC 9113 6.4", "client sent RST_STREAM frame with incorrect identifier");
    const stream = streams.open.get(id);
    if (stream === undefined)
      return streams.isIdle(id)
        ? broken("RFC 9113 6.4", "client sent RST_STREAM frame for an idle stream")
        : guard.control("RST_STREAM");
    const wasAnswered = stream.phase === "ended";
    const number = read31(bytes, from);
    this.#giveUp(stream, "RFC 9113 6.4", `client terminated stream ${id} with status ${number}`);
    streams.close(stream);
    return wasAnswered ? guard.control("RST_STREAM") : guard.reset();
  }

  /** Nothing more is sent or heard of it; who works for it is told. */
  #giveUp(stream: H2Stream, rule: string, detail: string): void {
    this.release(stream);
    const wasEnded = stream.phase === "ended";
    this.#parts.sender.abandon(stream);
    const error: ProtocolError = { status: 400, rule, detail };
    if (!wasEnded) this.events.push({ type: "reset", stream: stream.id, error });
  }

  /** RFC 9113 5.4.2. A client that makes us reset its streams does the same as one that resets them itself. */
  #streamError(stream: H2Stream, number: ErrorCode, rule: string, detail: string): ConnectionError | undefined {
    const { streams, sender, guard } = this.#parts;
    this.#giveUp(stream, rule, detail);
    sender.reset(stream.id, number);
    streams.closeReset(stream);
    return guard.reset();
  }

  #unlessOfStream(error: ConnectionError | StreamError | undefined): ConnectionError | undefined {
    if (error === undefined || !("stream" in error)) return error;
    return this.#streamError(error.stream, error.code, error.rule, error.detail);
  }
}
