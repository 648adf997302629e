/**
 * HTTP/1.0 and 1.1, server side (RFC 9112): one request at a time, what comes after it waits in `kept`.
 *
 * Two state words, one for each direction; a request is over when both its message has been read and its response has
 * been sent. Nothing but these two and a few numbers is held while a connection is idle.
 */
import { asBuffer } from "../../base/bytes.ts";
import type { EngineEvent, ProtocolError, ServerEngine, StreamId } from "../engine.ts";
import type { RequestHead, ResponseHead, Version } from "../message.ts";
import { type BodyReader, ChunkedReader, LengthReader, noBytes } from "./body.ts";
import { type ResponseFraming, responseFraming } from "./framing.ts";
import { HeadReader } from "./head.ts";
import { Kept } from "./kept.ts";
import { type Policy, strictPolicy } from "./policy.ts";
import { chunkEnd, chunkStart, contentLength, lastChunk, writeHead, writeOwnFields } from "./write.ts";

/**
 * What the next byte from the peer is. "held": part of a later request, kept until the response has ended. "shut": nothing,
 * no matter what it is. "over": the same, and "closed" has been said.
 */
type Reading = "head" | "body" | "held" | "shut" | "over";

/** "idle": no response is owed. "due": one is, and its head comes next. */
type Sending = "idle" | "due" | "body";

const noEvents: readonly EngineEvent[] = [];
const noPieces: readonly (string | Uint8Array)[] = [];

export class H1Server implements ServerEngine {
  readonly #policy: Policy;
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
  // Of the response in progress:
  #framing: ResponseFraming = "none";
  #bodyLeft = 0;
  #output: (string | Uint8Array)[] | undefined;
  #fault: string | undefined;
  #needsReset = false;

  constructor(policy: Policy = strictPolicy) {
    this.#policy = policy;
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
    return this.#fault;
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
        this.#head ??= new HeadReader(this.#policy);
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
    if (this.#reading === "head") {
      this.#stream++;
      this.#sending = "due";
      this.#isHead = this.#head?.method === "HEAD";
      this.#version = 11;
      this.#awaitsContinue = false;
    }
    this.#shut();
    if (this.#sending !== "idle") events.push({ type: "refused", stream: this.#stream, error });
  }

  #endOfInput(events: EngineEvent[]): void {
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
    if (this.#version === 10) return;
    this.#text(`${writeHead(head, false)}\r\n`);
    if (head.status === 100) this.#awaitsContinue = false;
  }

  sendHead(stream: StreamId, head: ResponseHead, end: boolean, date: string): void {
    if (!this.#expects(stream, "due")) return;
    const { status } = head;
    if (status < 200) throw new Error(`${status} is not a final status`);
    const length = contentLength(head);
    let text = writeHead(head, status !== 204) + writeOwnFields(date);
    let framing = responseFraming(this.#isHead, this.#version, status, length);
    if (framing !== "none" && framing !== "length" && end) {
      text += "Content-Length: 0\r\n";
      framing = "length";
    } else if (framing === "chunked") {
      text += "Transfer-Encoding: chunked\r\n";
    }
    if (framing === "close" || !this.#mayReuse()) this.#persistent = false;
    // RFC 9112 9.3, 9.6
    if (!this.keepAlive) text += "Connection: close\r\n\r\n";
    else text += this.#version === 10 ? "Connection: keep-alive\r\n\r\n" : "\r\n";
    this.#text(text);
    this.#framing = framing;
    this.#bodyLeft = length ?? 0;
    this.#sending = "body";
    if (end) this.#endBody();
  }

  sendData(stream: StreamId, bytes: Uint8Array, end: boolean): number {
    if (!this.#expects(stream, "body")) return 0;
    if (bytes.length > 0) this.#send(bytes);
    if (end) this.#endBody();
    return Number.MAX_SAFE_INTEGER;
  }

  get plainBody(): boolean {
    return this.#sending === "body" && (this.#framing === "length" || this.#framing === "close");
  }

  noteSent(stream: StreamId, count: number, end: boolean): void {
    if (!this.#expects(stream, "body")) return;
    if (this.#framing === "length") this.#bodyLeft -= count;
    if (end) this.#endBody();
  }

  sendReset(stream: StreamId): void {
    if (stream !== this.#stream || this.#sending === "idle") return;
    this.#needsReset = this.#sending === "body" && this.#framing === "close";
    this.#sending = "idle";
    this.#shut();
  }

  takeOutput(): readonly (string | Uint8Array)[] {
    const output = this.#output;
    if (output === undefined) return noPieces;
    this.#output = undefined;
    return output;
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

  #send(bytes: Uint8Array): void {
    switch (this.#framing) {
      case "none":
        return;
      case "chunked":
        this.#text(chunkStart(bytes.length));
        this.#pieces().push(bytes, chunkEnd);
        return;
      case "close":
        this.#pieces().push(bytes);
        return;
      case "length":
        if (bytes.length > this.#bodyLeft) {
          this.#fail("more bytes than its Content-Length");
          if (this.#bodyLeft > 0) this.#pieces().push(bytes.subarray(0, this.#bodyLeft));
          this.#bodyLeft = 0;
          return;
        }
        this.#bodyLeft -= bytes.length;
        this.#pieces().push(bytes);
    }
  }

  #endBody(): void {
    if (this.#framing === "chunked") this.#text(lastChunk);
    else if (this.#framing === "length" && this.#bodyLeft > 0) this.#fail("fewer bytes than its Content-Length");
    this.#sending = "idle";
    if (!this.keepAlive) this.#shut();
    else if (this.#reading === "held") this.#reading = "head";
  }

  #fail(fault: string): void {
    this.#fault = `response with ${fault}`;
    this.#persistent = false;
  }

  /** Text joins text: a head and its first chunk's size are one piece, an end of chunk and the next size too. */
  #text(text: string): void {
    const pieces = this.#pieces();
    const last = pieces.length - 1;
    const before = pieces[last];
    if (typeof before === "string") pieces[last] = before + text;
    else pieces.push(text);
  }

  #pieces(): (string | Uint8Array)[] {
    this.#output ??= [];
    return this.#output;
  }
}
