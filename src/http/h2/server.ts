/**
 * HTTP/2, server side (RFC 9113): many requests at a time, each on a stream of its own.
 *
 * What comes in is `receiver.ts`'s matter, what goes out `sender.ts`'s; here they meet, and the connection begins and ends. Beside
 * the interface of all engines there is what only streams need: `readBody`, `dropBody`, `takeSent`.
 */
import type { EngineEvent, ProtocolError, ServerEngine, StreamId } from "../engine.ts";
import { contentLength } from "../h1/write.ts";
import type { Headers } from "../headers.ts";
import type { ResponseHead } from "../message.ts";
import { type ConnectionError, code, type ErrorCode } from "./errors.ts";
import { frame, maxStreamId } from "./frames.ts";
import { Guard } from "./guard.ts";
import { defaultH2Options, type H2Options } from "./options.ts";
import { Receiver } from "./receiver.ts";
import { Sender, type Sent } from "./sender.ts";
import { PeerSettings, setting, settingsPayload } from "./settings.ts";
import { type H2Stream, Streams } from "./stream.ts";

/** "announced": no further request is wanted, those under way are served. "decided": … and the peer knows which. */
type Ending = "no" | "announced" | "decided" | "over";

/** How much a stream takes that has nothing in its queue: one piece, of whatever size its source makes them. */
const anyPiece = 64 * 1024;
const pingPayload = new Uint8Array(8);
const noEvents: readonly EngineEvent[] = [];

export class H2Server implements ServerEngine {
  readonly #options: H2Options;
  readonly #streams = new Streams();
  readonly #guard = new Guard();
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  #ending: Ending = "no";
  #fault: ConnectionError | undefined = undefined;

  constructor(options: H2Options = defaultH2Options) {
    this.#options = options;
    const peer = new PeerSettings();
    this.#sender = new Sender(this.#streams, peer, options, this.#guard);
    const parts = { streams: this.#streams, sender: this.#sender, peer, guard: this.#guard, options };
    this.#receiver = new Receiver(parts);
    this.#greet();
  }

  /** RFC 9113 3.4: our half of the preface. */
  #greet(): void {
    const { maxStreams, prereadSize, extendedConnect } = this.#options;
    const entries: [name: number, value: number][] = [
      [setting.maxConcurrentStreams, maxStreams],
      [setting.initialWindowSize, prereadSize],
      [setting.noRfc7540Priorities, 1],
    ];
    if (extendedConnect) entries.push([setting.enableConnectProtocol, 1]);
    this.#sender.control(frame.settings, 0, 0, settingsPayload(entries));
    this.#sender.windowUpdate(0, Receiver.windowAtStart);
  }

  // Reading.

  receive(bytes: Uint8Array): readonly EngineEvent[] {
    if (this.#ending === "over") return noEvents;
    const { reader } = this.#receiver;
    if (!reader.read(bytes) && reader.error !== undefined) this.#die(reader.error);
    return this.#settle();
  }

  /** A peer that sends nothing more can do nothing with a response either: no window would ever open again. */
  receiveEnd(): readonly EngineEvent[] {
    this.#giveUpAll("RFC 9113 5.4.1", "the client closed the connection");
    this.#ending = "decided";
    return this.#settle();
  }

  resume(): readonly EngineEvent[] {
    return this.#ending === "over" ? noEvents : this.#settle();
  }

  #settle(): readonly EngineEvent[] {
    const receiver = this.#receiver;
    const { events } = receiver;
    for (const { id } of this.#sender.takeDrained()) events.push({ type: "writable", stream: id });
    if (this.#ending !== "over" && this.#streams.open.size === 0) {
      if (receiver.peerLeaves && this.#ending === "no") this.#decide();
      if (this.#ending === "decided") {
        this.#ending = "over";
        events.push({ type: "closed" });
      }
    }
    if (events.length === 0) return noEvents;
    receiver.events = [];
    return events;
  }

  /** RFC 9113 5.4.1 */
  #die(error: ConnectionError): void {
    this.#fault = error;
    this.#giveUpAll(error.rule, error.detail);
    this.#sender.goaway(this.#streams.last, error.code);
    this.#ending = "decided";
  }

  #giveUpAll(rule: string, detail: string): void {
    for (const stream of [...this.#streams.open.values()]) {
      const error: ProtocolError = { status: 400, rule, detail };
      if (stream.phase !== "ended") this.#receiver.events.push({ type: "reset", stream: stream.id, error });
      this.#sender.abandon(stream);
      this.#streams.close(stream);
    }
  }

  get buffered(): number {
    return 0;
  }

  get headBegun(): boolean {
    return this.#receiver.reader.headStream > 0;
  }

  /** A frame, or a head in several of them, has come in part. */
  get isWithin(): boolean {
    return this.#receiver.reader.isWithin;
  }

  /** A head that takes too long is given up, its stream with it; others go on. */
  refuse(_error: ProtocolError): readonly EngineEvent[] {
    const id = this.#receiver.reader.headStream;
    if (id > 0) this.#receiver.refuseHead(id);
    return this.#settle();
  }

  /** Somebody reads the body, or cannot take more of it for now. */
  readBody(stream: StreamId, paused: boolean): void {
    const found = this.#streams.open.get(stream);
    if (found !== undefined) this.#receiver.read(found, paused);
  }

  /** The response has been sent and nobody reads the rest of the request: the client need not send it (RFC 9113 8.1). */
  dropBody(stream: StreamId): void {
    if (this.#streams.open.get(stream)?.phase === "ended") this.#reset(stream, code.noError);
  }

  /** The response has been sent, the request has not ended. */
  isReceiving(stream: StreamId): boolean {
    return this.#streams.open.has(stream);
  }

  /** Some ten seconds have passed; see `Guard`. */
  forgive(): void {
    this.#guard.forgive();
  }

  // Sending.

  sendInterim(stream: StreamId, head: ResponseHead): void {
    if (head.status < 100 || head.status > 199 || head.status === 101) throw new Error(`${head.status} is not interim`);
    const found = this.#expects(stream, "due");
    if (found !== undefined) this.#sender.head(found, head, false, "");
  }

  sendHead(stream: StreamId, head: ResponseHead, end: boolean, date: string): void {
    const found = this.#expects(stream, "due");
    if (found === undefined) return;
    const { status } = head;
    // RFC 9113 8.6: there is nothing to switch to.
    if (status < 200) throw new Error(`${status} is not a final status of HTTP/2`);
    const noBody = end || found.isHead || status === 204 || status === 304;
    if (!noBody) found.promised = contentLength(head) ?? -1;
    found.phase = "body";
    this.#sender.head(found, head, noBody, date);
  }

  /** Bytes of the stream's frames that have been made so far. */
  sentBytes(stream: StreamId): number {
    return this.#streams.open.get(stream)?.sent ?? 0;
  }

  /** Most bytes of the stream's DATA frames (http2_chunk_size). */
  setChunkSize(stream: StreamId, size: number): void {
    const found = this.#streams.open.get(stream);
    if (found !== undefined) found.chunkSize = size;
  }

  sendData(stream: StreamId, bytes: Uint8Array, end: boolean): number {
    const found = this.#expects(stream, "body");
    if (found === undefined) return 0;
    if (found.promised < 0) return this.#sender.data(found, bytes, end) ? anyPiece : 0;
    const { promised } = found;
    let piece = bytes;
    if (bytes.length > promised) {
      piece = bytes.subarray(0, promised);
      found.fault = "a response longer than its Content-Length was cut";
    }
    found.promised -= piece.length;
    if (end && found.promised > 0) {
      found.fault = `a response ended ${found.promised} bytes before its Content-Length`;
      this.#reset(stream, code.internalError);
      return 0;
    }
    return this.#sender.data(found, piece, end) ? anyPiece : 0;
  }

  sendTrailers(stream: StreamId, headers: Headers): void {
    const found = this.#expects(stream, "body");
    if (found !== undefined && headers.size > 0) found.trailers = headers;
  }

  /** Undefined: the stream has been given up. Anything else out of turn is our bug. */
  #expects(stream: StreamId, phase: "due" | "body"): H2Stream | undefined {
    const found = this.#streams.open.get(stream);
    if (found === undefined || found.phase === "ended") return undefined;
    if (found.phase !== phase) throw new Error(`response to request ${stream} out of turn`);
    return found;
  }

  sendReset(stream: StreamId, number: ErrorCode = code.internalError): void {
    this.#reset(stream, number);
  }

  #reset(stream: StreamId, number: ErrorCode): void {
    const found = this.#streams.open.get(stream);
    if (found === undefined) return;
    this.#receiver.release(found);
    this.#sender.abandon(found);
    this.#sender.reset(stream, found.malformed ? code.protocolError : number);
    this.#streams.closeReset(found);
  }

  /** Streams are no tunnels here, until somebody asks for RFC 8441. */
  startTunnel(): readonly EngineEvent[] {
    return noEvents;
  }

  get plainBody(): boolean {
    return false;
  }

  noteSent(): void {
    throw new Error("a body of HTTP/2 has frames around it");
  }

  /** What was wrong with the connection; a response's own fault is in `takeSent`. */
  get fault(): string | undefined {
    return this.#fault === undefined ? undefined : `${this.#fault.detail} (${this.#fault.rule})`;
  }

  get needsReset(): boolean {
    return false;
  }

  get keepAlive(): boolean {
    return this.#ending === "no" && !this.#receiver.peerLeaves;
  }

  /** RFC 9113 6.8: announced first, so that requests on their way are served; decided when the peer has heard of it. */
  stopKeepAlive(): void {
    if (this.#ending !== "no") return;
    if (!this.#options.announcesEnd) return this.#decide();
    this.#ending = "announced";
    this.#sender.goaway(maxStreamId, code.noError);
    this.#sender.control(frame.ping, 0, 0, pingPayload);
    this.#receiver.control.onPong = () => this.#decide();
  }

  #decide(): void {
    if (this.#ending !== "no" && this.#ending !== "announced") return;
    this.#ending = "decided";
    this.#receiver.control.onPong = undefined;
    this.#receiver.lastServed = this.#streams.last;
    this.#sender.goaway(this.#streams.last, code.noError);
  }

  /** The end, whoever is being served: the peer learns which of its requests may be tried again. */
  goAway(): void {
    if (this.#ending === "no" || this.#ending === "announced") this.#decide();
  }

  takeOutput(): readonly Uint8Array[] {
    return this.#sender.take();
  }

  /** Responses that are with the transport as a whole, or were given up, since the last call. */
  takeSent(): readonly Sent[] {
    return this.#sender.takeSent();
  }

  /** Another `takeOutput` would have something. */
  get hasOutput(): boolean {
    return this.#sender.size > 0 || this.#sender.isReady;
  }

  /** Bytes of frames that wait to be taken; bodies that have not become frames don't count. */
  get pending(): number {
    return this.#sender.size;
  }

  /** Responses wait for the client to open a window. */
  get isBlocked(): boolean {
    return this.#sender.isWaiting;
  }

  /** Streams that are not closed. */
  get streams(): number {
    return this.#streams.open.size;
  }
}
