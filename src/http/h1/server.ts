/**
 * HTTP/1.0 and 1.1, server side (RFC 9112): one request at a time, what comes after it waits in `kept`.
 *
 * Two state words, one for each direction; a request is over when both its message has been read and its response has
 * been sent. Nothing but these two and a few numbers is held while a connection is idle.
 */
import { asBuffer } from "../../base/bytes.ts";
import type { EngineEvent, ProtocolError, ServerEngine, StreamId } from "../engine.ts";
import type { Headers } from "../headers.ts";
import type { RequestHead, ResponseHead, Version } from "../message.ts";
import { type BodyReader, ChunkedReader, LengthReader, noBytes } from "./body.ts";
import { BodyWriter } from "./body_writer.ts";
import { type ResponseFraming, responseFraming } from "./framing.ts";
import { HeadReader } from "./head.ts";
import { Kept } from "./kept.ts";
import { type Policy, strictPolicy } from "./policy.ts";
import { type KnownSections, sectionsOf } from "./sections.ts";
import { contentLength, writeHead, writeOffer, writeOwnFields, writeUpgrade } from "./write.ts";

/**
 * What the next byte from the peer is. "held": part of a later request, kept until the response has ended. "tunnel": nothing
 * of HTTP any more. "shut": nothing, no matter what it is. "over": the same, and "closed" has been said.
 */
type Reading = "head" | "body" | "held" | "tunnel" | "shut" | "over";

/** "idle": no response is owed. "due": one is, and its head comes next. */
type Sending = "idle" | "due" | "body";

const noEvents: readonly EngineEvent[] = [];

export class H1Server implements ServerEngine {
  readonly #policy: Policy;
  readonly #sections: KnownSections;
  readonly #server: string;
  readonly #out = new BodyWriter();
  #reading: Reading = "head";
  #sending: Sending = "idle";
  #stream: StreamId = 0;
  #persistent = true;
  #peerEnded = false;
  #kept: Kept | undefined;
  #head: HeadReader | undefined;
  #body: BodyReader | undefined;
  // Of the request in progress:
  #isHead = false;
  #version: Version = 11;
  #awaitsContinue = false;
  #needsReset = false;

  /** `server`: the Server field of responses that name no other; "": none. */
  constructor(policy: Policy = strictPolicy, server = "alicorn") {
    this.#policy = policy;
    this.#sections = sectionsOf(policy);
    this.#server = server;
  }

  /** As in the interface; here the array is the caller's, only the bytes in it are the engine's. */
  receive(bytes: Uint8Array): readonly EngineEvent[] {
    if (this.#reading === "shut" || this.#reading === "over") return noEvents;
    const events: EngineEvent[] = [];
    if (this.#kept !== undefined) {
      this.#kept.append(bytes, 0, bytes.length);
      if (this.#reading !== "held") this.#advanceKept(this.#kept, events);
    } else {
      const buffer = asBuffer(bytes);
      const at = this.#advance(buffer, 0, buffer.length, events);
      if (at < buffer.length) {
        this.#kept = new Kept();
        this.#kept.append(buffer, at, buffer.length);
      }
    }
    return this.#settle(events);
  }

  receiveEnd(): readonly EngineEvent[] {
    this.#peerEnded = true;
    return this.resume();
  }

  resume(): readonly EngineEvent[] {
    if (this.#kept === undefined && !this.#peerEnded && this.#reading !== "shut") return noEvents;
    const events: EngineEvent[] = [];
    if (this.#kept !== undefined && this.#reading !== "held") this.#advanceKept(this.#kept, events);
    if (this.#peerEnded) this.#endOfInput(events);
    return this.#settle(events);
  }

  /** Those of an unfinished head or trailer section don't count: only more bytes can finish it, within its limits. */
  get buffered(): number {
    if (this.#kept === undefined || this.#head !== undefined || this.#body !== undefined) return 0;
    return this.#kept.size;
  }

  get keepAlive(): boolean {
    if (!this.#persistent || this.#reading === "shut" || this.#reading === "over") return false;
    return !this.#peerEnded || this.#kept !== undefined;
  }

  get headBegun(): boolean {
    return this.#reading === "head" && (this.#kept !== undefined || this.#head?.begun === true);
  }

  /** What was wrong with a response, for the log; its connection closes. */
  get fault(): string | undefined {
    return this.#out.fault;
  }

  /** The response ends with the connection, and was cut short: only a TCP reset tells the client so. */
  get needsReset(): boolean {
    return this.#needsReset;
  }

  stopKeepAlive(): void {
    this.#persistent = false;
    // A request whose first bytes are here is in progress: it is still served.
    if (this.#sending === "idle" && !this.headBegun) this.#shut();
  }

  /** The connection refuses what is being read, for a reason that the engine cannot know: too slow (408), too large (413). */
  refuse(error: ProtocolError): readonly EngineEvent[] {
    const events: EngineEvent[] = [];
    if (this.#reading === "head" || this.#reading === "body") this.#refuse(error, events);
    return this.#settle(events);
  }

  // Reading.

  /** Turns `bytes[from, to)` into events; returns where those begin that have to be kept. */
  #advance(bytes: Buffer, from: number, to: number, events: EngineEvent[]): number {
    let at = from;
    while (at < to) {
      if (this.#reading === "head") {
        this.#head ??= new HeadReader(this.#policy, this.#sections);
        const head = this.#head;
        const progress = head.read(bytes, at, to);
        at = head.position;
        if (progress === "more") return at;
        if (progress === "done") this.#begin(head, events);
        else if (head.error !== undefined) this.#refuse(head.error, events);
      } else if (this.#reading === "body" && this.#body !== undefined) {
        const body = this.#body;
        const progress = body.read(bytes, at, to, events);
        at = body.position;
        if (progress === "more") return at;
        if (progress === "done") this.#endRequest();
        else if (body.error !== undefined) this.#refuse(body.error, events);
      } else if (this.#reading === "tunnel") {
        const rest = at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to);
        events.push({ type: "data", stream: this.#stream, bytes: rest, end: false });
        return to;
      } else {
        return this.#reading === "held" ? at : to;
      }
    }
    return at;
  }

  #advanceKept(kept: Kept, events: EngineEvent[]): void {
    kept.dropTo(this.#advance(kept.buffer, kept.start, kept.end, events));
    if (kept.size === 0) this.#kept = undefined;
  }

  #begin(reader: HeadReader, events: EngineEvent[]): void {
    const head = reader.finish();
    if ("status" in head) {
      this.#refuse(head, events);
      return;
    }
    this.#head = undefined;
    const stream = ++this.#stream;
    const end = head.bodyLength === 0;
    this.#isHead = head.method === "HEAD";
    this.#version = head.version;
    this.#awaitsContinue = head.expectsContinue;
    if (!reader.persistent) this.#persistent = false;
    this.#sending = "due";
    this.#reading = end ? "held" : "body";
    if (!end) this.#body = this.#bodyReader(stream, head);
    events.push({ type: "request", stream, head, end });
  }

  #bodyReader(stream: StreamId, { bodyLength }: RequestHead): BodyReader {
    return bodyLength < 0 ? new ChunkedReader(stream, this.#policy) : new LengthReader(stream, bodyLength);
  }

  /** The request has been read to its end. */
  #endRequest(): void {
    this.#body = undefined;
    if (this.#sending !== "idle") this.#reading = "held";
    else if (this.keepAlive) this.#reading = "head";
    else this.#shut();
  }

  /** RFC 9112 2.2, 6.3, 11.2: after an error nobody knows where the next message begins, so none is looked for. */
  #refuse(error: ProtocolError, events: EngineEvent[]): void {
    const reader = this.#reading === "head" ? this.#head : undefined;
    if (this.#reading === "head") {
      this.#stream++;
      this.#sending = "due";
      this.#isHead = reader?.method === "HEAD";
      this.#version = 11;
      this.#awaitsContinue = false;
    }
    this.#shut();
    if (this.#sending === "idle") return;
    const stream = this.#stream;
    events.push(
      reader === undefined
        ? { type: "refused", stream, error }
        : { type: "refused", stream, error, head: reader.partial() },
    );
  }

  #endOfInput(events: EngineEvent[]): void {
    if (this.#reading === "tunnel") {
      events.push({ type: "data", stream: this.#stream, bytes: noBytes, end: true });
      this.#shut();
    }
    if (this.#reading === "head") this.#shut();
    if (this.#reading !== "body") return;
    if (this.#policy.shortBodies && this.#body instanceof LengthReader) {
      events.push({ type: "data", stream: this.#stream, bytes: noBytes, end: true });
      this.#endRequest();
      return;
    }
    // RFC 9112 8: an incomplete request; whoever reads its body must not take it for complete.
    this.#shut();
    if (this.#sending === "idle") return;
    this.#sending = "idle";
    const error = {
      status: 400,
      rule: "RFC 9112 8",
      detail: "the client closed before the end of its request",
    } as const;
    events.push({ type: "reset", stream: this.#stream, error });
  }

  #shut(): void {
    if (this.#reading !== "over") this.#reading = "shut";
    this.#persistent = false;
    this.#head = undefined;
    this.#body = undefined;
    this.#kept = undefined;
  }

  #settle(events: EngineEvent[]): readonly EngineEvent[] {
    if (this.#reading === "shut" && this.#sending === "idle") {
      this.#reading = "over";
      events.push({ type: "closed" });
    }
    return events;
  }

  // Sending.

  sendInterim(stream: StreamId, head: ResponseHead): void {
    if (!this.#expects(stream, "due")) return;
    if (head.status < 100 || head.status > 199 || head.status === 101) throw new Error(`${head.status} is not interim`);
    // RFC 9110 15.2: an HTTP/1.0 client would take it for the response.
    if (this.#version < 11) return;
    this.#out.text(`${writeHead(head, false)}\r\n\r\n`);
    if (head.status === 100) this.#awaitsContinue = false;
  }

  sendHead(stream: StreamId, head: ResponseHead, end: boolean, date: string): void {
    if (!this.#expects(stream, "due")) return;
    const { status } = head;
    if (status === 101 || head.tunnel === true) {
      this.#sendTunnelHead(head, end, date);
      return;
    }
    if (status < 200) throw new Error(`${status} is not a final status`);
    const length = contentLength(head);
    let framing = this.#framingOf(head, length, end);
    let text = writeHead(head, status !== 204 && (framing !== "chunked" || length === undefined));
    text += writeOwnFields(head, head.server ?? this.#server, date);
    if (framing !== "none" && framing !== "length" && end) {
      text += "\r\nContent-Length: 0";
      framing = "length";
    } else if (framing === "chunked") {
      text += "\r\nTransfer-Encoding: chunked";
    }
    if (head.offers !== undefined && this.#version === 11) text += writeOffer(head.offers);
    if (framing === "close" || !this.#mayReuse()) this.#persistent = false;
    // HTTP/0.9 knows no heads: the body is all there is.
    if (this.#version !== 9) this.#out.text(text + this.#connectionFields(head));
    this.#out.begin(framing, length ?? 0);
    this.#sending = "body";
    if (end) this.#endBody();
  }

  #framingOf({ status, chunked }: ResponseHead, length: number | undefined, end: boolean): ResponseFraming {
    const framing = responseFraming(this.#isHead, this.#version, status, length);
    if (framing === "chunked" && chunked === false) return "close";
    if (framing === "length" && chunked === true && this.#version === 11 && !end) return "chunked";
    return framing;
  }

  /** RFC 9112 9.3, 9.6 */
  #connectionFields({ keepAliveHint }: ResponseHead): string {
    if (!this.keepAlive) return "\r\nConnection: close\r\n\r\n";
    if (keepAliveHint !== undefined)
      return `\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${keepAliveHint}\r\n\r\n`;
    return this.#version === 10 || this.#policy.statesKeepAlive ? "\r\nConnection: keep-alive\r\n\r\n" : "\r\n\r\n";
  }

  /** RFC 9110 7.8, 9.3.6 */
  #sendTunnelHead(head: ResponseHead, end: boolean, date: string): void {
    const { status } = head;
    if (this.#version !== 11 || end) throw new Error(`${status} to a request that cannot have it`);
    if (this.#reading === "body") throw new Error(`${status} before the end of the request`);
    let text = writeHead(head, false) + writeOwnFields(head, head.server ?? this.#server, date);
    if (status === 101) text += writeUpgrade(head);
    this.#out.text(`${text}\r\n\r\n`);
    this.#out.begin("tunnel", 0);
    this.#persistent = false;
    this.#sending = "body";
  }

  startTunnel(stream: StreamId): readonly EngineEvent[] {
    if (!this.#expects(stream, "body")) return noEvents;
    if (this.#out.framing !== "tunnel") throw new Error("a tunnel begins with 101, or with 2xx to CONNECT");
    if (this.#reading === "held") this.#reading = "tunnel";
    return this.resume();
  }

  sendTrailers(stream: StreamId, headers: Headers): void {
    if (this.#expects(stream, "body")) this.#out.setTrailers(headers);
  }

  sendData(stream: StreamId, bytes: Uint8Array, end: boolean): number {
    if (!this.#expects(stream, "body")) return 0;
    if (bytes.length > 0) this.#out.send(bytes);
    if (end) this.#endBody();
    else if (this.#out.fault !== undefined) this.#persistent = false;
    return Number.MAX_SAFE_INTEGER;
  }

  get plainBody(): boolean {
    return this.#sending === "body" && this.#out.isPlain;
  }

  noteSent(stream: StreamId, count: number, end: boolean): void {
    if (!this.#expects(stream, "body")) return;
    this.#out.note(count);
    if (end) this.#endBody();
  }

  sendReset(stream: StreamId): void {
    if (stream !== this.#stream || this.#sending === "idle") return;
    const { framing } = this.#out;
    this.#needsReset = this.#sending === "body" && (framing === "close" || framing === "tunnel");
    this.#sending = "idle";
    this.#shut();
  }

  takeOutput(): readonly (string | Uint8Array)[] {
    return this.#out.take();
  }

  /** May this be sent now? False: the connection is given up, and with it the response. Anything else out of turn is our bug. */
  #expects(stream: StreamId, sending: Sending): boolean {
    if (stream === this.#stream && this.#sending === sending) return true;
    if (this.#sending === "idle" && (this.#reading === "shut" || this.#reading === "over")) return false;
    throw new Error(`response to request ${stream} out of turn`);
  }

  /**
   * RFC 9110 10.1.1: a client that waits for 100 Continue and gets a final response instead sends the body, or the next
   * request, and nobody can tell which: no further request on this connection.
   */
  #mayReuse(): boolean {
    return !this.#awaitsContinue || this.#body === undefined || this.#body.begun;
  }

  #endBody(): void {
    this.#out.end();
    if (this.#out.fault !== undefined || this.#out.framing === "tunnel") this.#persistent = false;
    this.#sending = "idle";
    if (!this.keepAlive) this.#shut();
    else if (this.#reading === "held") this.#reading = "head";
  }
}
