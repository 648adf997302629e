/** One client. The only place where a transport, an engine and a site know each other. */
import type { Timed } from "../base/timers.ts";
import { unreachable } from "../base/unreachable.ts";
import type { EngineEvent, ProtocolError, ServerEngine, StreamId } from "../http/engine.ts";
import { Headers } from "../http/headers.ts";
import { type Ends, HttpFailure, type Reply, type RequestHead } from "../http/message.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import { BodyBuffer } from "../web/body_buffer.ts";
import { errorReply } from "../web/error_page.ts";
import type { Exchange } from "../web/exchange.ts";
import { answer, type Jump } from "../web/pipeline.ts";
import { dropBody } from "../web/reply.ts";
import { Sending, type SendingOwner } from "./sending.ts";
import type { Service } from "./service.ts";
import { type Flushable, flushSoon } from "./turn.ts";

/** Bytes of pipelined requests that may wait for the one before; then reading stops. */
const maxBuffered = 64 * 1024;
/** Of a body that nobody wants this much is read to keep the connection; past it, closing is cheaper. */
const maxDiscarded = 256 * 1024;

/**
 * new, idle: before the first request, and between two · head: one has begun to arrive · body: a handler reads its body ·
 * answering: a handler works or waits · sending: the response is on its way · discarding: it has left, the body has not ended ·
 * lingering: all is said, the peer may still be sending (RFC 9112 9.6) · closed
 */
type Phase = "new" | "idle" | "head" | "body" | "answering" | "sending" | "discarding" | "lingering" | "closed";

export class Connection implements TransportHandler, Timed, Flushable, SendingOwner {
  readonly #transport: Transport;
  readonly #engine: ServerEngine;
  readonly #service: Service;
  readonly #local: LocalEnd;
  #ends: Ends | undefined;
  #phase: Phase = "new";
  // The request in progress. HTTP/1 has one at a time: responses leave in the order of the requests (RFC 9112 9.3.2).
  #stream: StreamId = 0;
  #exchange: Exchange | undefined;
  #body: BodyBuffer | undefined;
  #sending: Sending | undefined;
  /** Bytes of its body are still to come. */
  #receiving = false;
  #discarded = 0;
  #flushing = false;
  #paused = false;
  #unsentBefore = 0;
  #lingerUntil = 0;
  deadline = 0;
  tick = -1;

  constructor(transport: Transport, engine: ServerEngine, service: Service, local: LocalEnd) {
    this.#transport = transport;
    this.#engine = engine;
    this.#service = service;
    this.#local = local;
    service.timers.set(this, service.limits.headerTimeoutMs);
  }

  /** Nothing has been asked that is not answered. */
  get idle(): boolean {
    return this.#phase === "idle" || this.#phase === "new";
  }

  /** Ends the connection as soon as nothing is lost by it: now if idle, else after the response. */
  retire(): void {
    this.#engine.stopKeepAlive();
    if (this.idle) this.#transport.end();
  }

  onBytes(bytes: Uint8Array): void {
    // A response that waits for its flush comes first: the engine may understand what follows it already.
    if (this.#sending?.ended === true) this.flush();
    if (this.#phase === "lingering") this.#linger();
    else if (this.#phase !== "closed") this.#takeAndFlush(this.#engine.receive(bytes));
  }

  /** The peer will send nothing more; what it has asked for it may still read. */
  onEnd(): void {
    if (this.idle || this.#phase === "lingering") this.#transport.end();
    else if (this.#phase !== "closed") this.#takeAndFlush(this.#engine.receiveEnd());
  }

  onDrain(): void {
    if (this.#phase === "sending") {
      this.#service.timers.clear(this);
      this.#sending?.pull();
    } else if (this.#phase === "idle") this.#next();
  }

  onClose(): void {
    this.#phase = "closed";
    this.#service.timers.remove(this);
    this.#service.connections.delete(this);
    this.#exchange?.onGone?.();
    this.#sending?.cancel("the client has gone");
    this.#body?.fail(400, "the client has gone");
    this.#sending = undefined;
    this.#exchange = undefined;
    this.#body = undefined;
  }

  /** What is answered at once leaves at once, without the detour over the end of the turn. */
  #takeAndFlush(events: readonly EngineEvent[]): void {
    const others = this.#flushing;
    this.#flushing = true;
    this.#takeAll(events);
    this.#flushing = others;
    if (!others) this.flush();
  }

  #takeAll(events: readonly EngineEvent[]): void {
    for (let i = 0; i < events.length; i++) this.#take(events[i]!);
    if (this.idle && this.#engine.headBegun) this.#enter("head", this.#service.limits.headerTimeoutMs);
    this.#setPaused(this.#engine.buffered > maxBuffered);
  }

  #take(event: EngineEvent): void {
    switch (event.type) {
      case "request":
        return this.#serve(event.stream, event.head, event.end);
      case "data":
        return this.#receiveBody(event.bytes, event.end);
      case "trailers":
        return this.#receiveBody(nothing, true);
      case "refused":
        return this.#refuse(event.stream, event.error);
      case "reset":
        this.#service.log.info(`${this.#peer()}: ${event.error.detail} (${event.error.rule})`);
        return this.#transport.abort();
      case "writable":
        return;
      case "closed":
        if (this.#exchange === undefined && this.#sending === undefined) this.#transport.end();
        return;
      default:
        return unreachable(event);
    }
  }

  #serve(stream: StreamId, head: RequestHead, end: boolean): void {
    this.#stream = stream;
    this.#receiving = !end;
    if (this.#service.limits.keepAliveTimeoutMs === 0) this.#engine.stopKeepAlive();
    this.#discarded = 0;
    if (end) this.#enter("answering", 0);
    else {
      this.#body = new BodyBuffer(() => this.#continue(head));
      this.#enter("body", this.#service.limits.bodyTimeoutMs);
    }
    this.#ends ??= new ConnectionEnds(this.#transport, this.#local);
    const exchange = this.#service.site.open(head, this.#ends, this.#body, performance.now());
    this.#exchange = exchange;
    try {
      const found = answer(exchange);
      if (!(found instanceof Promise)) this.#reply(exchange, found);
      else
        found.then(
          (later) => this.#replyLater(exchange, later),
          (error) => this.#fail(exchange, error),
        );
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #replyLater(exchange: Exchange, found: Reply | Jump): void {
    try {
      this.#reply(exchange, found);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** A handler reads the body: only then is a waiting client told to send it (RFC 9110 10.1.1). */
  #continue({ expectsContinue }: RequestHead): void {
    if (!expectsContinue) return;
    this.#engine.sendInterim(this.#stream, { status: 100, headers: new Headers() });
    this.onOutput();
  }

  #receiveBody(bytes: Uint8Array, end: boolean): void {
    if (end) this.#receiving = false;
    this.#body?.push(bytes, end);
    if (this.#phase === "body") {
      if (end) this.#enter("answering", 0);
      else this.#enter("body", this.#service.limits.bodyTimeoutMs);
      return;
    }
    this.#discarded += bytes.length;
    if (this.#discarded > maxDiscarded) this.#engine.stopKeepAlive();
    if (this.#phase === "discarding" && (end || !this.#engine.keepAlive)) this.#next();
  }

  /** A request that broke a rule is given to nobody; if only its body did, its handler hears of it. */
  #refuse(stream: StreamId, { status, detail, rule }: ProtocolError): void {
    this.#service.log.info(`${this.#peer()}: ${status}: ${detail} (${rule})`);
    // What follows has no meaning any more, but the peer may still be sending it.
    this.#receiving = true;
    this.#stream = stream;
    if (this.#exchange === undefined) this.#send(undefined, errorReply(status));
    else this.#body?.fail(status, detail);
  }

  #fail(exchange: Exchange, error: unknown): void {
    if (error instanceof HttpFailure) {
      this.#reply(exchange, errorReply(error.status));
      return;
    }
    // Our own fault: caught here and nowhere else.
    this.#service.log.error(`${label(exchange)}: ${error instanceof Error ? error.stack : String(error)}`);
    if (this.#sending === undefined) this.#reply(exchange, errorReply(500));
    else this.onBroken("an internal error");
  }

  #reply(exchange: Exchange, found: Reply | Jump): void {
    // The client may have gone while the handler waited.
    if (this.#exchange !== exchange) return "body" in found ? dropBody(found.body, "the client has gone") : undefined;
    if ("jumpTo" in found) throw new Error(`nothing jumps yet, but "${exchange.location.name}" does`);
    exchange.onGone = undefined;
    this.#send(exchange, found);
  }

  #send(exchange: Exchange | undefined, reply: Reply): void {
    this.#enter("sending", 0);
    this.#sending = new Sending(this.#engine, this.#stream, this, exchange, reply);
    this.onOutput();
  }

  onOutput(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    flushSoon(this);
  }

  get sendFile(): SendingOwner["sendFile"] {
    const transport = this.#transport;
    return transport.sendFile === undefined
      ? undefined
      : (fd, offset, length) => transport.sendFile?.(fd, offset, length) ?? 0;
  }

  onBroken(reason: string): void {
    this.#service.log.error(`${label(this.#exchange)}: the response was cut off: ${reason}`);
    this.#engine.sendReset(this.#stream);
    this.#sending = undefined;
    this.flush();
    // A body that ends with the connection looks complete unless the connection breaks; others lack their last bytes anyway.
    if (this.#engine.needsReset) this.#transport.abort();
    else this.#transport.end();
  }

  flush(): void {
    this.#flushing = false;
    if (this.#phase === "closed") return;
    const output = this.#engine.takeOutput();
    const drained = output.length > 0 ? this.#transport.write(output) : this.#transport.unsent === 0;
    const sending = this.#sending;
    if (sending === undefined) return;
    if (sending.ended) this.#endResponse(sending);
    else if (!drained) this.#awaitDrain();
    // A source that always has more must not keep the loop from everybody else: one piece per turn.
    else if (sending.bodyBytes > 0) setImmediate(pull, sending);
    else sending.pull();
  }

  #endResponse({ status, bodyBytes }: Sending): void {
    const exchange = this.#exchange;
    const { fault } = this.#engine;
    if (fault !== undefined) this.#service.log.error(`${label(exchange)}: ${fault}`);
    if (exchange !== undefined) this.#service.access?.(exchange, status, bodyBytes);
    this.#body?.release();
    this.#body = undefined;
    this.#exchange = undefined;
    this.#sending = undefined;
    this.#next();
  }

  /** The response is with the transport: on to the next request, or to the end. */
  #next(): void {
    if (!this.#engine.keepAlive) {
      if (this.#receiving) this.#startLinger();
      else this.#transport.end();
      return;
    }
    const { limits } = this.#service;
    if (this.#receiving) {
      this.#enter("discarding", limits.bodyTimeoutMs);
      return;
    }
    this.#enter("idle", limits.keepAliveTimeoutMs);
    // A client that asks and does not read gets no further answers until it does: memory per connection stays bounded.
    if (this.#transport.unsent > 0) this.#awaitDrain();
    else if (this.#engine.buffered > 0) this.#takeAll(this.#engine.resume());
    else this.#engine.resume();
  }

  #startLinger(): void {
    this.#phase = "lingering";
    this.#lingerUntil = performance.now() + this.#service.limits.lingeringTimeMs;
    this.#setPaused(false);
    this.#transport.shutdown();
    this.#linger();
  }

  #linger(): void {
    const left = this.#lingerUntil - performance.now();
    if (left <= 0) this.#transport.end();
    else this.#enter("lingering", Math.min(left, this.#service.limits.lingeringTimeoutMs));
  }

  #awaitDrain(): void {
    this.#unsentBefore = this.#transport.unsent;
    this.#service.timers.set(this, this.#service.limits.sendTimeoutMs);
  }

  /** `timeoutMs`: how long it may stay in this phase; 0: it is not the client whom we wait for. */
  #enter(phase: Phase, timeoutMs: number): void {
    this.#phase = phase;
    this.#service.timers.set(this, timeoutMs);
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#transport.pause();
    else this.#transport.resume();
  }

  onTimeout(): void {
    if (this.#transport.unsent > 0) {
      // Slow is not stuck: bytes have left since the last look.
      if (this.#transport.unsent < this.#unsentBefore) return this.#awaitDrain();
      this.#service.log.info(`${this.#peer()} does not read its response: closed`);
      return this.#transport.abort();
    }
    switch (this.#phase) {
      case "head":
      case "body":
        // RFC 9110 15.5.9
        this.#takeAndFlush(
          this.#engine.refuse({
            status: 408,
            rule: "RFC 9110 15.5.9",
            detail: `the ${this.#phase} of a request was not complete in time`,
          }),
        );
        return;
      default:
        return this.#transport.end();
    }
  }

  #peer(): string {
    const address = this.#transport.peerAddress;
    return `client ${address === "" ? "on the Unix socket" : address}`;
  }
}

/** The peer's address costs a system call, and files are served without it: asked for when somebody wants to know. */
class ConnectionEnds implements Ends {
  readonly #transport: Transport;
  readonly localAddress: string;
  readonly localPort: string;
  readonly scheme = "http";
  environ: Uint8Array | undefined = undefined;
  #peerAddress: string | undefined = undefined;

  constructor(transport: Transport, local: LocalEnd) {
    this.#transport = transport;
    this.localAddress = local.address;
    this.localPort = local.port;
  }

  get peerAddress(): string {
    this.#peerAddress ??= this.#transport.peerAddress;
    return this.#peerAddress;
  }

  get peerPort(): number {
    return this.#transport.peerPort;
  }
}

/** Our end of a connection: a listening socket's address and port as text; a Unix socket's path and "". */
export interface LocalEnd {
  readonly address: string;
  readonly port: string;
}

const pull = (sending: Sending): void => sending.pull();
const nothing = new Uint8Array(0);
const label = (exchange: Exchange | undefined): string =>
  exchange === undefined ? "a refused request" : `${exchange.request.method} ${exchange.request.path}`;
