/**
 * HTTP/2, client side (RFC 9113): one request and its response at a time, each on a stream of its own.
 *
 * What comes in is `client_receiver.ts`'s matter, what goes out `sender.ts`'s. At most `bodyWindow` bytes of a response are on
 * their way that nobody has asked for yet; the connection's window is wider, so that it never is what is waited for.
 */
import type { ClientEngine, ClientEvent, ClientLimits, FlowControl } from "../client_engine.ts";
import { ClientReceiver, clientTableSize } from "./client_receiver.ts";
import { type ConnectionError, code } from "./errors.ts";
import { defaultFrameSize, frame, maxStreamId } from "./frames.ts";
import { Guard } from "./guard.ts";
import { defaultH2Options } from "./options.ts";
import { Sender } from "./sender.ts";
import { PeerSettings, setting, settingsPayload } from "./settings.ts";
import { H2Stream, Streams } from "./stream.ts";
import type { H2RequestHead } from "./write_request.ts";

export type { H2RequestHead } from "./write_request.ts";

const usualLimits: ClientLimits = { headLimit: 8192 };
const { bodyWindow } = defaultH2Options;
const noEvents: readonly ClientEvent[] = [];
const end: ClientEvent = { type: "end" };

/** "idle": no request. "busy": one is under way. "over": there will be none. */
type State = "idle" | "busy" | "done" | "over";

export class H2Client implements ClientEngine<H2RequestHead>, FlowControl {
  readonly #streams = new Streams();
  readonly #peer = new PeerSettings(true);
  readonly #guard = new Guard();
  readonly #sender: Sender;
  readonly #receiver: ClientReceiver;
  #state: State = "idle";
  #stream: H2Stream | undefined;
  /** Bytes of the request's body that are still to come; -1: nobody knows. */
  #promised = 0;

  constructor() {
    this.#sender = new Sender(this.#streams, this.#peer, { server: "", chunkSize: defaultFrameSize }, this.#guard);
    const parts = { streams: this.#streams, sender: this.#sender, peer: this.#peer, guard: this.#guard };
    this.#receiver = new ClientReceiver(parts);
    this.#greet();
  }

  /** RFC 9113 3.4 */
  #greet(): void {
    this.#sender.preface();
    const entries: [name: number, value: number][] = [
      [setting.headerTableSize, clientTableSize],
      [setting.enablePush, 0],
      [setting.initialWindowSize, bodyWindow],
    ];
    this.#sender.control(frame.settings, 0, 0, settingsPayload(entries));
    this.#sender.windowUpdate(0, ClientReceiver.windowAtStart);
  }

  get flow(): FlowControl {
    return this;
  }

  get reusable(): boolean {
    if (this.#state === "busy" || this.#state === "over" || this.#receiver.isLeaving) return false;
    return this.#peer.maxStreams > 0 && this.#streams.last < maxStreamId - 1;
  }

  get requestSent(): boolean {
    return this.#stream?.phase === "ended";
  }

  reset(): void {
    if (!this.reusable) throw new Error("this connection cannot carry another request");
    this.#state = "idle";
    this.#stream = undefined;
  }

  // The request.

  sendHead(head: H2RequestHead, limits: ClientLimits = usualLimits): void {
    if (this.#state !== "idle") throw new Error("request out of turn");
    const length = head.bodyLength ?? 0;
    const id = this.#streams.last === 0 ? 1 : this.#streams.last + 2;
    const stream = new H2Stream(id, this.#peer.initialWindowSize, bodyWindow);
    stream.isHead = head.method === "HEAD";
    stream.phase = "body";
    this.#streams.open.set(id, stream);
    try {
      this.#sender.request(stream, head, length === 0);
    } catch (error) {
      this.#streams.close(stream);
      throw error;
    }
    this.#streams.last = id;
    this.#stream = stream;
    this.#promised = length;
    this.#state = "busy";
    this.#guard.request();
    this.#receiver.expect(stream, limits.headLimit);
  }

  sendData(bytes: Uint8Array, last: boolean): void {
    const stream = this.#stream;
    if (stream === undefined || this.#state !== "busy") throw new Error("request body out of turn");
    // The upstream has reset the stream: what it does not want any more goes nowhere.
    if (stream.phase === "ended") return;
    if (this.#promised >= 0) {
      this.#promised -= bytes.length;
      if (this.#promised < 0 || (last && this.#promised > 0)) {
        this.#receiver.isLeaving = true;
        throw new Error("a request's body does not have the length that its head says");
      }
    }
    this.#sender.data(stream, bytes, last);
  }

  get isBlocked(): boolean {
    return this.#sender.isWaiting;
  }

  takeOutput(): readonly Uint8Array[] {
    this.#sender.takeSent();
    this.#sender.takeDrained();
    const first = this.#sender.take();
    if (!this.#sender.isReady) return first;
    const pieces = [...first];
    while (this.#sender.isReady) pieces.push(...this.#sender.take());
    return pieces;
  }

  // The response.

  receive(bytes: Uint8Array): readonly ClientEvent[] {
    if (this.#state === "over") return noEvents;
    const receiver = this.#receiver;
    if (!receiver.read(bytes) && receiver.error !== undefined) this.#die(receiver.error);
    return this.#settle();
  }

  receiveEnd(): readonly ClientEvent[] {
    if (this.#state === "over") return noEvents;
    const detail = "upstream prematurely closed connection";
    if (this.#state === "busy") this.#receiver.fail("closed", { rule: "RFC 9113 5.1", detail });
    const events = this.#settle();
    this.#state = "over";
    return events;
  }

  /** RFC 9113 5.4.1 */
  #die({ code, rule, detail }: ConnectionError): void {
    this.#sender.goaway(0, code);
    this.#receiver.isLeaving = true;
    if (this.#state === "busy") this.#receiver.fail("invalid", { rule, detail });
    else this.#state = "over";
  }

  /** The end is known when all that came together has been read: what follows it may say that it is none. */
  #settle(): readonly ClientEvent[] {
    const receiver = this.#receiver;
    if (this.#state !== "busy") return noEvents;
    const { events, reading } = receiver;
    if (reading === "failed") this.#state = "over";
    else if (reading === "ended") {
      this.#state = "done";
      receiver.reading = "told";
      this.#dropRequest();
      events.push(end);
    }
    if (events.length === 0) return noEvents;
    receiver.events = [];
    return events;
  }

  /** The upstream has answered before it had all of the request, and need not get the rest (RFC 9113 8.1). */
  #dropRequest(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.phase === "ended") return;
    this.#sender.abandon(stream);
    this.#sender.reset(stream.id, code.cancel);
    this.#streams.close(stream);
  }

  pause(paused: boolean): void {
    this.#receiver.isPaused = paused;
    this.#receiver.openWindow();
  }
}
