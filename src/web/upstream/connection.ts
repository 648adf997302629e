/**
 * One connection to an upstream: a transport, a client engine and timers; one request at a time, at the slower end's pace.
 *
 * As with Nginx, timeouts are between two operations: to connect, to send more of the request, to read more of the response.
 * Nothing is timed while it is our own side that is waited for.
 */
import type { Timed, Timers } from "../../base/timers.ts";
import type { ClientEngine, ClientEvent, ClientHead, ReceivedHead } from "../../http/client_engine.ts";
import { noBytes } from "../../http/h1/body.ts";
import { H1Client } from "../../http/h1/client.ts";
import type { Headers } from "../../http/headers.ts";
import type { ConnectFailure, ConnectHandler, Connecting } from "../../net/connect.ts";
import type { Transport } from "../../net/transport.ts";
import {
  checkLength,
  type Dialer,
  type UpstreamHandler,
  type UpstreamRequest,
  type UpstreamResponse,
} from "./conversation.ts";
import { connectText, type FailureKind, failureText, type Phase, resetText, timeoutText } from "./failure.ts";
import { bodyOf, type Feeder, Incoming } from "./incoming.ts";
import { Outgoing, type Outlet } from "./outgoing.ts";
import type { Poolable } from "./pool.ts";
import { type TunnelFailure, UpstreamTunnel } from "./tunnel.ts";

const answered = "the upstream has answered already";
/** The wheel may look this much early; a timeout must not come before its time. */
const earlyMs = 250;

/** "fresh": not connected yet, no request · idle: between two · busy · tunnel · closed */
type State = "fresh" | "idle" | "busy" | "tunnel" | "closed";

export class UpstreamConnection implements ConnectHandler, Timed, Outlet, Feeder {
  /** Requests that have ended, and when it was connected (ms of `performance.now`). */
  requests = 0;
  connectedAt = 0;
  /** Bytes of the last request's exchange. */
  bytesReceived = 0;
  /** Called when it is closed while it is idle, by the other side or after its time to `rest`: it is of no more use. */
  whenLost: Poolable["whenLost"];
  deadline = 0;
  tick = -1;

  readonly #dialer: Dialer;
  readonly #timers: Timers;
  readonly #engine: ClientEngine;
  #state: State = "fresh";
  #connecting: Connecting | undefined;
  #transport: Transport | undefined;
  // Of the exchange in progress:
  #request: UpstreamRequest<ClientHead> | undefined;
  #handler: UpstreamHandler | undefined;
  #response: UpstreamResponse | undefined;
  #incoming: Incoming | undefined;
  #tunnel: UpstreamTunnel | undefined;
  #written = 0;
  #paused = false;
  #unsentBefore = 0;
  #outgoing: Outgoing | undefined;

  /** `engine`: fresh; its requests' heads are of its own protocol. */
  constructor(dialer: Dialer, timers: Timers, engine: ClientEngine = new H1Client()) {
    this.#dialer = dialer;
    this.#timers = timers;
    this.#engine = engine;
  }

  /** Can a request be given to it that it does not have to connect for? */
  get reusable(): boolean {
    return this.#state === "idle";
  }

  /** Bytes of the last request that the kernel has taken. */
  get bytesSent(): number {
    return this.#written + (this.#tunnel?.bytesSent ?? 0) - (this.#transport?.unsent ?? 0);
  }

  /**
   * Sends a request, over a connection that is made for it or idle, and tells `handler` what becomes of it; nothing is called
   * before it returns. Throws if the request cannot be written ; the connection is as before then.
   */
  request<H extends ClientHead>(request: UpstreamRequest<H>, handler: UpstreamHandler): void {
    if (this.#state !== "fresh" && this.#state !== "idle")
      throw new Error("request over a connection that is not idle");
    const { head, body, limits, timeouts } = request;
    checkLength(request);
    this.#engine.sendHead(head, limits);
    if (!this.#engine.requestSent) {
      if (body === undefined || body instanceof Uint8Array) this.#engine.sendData(body ?? noBytes, true);
      else this.#outgoing = new Outgoing(body, this);
    }
    this.#request = request;
    this.#handler = handler;
    this.#response = undefined;
    this.#written = 0;
    this.bytesReceived = 0;
    this.#state = "busy";
    if (this.#transport !== undefined) return this.#begin();
    this.#setTimer(timeouts.connect);
    this.#connecting = this.#dialer.connect(this);
  }

  onConnect(transport: Transport): void {
    this.#connecting = undefined;
    this.#transport = transport;
    this.connectedAt = performance.now();
    this.#handler?.onConnect?.();
    if (this.#state === "busy") this.#begin();
  }

  onConnectError(failure: ConnectFailure): void {
    this.#connecting = undefined;
    this.#fail("connect", connectText(failure, this.#dialer.address, this.#dialer.bind));
  }

  /** It waits for the next request, and closes itself after so many ms; 0: it does not. */
  rest(timeoutMs: number): void {
    this.#timers.set(this, timeoutMs);
  }

  /** Gives it up, whatever it is doing: nothing more is called on its handler. Its readers and sources hear of it. */
  close(): void {
    if (this.#state !== "closed") this.#end("the connection to the upstream was given up");
  }

  // The request.

  #begin(): void {
    const known = this.#engine.opened?.();
    if (known !== undefined) return this.#take(known);
    // A piece of the body that is at hand, or comes in the same turn, leaves together with the head.
    this.#outgoing?.pump();
    this.#arm();
    if (this.#outgoing?.isPulling === true) setImmediate(() => this.#flush());
    else this.#flush();
  }

  #flush(): void {
    if (this.#state !== "busy") return;
    this.#write();
    this.#arm();
  }

  #write(): void {
    const output = this.#engine.takeOutput();
    for (const piece of output) this.#written += piece.length;
    if (output.length > 0) this.#transport?.write(output);
  }

  /** For the request's body: the kernel and the upstream would take more of it. */
  get hasRoom(): boolean {
    return this.#transport?.unsent === 0 && this.#engine.flow?.isBlocked !== true;
  }

  onPiece(bytes: Uint8Array, last: boolean): void {
    try {
      this.#engine.sendData(bytes, last);
    } catch (error) {
      this.onBroken(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#flush();
  }

  onBroken(reason: string): void {
    this.#fail("closed", failureText(reason, "sending"));
  }

  onDrain(): void {
    if (this.#tunnel !== undefined) return this.#tunnel.onDrain();
    if (this.#state !== "busy") return;
    this.#arm();
    this.#outgoing?.pump();
  }

  // The response.

  onBytes(bytes: Uint8Array): void {
    this.bytesReceived += bytes.length;
    if (this.#tunnel !== undefined) this.#tunnel.onBytes(bytes);
    else if (this.#state === "busy") {
      if (!this.#paused && this.#transport?.unsent === 0) this.#arm();
      this.#take(this.#engine.receive(bytes));
    } else if (this.#state === "idle" && this.#engine.flow !== undefined) {
      this.#engine.receive(bytes);
      if (!this.#engine.reusable) this.#lost();
    } else this.#lost();
    if (this.#engine.flow === undefined) return;
    // It may ask for an answer, or let more of the request leave.
    this.#write();
    this.onDrain();
  }

  onEnd(): void {
    if (this.#tunnel !== undefined) this.#tunnel.onEnd();
    else if (this.#state === "busy") this.#take(this.#engine.receiveEnd());
    else this.#lost();
  }

  onClose(code?: string): void {
    if (this.#tunnel !== undefined) this.#tunnel.onClose(code);
    // An ordinary end would have been told before.
    else if (this.#state === "busy") this.#fail("reset", resetText(this.#phase, code));
    else this.#lost();
  }

  #lost(): void {
    if (this.#state === "closed") return;
    this.#end("");
    const { whenLost } = this;
    this.whenLost = undefined;
    whenLost?.(this);
  }

  /** What came in one piece is told in one piece: a response whose body has ended with it needs no stream. */
  #take(events: readonly ClientEvent[]): void {
    let head: ReceivedHead | undefined;
    let trailers: Headers | undefined;
    let ended = false;
    let failed: Extract<ClientEvent, { type: "failed" }> | undefined;
    for (const event of events) {
      switch (event.type) {
        case "interim":
          this.#handler?.onInterim?.(event.head);
          break;
        case "response":
          head = event.head;
          break;
        case "data":
          this.#incoming ??= new Incoming(this);
          this.#incoming.add(event.bytes);
          break;
        case "trailers":
          trailers = event.headers;
          break;
        case "end":
          ended = true;
          break;
        case "noted":
          this.#handler?.onNote?.(event.level, failureText(event.detail, head === undefined ? this.#phase : "body"));
          break;
        case "failed":
          failed = event;
          break;
        case "upgraded":
          this.#upgrade(event.head, events.slice(events.indexOf(event) + 1));
          return;
      }
      // A handler may have given it up.
      if (this.#state !== "busy") return;
    }
    if (ended) this.#incoming?.end();
    if (head !== undefined) this.#respond(head, ended, trailers);
    else if (this.#response !== undefined) this.#response.trailers = trailers;
    this.#conclude(ended, failed);
  }

  #respond(head: ReceivedHead, ended: boolean, trailers: Headers | undefined): void {
    if (!ended) this.#incoming ??= new Incoming(this);
    this.#response = { head, body: bodyOf(this.#incoming), trailers };
    this.#handler?.onResponse(this.#response);
  }

  #conclude(ended: boolean, failed: Extract<ClientEvent, { type: "failed" }> | undefined): void {
    if (this.#state !== "busy") return;
    const incoming = this.#incoming;
    if (ended) this.#finish();
    if (failed !== undefined) this.#fail(failed.kind, failureText(failed.error.detail, this.#phase));
    else incoming?.pump();
  }

  /** The response has ended; the connection is free before its last bytes go on, so that whoever they wake may use it. */
  #finish(): void {
    const handler = this.#handler;
    const outgoing = this.#outgoing;
    const isSent = this.#transport?.unsent === 0;
    this.requests++;
    // It has all that its reader will see.
    this.#incoming = undefined;
    if (this.#engine.reusable && isSent) {
      this.#engine.reset();
      this.#state = "idle";
      this.#timers.clear(this);
      this.#release();
      outgoing?.cancel(answered);
      this.onFlow(true);
    } else this.#end(answered, isSent);
    handler?.onEnd();
  }

  #upgrade(head: ReceivedHead, rest: readonly ClientEvent[]): void {
    const transport = this.#transport;
    const handler = this.#handler;
    if (transport === undefined || handler?.onUpgrade === undefined) {
      this.#fail("invalid", failureText("upstream switched protocols without being asked", "head"));
      return;
    }
    this.#timers.clear(this);
    this.#state = "tunnel";
    this.#tunnel = new UpstreamTunnel(transport, this, this.#timers, this.#request?.timeouts.read ?? 0);
    handler.onUpgrade(head, this.#tunnel);
    for (const event of rest) if (event.type === "data") this.#tunnel.onBytes(event.bytes);
  }

  onTunnelEnd(failure: TunnelFailure | undefined): void {
    const handler = this.#handler;
    this.#state = "closed";
    this.#transport = undefined;
    this.#release();
    if (failure === undefined) handler?.onEnd();
    else handler?.onFailure({ ...failure, phase: "tunnel", reused: this.requests > 0, requestSent: true });
  }

  onFlow(mayRead: boolean): void {
    if (this.#paused !== mayRead) return;
    this.#paused = !mayRead;
    const { flow } = this.#engine;
    if (flow !== undefined) {
      flow.pause(!mayRead);
      this.#write();
    } else if (mayRead) this.#transport?.resume();
    else this.#transport?.pause();
    if (this.#state === "busy") this.#arm();
  }

  onCancelled(reason: string): void {
    const handler = this.#handler;
    this.#incoming = undefined;
    this.#end(reason);
    handler?.onEnd();
  }

  get #phase(): Phase {
    if (this.#state === "tunnel") return "tunnel";
    if (this.#transport === undefined && this.#written === 0) return "connecting";
    if (this.#response !== undefined) return "body";
    return this.#engine.requestSent && (this.#transport?.unsent ?? 0) === 0 ? "head" : "sending";
  }

  /** Sets the time for what the upstream has to do next. */
  #arm(): void {
    const { send = 0, read = 0 } = this.#request?.timeouts ?? {};
    const unsent = this.#transport?.unsent ?? 0;
    this.#unsentBefore = unsent;
    const reads = !this.#paused && (this.#engine.requestSent || this.#response !== undefined);
    const sends = unsent > 0 || this.#engine.flow?.isBlocked === true;
    this.#setTimer(sends ? send : reads ? read : 0);
  }

  #setTimer(ms: number): void {
    this.#timers.set(this, ms === 0 ? 0 : ms + earlyMs);
  }

  onTimeout(): void {
    const unsent = this.#transport?.unsent ?? 0;
    // Slow is not stuck: bytes have left since the last look.
    if (unsent > 0 && unsent < this.#unsentBefore) this.#arm();
    else if (this.#state === "busy") this.#fail("timeout", timeoutText(this.#phase));
    else if (this.#state === "idle") this.#lost();
  }

  #fail(kind: FailureKind, detail: string): void {
    if (this.#state !== "busy") return;
    const phase = this.#phase;
    const handler = this.#handler;
    const requestSent = this.bytesSent > 0 && kind !== "refused" && kind !== "leaving";
    this.#handler = undefined;
    const incoming = this.#incoming;
    this.#incoming = undefined;
    this.#end(detail);
    handler?.onFailure({ kind, phase, detail, reused: this.requests > 0, requestSent });
    incoming?.fail(detail);
  }

  /** Closes it, and tells everybody who gives it bytes, or waits for some. Unless `gently`, what is under way breaks off. */
  #end(reason: string, gently = this.#state === "idle"): void {
    this.#state = "closed";
    this.#timers.remove(this);
    this.#connecting?.abort();
    this.#connecting = undefined;
    const transport = this.#transport;
    this.#transport = undefined;
    if (gently) transport?.end();
    else transport?.abort();
    const [outgoing, incoming, tunnel] = [this.#outgoing, this.#incoming, this.#tunnel];
    this.#release();
    outgoing?.cancel(reason);
    tunnel?.fail();
    incoming?.fail(reason);
  }

  #release(): void {
    this.#request = undefined;
    this.#handler = undefined;
    this.#response = undefined;
    this.#incoming = undefined;
    this.#outgoing = undefined;
  }
}
