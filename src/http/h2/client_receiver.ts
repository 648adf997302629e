/** What each frame means to a client (RFC 9113 6): for its one request, and for the connection. */
import type { ClientEvent, FailedKind, ReceivedHead, ResponseError } from "../client_engine.ts";
import { type ConnectionParts, Control } from "./control.ts";
import { broken, type ConnectionError, code, connectionError } from "./errors.ts";
import { flag, frame, read31, read32 } from "./frames.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import { connectionWindow } from "./options.ts";
import { dataOf, type FrameHandler, FrameReader, type Span, tooSmall } from "./reader.ts";
import { type AssembledResponse, assembleResponse, assembleResponseTrailers } from "./response_head.ts";
import type { H2Stream } from "./stream.ts";
import { defaultWindow, ReceiveWindow } from "./window.ts";

/**
 * "head": nothing but interim responses has come · "ended": END_STREAM has · "told": … and the response has been given away ·
 * "failed": nothing more is believed
 */
type Reading = "head" | "body" | "ended" | "told" | "failed";

/**
 * The table that upstreams shall use: none, as with Nginx. Responses on a connection have little in common that would be worth its
 * state. Upstreams that do not heed it (some do not) go on with the usual one, and are understood.
 */
export const clientTableSize = 0;
/** Header blocks of this size at least are read, whatever the limit of what is in them. */
const leastBlock = 16 * 1024;

export class ClientReceiver implements FrameHandler {
  /** Since they were last taken. */
  events: ClientEvent[] = [];
  /** No further request may follow on this connection (RFC 9113 6.8). */
  isLeaving = false;
  /** The response's reader has fallen behind: no more of it is asked for. */
  isPaused = false;
  reading: Reading = "told";
  readonly #parts: ConnectionParts;
  readonly #control: Control;
  /** Loose: an upstream that pads its Huffman code too much means no harm. */
  readonly #decoder = new HpackDecoder(true, clientTableSize);
  readonly #window = new ReceiveWindow(connectionWindow);
  readonly #reader: FrameReader;
  #stream: H2Stream | undefined;
  #wasReset = false;
  #headLimit = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#control = new Control(parts, "upstream", true);
    this.#reader = new FrameReader(this, "upstream", leastBlock);
  }

  /** What the connection's window is opened by at its beginning. */
  static readonly windowAtStart = connectionWindow - defaultWindow;

  /** A request leaves; `headLimit`: most characters of its response's head. Nothing of the last response is to come. */
  expect(stream: H2Stream, headLimit: number): void {
    this.#stream = stream;
    this.#headLimit = headLimit;
    this.reading = "head";
    this.isPaused = false;
    this.#wasReset = false;
    this.#reader.maxBlock = Math.max(headLimit, leastBlock);
  }

  /** False: the connection is lost; `error` says why. */
  read(bytes: Uint8Array): boolean {
    return this.#reader.read(bytes);
  }

  get error(): ConnectionError | undefined {
    return this.#reader.error;
  }

  // The response.

  onHeadersBegin(id: number): ConnectionError | undefined {
    if ((id & 1) === 0 || this.#parts.streams.isIdle(id))
      return broken("RFC 9113 5.1.1", `upstream sent HEADERS frame for unknown stream ${id}`);
    return this.#control.tooEarly();
  }

  onHeaders(id: number, flags: number, { bytes, from, to }: Span): ConnectionError | undefined {
    const decoder = this.#decoder;
    if (!decoder.decode(bytes, from, to)) return decoder.error;
    const stream = this.#receiving(id, "HEADERS");
    if (stream === undefined || "code" in stream) return stream;
    if (decoder.length > this.#headLimit) return this.#fail("RFC 9113 10.5.1", "upstream sent too big header");
    const end = (flags & flag.endStream) !== 0;
    if (this.reading === "body") return this.#trailers(end);
    const head = assembleResponse(decoder.fields);
    if ("rule" in head) return this.#fail(head.rule, head.detail);
    return this.#head(stream, head, end, to - from);
  }

  /** RFC 9113 8.1 */
  #head(stream: H2Stream, { status, headers, length }: AssembledResponse, end: boolean, headLength: number): undefined {
    const common = { status, reason: "", version: 20, headers, keepAlive: !this.isLeaving, headLength } as const;
    if (status < 200) {
      if (end) return this.#fail("RFC 9113 8.1", "upstream ended its response with an interim one");
      this.events.push({ type: "interim", head: { ...common, framing: "none", bodyLength: 0 } });
      return undefined;
    }
    const hasNone = stream.isHead || status === 204 || status === 304;
    stream.expected = hasNone ? 0 : length;
    const framing: ReceivedHead["framing"] = hasNone ? "none" : end || length >= 0 ? "length" : "chunked";
    this.events.push({ type: "response", head: { ...common, framing, bodyLength: end ? 0 : stream.expected } });
    this.reading = "body";
    if (end) this.#end(stream);
    return undefined;
  }

  #trailers(end: boolean): undefined {
    if (!end) return this.#fail("RFC 9113 8.1", "upstream sent a second head that does not end the response");
    const trailers = assembleResponseTrailers(this.#decoder.fields);
    if ("rule" in trailers) return this.#fail(trailers.rule, trailers.detail);
    const stream = this.#stream;
    if (stream === undefined || !this.#isWhole(stream)) return undefined;
    this.events.push({ type: "trailers", headers: trailers });
    this.#end(stream);
    return undefined;
  }

  /** RFC 9113 8.1.1 */
  #isWhole({ expected, received }: H2Stream): boolean {
    if (expected < 0 || received === expected) return true;
    this.#fail("RFC 9113 8.1.1", "upstream prematurely closed stream");
    return false;
  }

  #end(stream: H2Stream): void {
    if (!this.#isWhole(stream)) return;
    stream.move("received END_STREAM");
    if (stream.state === "closed") this.#parts.streams.close(stream);
    this.reading = "ended";
  }

  /** The stream whose response goes on; undefined: nobody hears of it any more. */
  #receiving(id: number, what: string): H2Stream | ConnectionError | undefined {
    const { streams } = this.#parts;
    if (streams.isIdle(id)) return broken("RFC 9113 5.1", `upstream sent ${what} frame for unknown stream ${id}`);
    if (this.reading === "failed") return undefined;
    if (this.#stream?.id === id && this.#stream.receives) return this.#stream;
    return connectionError(code.streamClosed, "RFC 9113 5.1", `upstream sent ${what} frame for closed stream ${id}`);
  }

  #data(id: number, flags: number, payload: Span): ConnectionError | undefined {
    const { guard, sender } = this.#parts;
    const size = payload.to - payload.from;
    const bytes = dataOf(flags, payload, "upstream");
    if ("code" in bytes) return bytes;
    // The connection's window is opened whatever becomes of the bytes: that of the stream says how many may be on their way.
    if (!this.#window.take(size))
      return connectionError(code.flowControlError, "RFC 9113 6.9.1", "upstream violated connection flow control");
    const due = this.#window.due(0);
    if (due > 0) sender.windowUpdate(0, due);
    const stream = this.#receiving(id, "DATA");
    if (stream === undefined || "code" in stream) return stream;
    if (!stream.receiveWindow.take(size))
      return connectionError(code.flowControlError, "RFC 9113 6.9.1", "upstream violated stream flow control");
    if (this.reading === "head") return this.#fail("RFC 9113 8.1", "upstream sent a body before its head");
    guard.moved(size);
    stream.received += bytes.length;
    if (stream.expected >= 0 && stream.received > stream.expected)
      return this.#fail("RFC 9113 8.1.1", "upstream sent response body larger than indicated content length");
    if (bytes.length > 0) this.events.push({ type: "data", bytes });
    if ((flags & flag.endStream) !== 0) this.#end(stream);
    else {
      this.openWindow();
      if (bytes.length === 0) return guard.control("empty DATA");
    }
    return undefined;
  }

  /** Asks for more of the response, unless nobody would take it. */
  openWindow(): void {
    const stream = this.#stream;
    if (stream === undefined || this.isPaused || this.reading !== "body") return;
    const due = stream.receiveWindow.due(0);
    if (due > 0) this.#parts.sender.windowUpdate(stream.id, due);
  }

  /** The response is over, and not as it should. */
  #fail(rule: string, detail: string): undefined {
    this.fail("invalid", { rule, detail });
  }

  fail(kind: FailedKind, error: ResponseError): void {
    if (this.reading === "failed") return;
    this.reading = "failed";
    this.isLeaving = true;
    this.events.push({ type: "failed", kind, error });
  }

  // All other frames.

  onFrame(kind: number, flags: number, stream: number, payload: Span): ConnectionError | undefined {
    const early = kind === frame.settings ? undefined : this.#control.tooEarly();
    if (early !== undefined) return early;
    switch (kind) {
      case frame.data:
        return this.#data(stream, flags, payload);
      case frame.windowUpdate: {
        const error = this.#control.windowUpdate(stream, payload);
        return error !== undefined && "stream" in error ? this.#fail(error.rule, error.detail) : error;
      }
      case frame.rstStream:
        return this.#rstStream(stream, payload);
      case frame.settings:
        return this.#control.settings(stream, flags, payload);
      case frame.ping:
        return this.#control.ping(stream, flags, payload);
      case frame.goaway:
        return this.#goaway(stream, payload);
      default:
        // RFC 9113 5.5
        return this.#parts.guard.control("unknown");
    }
  }

  /** RFC 9113 6.4 */
  #rstStream(id: number, { bytes, from, to }: Span): ConnectionError | undefined {
    const { streams, guard } = this.#parts;
    if (to - from !== 4) return tooSmall("RST_STREAM", "upstream");
    if (id === 0 || streams.isIdle(id))
      return broken("RFC 9113 6.4", `upstream sent RST_STREAM frame for unknown stream ${id}`);
    const stream = this.#stream;
    if (stream?.id !== id || this.reading === "failed" || this.reading === "told") return guard.control("RST_STREAM");
    // RFC 9113 5.1: nothing follows a reset.
    if (this.#wasReset)
      return connectionError(code.streamClosed, "RFC 9113 5.1", "upstream sent RST_STREAM frame for closed stream");
    this.#wasReset = true;
    const number = read32(bytes, from);
    this.#parts.sender.abandon(stream);
    streams.close(stream);
    // RFC 9113 8.1: the response is there, and the rest of the request need not come. Any other error takes it back.
    if (this.reading === "ended" && number === code.noError) return guard.control("RST_STREAM");
    const kind = number === code.refusedStream && this.reading === "head" ? "refused" : "invalid";
    this.fail(kind, { rule: "RFC 9113 6.4", detail: `upstream rejected request with error ${number}` });
    return undefined;
  }

  /** RFC 9113 6.8: what is above the last stream has not been looked at, and may be asked for again. */
  #goaway(id: number, { bytes, from, to }: Span): ConnectionError | undefined {
    if (id !== 0) return broken("RFC 9113 6.8", "upstream sent GOAWAY frame with incorrect identifier");
    if (to - from < 8) return tooSmall("GOAWAY", "upstream");
    this.isLeaving = true;
    const stream = this.#stream;
    const isUnderWay = this.reading === "head" || this.reading === "body";
    if (stream !== undefined && isUnderWay && stream.id > read31(bytes, from)) {
      const number = read32(bytes, from + 4);
      const detail = `upstream sent goaway with error ${number}`;
      this.fail(number === code.noError ? "leaving" : "refused", { rule: "RFC 9113 6.8", detail });
    }
    return this.#parts.guard.control("GOAWAY");
  }
}
