/** One client. The only place where a transport, an engine and a site know each other. */
import type { Timed } from "../base/timers.ts";
import { unreachable } from "../base/unreachable.ts";
import type { EngineEvent, ProtocolError, ServerEngine, StreamId } from "../http/engine.ts";
import { Headers } from "../http/headers.ts";
import { HttpFailure, type Reply, type RequestHead, type ResponseHead, type Tunnel } from "../http/message.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import { BodyBuffer, type BodyOwner } from "../web/body_buffer.ts";
import { errorReply } from "../web/error_page.ts";
import type { Client, Exchange, Wire } from "../web/exchange.ts";
import type { ClientLimits } from "../web/limits.ts";
import { type Jump, refuse, settle, walk } from "../web/pipeline.ts";
import { dropBody } from "../web/reply.ts";
import type { SiteAddress } from "../web/site.ts";
import { mayFollow } from "./keep_alive.ts";
import { unknownHead } from "./refused.ts";
import { Sending, type SendingOwner } from "./sending.ts";
import type { Service } from "./service.ts";
import { type Flushable, flushSoon } from "./turn.ts";

/** Bytes of pipelined requests that may wait for the one before; then reading stops. */
const maxBuffered = 64 * 1024;
/** Of a body that nobody wants this much is read to keep the connection; past it, closing is cheaper. */
const maxDiscarded = 256 * 1024;

/**
 * new, idle: before the first request, and between two · head: one has begun to arrive · body: a handler reads its body ·
 * answering: a handler works or waits · sending: the response is on its way · tunnel: the connection has left HTTP ·
 * discarding: the response has left, the body has not ended · lingering: all is said, the peer may still be sending
 * (RFC 9112 9.6) · closed
 */
type Phase =
  | "new"
  | "idle"
  | "head"
  | "body"
  | "answering"
  | "sending"
  | "tunnel"
  | "discarding"
  | "lingering"
  | "closed";

/** The servers behind the socket that the client has come to. */
export type Address = Pick<SiteAddress, "defaultServer" | "open">;

export class Connection implements TransportHandler, Timed, Flushable, SendingOwner, BodyOwner, Wire {
  readonly #transport: Transport;
  readonly #engine: ServerEngine;
  readonly #service: Service;
  readonly #address: Address;
  readonly #client: Client;
  #phase: Phase = "new";
  #limits: ClientLimits;
  // The request in progress. HTTP/1 has one at a time: responses leave in the order of the requests (RFC 9112 9.3.2).
  #stream: StreamId = 0;
  #exchange: Exchange | undefined;
  #body: BodyBuffer | undefined;
  #sending: Sending | undefined;
  #tunnel: Tunnel | undefined;
  /** Bytes of its body are still to come. */
  #receiving = false;
  #discarded = 0;
  #wasLogged = false;
  #flushing = false;
  #paused = false;
  #bodyPaused = false;
  /** The next request had begun to arrive before the last one was answered. */
  #pipelined = false;
  #unsentBefore = 0;
  #lingerUntil = 0;
  deadline = 0;
  tick = -1;

  constructor(transport: Transport, engine: ServerEngine, service: Service, address: Address, client: Client) {
    this.#transport = transport;
    this.#engine = engine;
    this.#service = service;
    this.#address = address;
    this.#client = client;
    this.#limits = address.defaultServer.root.limits;
    service.timers.set(this, this.#limits.headerTimeoutMs);
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

  /** Ends it whatever it is doing. */
  abort(): void {
    this.#transport.abort();
  }

  onBytes(bytes: Uint8Array): void {
    // A response that waits for its flush comes first: the engine may understand what follows it already.
    if (this.#sending?.ended === true) this.flush();
    if (this.#phase === "lingering") this.#linger();
    else if (this.#phase !== "closed") this.#takeAndFlush(this.#engine.receive(bytes));
  }

  /** The peer will send nothing more; what it has asked for it may still read. */
  onEnd(): void {
    const waits = this.#phase === "answering" && this.#exchange?.onGone !== undefined;
    if (this.idle || this.#phase === "lingering" || (waits && this.#exchange?.endsWithClient === true))
      this.#transport.end();
    else if (this.#phase !== "closed") this.#takeAndFlush(this.#engine.receiveEnd());
  }

  onDrain(): void {
    if (this.#phase === "sending" || this.#phase === "tunnel") {
      this.#service.timers.clear(this);
      this.#sending?.pull();
    } else if (this.#phase === "idle") this.#next();
  }

  onClose(): void {
    const { counters, lane, timers, connections } = this.#service;
    const exchange = this.#exchange;
    if (this.#phase === "head" && exchange === undefined) counters.add(lane, "reading", -1);
    this.#phase = "closed";
    timers.remove(this);
    connections.delete(this);
    counters.add(lane, "active", -1);
    exchange?.onGone?.();
    this.#sending?.cancel("the client has gone");
    this.#tunnel?.sink.fail("the client has gone");
    this.#body?.fail(400, "the client has gone");
    this.#sending = undefined;
    if (exchange !== undefined) {
      // Nginx's number for this, in the log alone.
      exchange.reply ??= { ...errorReply(499) };
      this.#finish(exchange);
    }
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
    for (let i = 0; i < events.length; i++) {
      const event = events[i]!;
      // What is known to be no message by its end is answered as such, not as what its beginning looked like.
      const last = events[events.length - 1]!;
      if (event.type === "request" && last.type === "refused" && last.stream === event.stream) {
        this.#refuse(event.stream, last.error, event.head);
        break;
      }
      this.#take(event);
    }
    if (this.idle && this.#engine.headBegun) {
      this.#service.counters.add(this.#service.lane, "reading", 1);
      this.#enter("head", this.#address.defaultServer.root.limits.headerTimeoutMs);
    }
    this.#setPaused(this.#bodyPaused || this.#engine.buffered > maxBuffered);
  }

  #take(event: EngineEvent): void {
    switch (event.type) {
      case "request":
        return this.#serve(event.stream, event.head, event.end);
      case "data":
        return this.#tunnel === undefined
          ? this.#receiveBody(event.bytes, event.end)
          : this.#tunnelled(event.bytes, event.end);
      case "trailers":
        return this.#receiveBody(nothing, true);
      case "refused":
        return this.#refuse(event.stream, event.error, event.head);
      case "reset":
        (this.#exchange ?? this.#unknown()).log("info", event.error.detail);
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
    this.#receiving = !end;
    this.#discarded = 0;
    this.#body = end ? undefined : new BodyBuffer(this);
    const exchange = this.#open(stream, head);
    for (const line of head.ignoredLines) exchange.log("info", `client sent invalid header line: "${line}"`);
    if (end) this.#enter("answering", 0);
    else this.#enter("body", this.#limits.bodyTimeoutMs);
    try {
      const found = walk(exchange);
      if (!(found instanceof Promise)) this.#settle(exchange, found);
      else
        found.then(
          (later) => this.#settleLater(exchange, later),
          (error) => this.#fail(exchange, error),
        );
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #settleLater(exchange: Exchange, found: Reply | Jump | undefined): void {
    try {
      this.#settle(exchange, found);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #settle(exchange: Exchange, found: Reply | Jump | undefined): void {
    const reply = settle(exchange, found);
    if (!(reply instanceof Promise)) this.#reply(exchange, reply);
    else
      reply.then(
        (later) => this.#replyLater(exchange, later),
        (error) => this.#fail(exchange, error),
      );
  }

  #open(stream: StreamId, head: RequestHead): Exchange {
    const { counters, lane } = this.#service;
    counters.add(lane, "requests", 1);
    counters.add(lane, "writing", 1);
    if (this.#phase === "head") counters.add(lane, "reading", -1);
    this.#client.requests++;
    this.#stream = stream;
    const exchange = this.#address.open(head, this.#client, this.#body, performance.now());
    exchange.wire = this;
    exchange.isPipelined = this.#pipelined;
    this.#exchange = exchange;
    return exchange;
  }

  #unknown(): Exchange {
    return this.#address.open(unknownHead, this.#client, undefined, performance.now());
  }

  #replyLater(exchange: Exchange, found: Reply): void {
    try {
      this.#reply(exchange, found);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** A handler reads the body: only then is a waiting client told to send it (RFC 9110 10.1.1). */
  onBodyWanted(): void {
    if (this.#exchange !== undefined) this.#limits = this.#exchange.location.limits;
    if (this.#exchange?.request.expectsContinue === true) this.sendInterim({ status: 100, headers: new Headers() });
  }

  pauseBody(paused: boolean): void {
    this.#bodyPaused = paused;
    this.#setPaused(paused || this.#engine.buffered > maxBuffered);
  }

  sendInterim(head: ResponseHead): void {
    this.#engine.sendInterim(this.#stream, head);
    this.onOutput();
  }

  #receiveBody(bytes: Uint8Array, end: boolean): void {
    if (end) this.#receiving = false;
    this.#body?.push(bytes, end);
    if (this.#phase === "body") {
      if (end) this.#enter("answering", 0);
      else this.#enter("body", this.#limits.bodyTimeoutMs);
      return;
    }
    this.#discarded += bytes.length;
    if (this.#discarded > maxDiscarded) this.#engine.stopKeepAlive();
    if (this.#phase === "discarding" && (end || !this.#engine.keepAlive)) this.#next();
  }

  /** A request that broke a rule is given to nobody; if only its body did, its handler hears of it. */
  #refuse(stream: StreamId, { status, detail, rule }: ProtocolError, head: RequestHead | undefined): void {
    // What follows has no meaning any more, but the peer may still be sending it.
    this.#receiving = true;
    if (this.#exchange !== undefined) {
      this.#exchange.log("info", `${detail} (${rule})`);
      this.#body?.fail(status, detail);
      return;
    }
    const exchange = this.#open(stream, head ?? unknownHead);
    exchange.log("info", `${detail} (${rule})`);
    const found = refuse(exchange, status);
    if (found instanceof Promise)
      found.then(
        (later) => this.#replyLater(exchange, later),
        (error) => this.#fail(exchange, error),
      );
    else this.#reply(exchange, found);
  }

  #fail(exchange: Exchange, error: unknown): void {
    let status = 500;
    if (error instanceof HttpFailure) {
      ({ status } = error);
      exchange.log(status >= 500 || status === 413 ? "error" : "info", error.message);
      // Part of the body is missing or unread: nobody knows where the next request would begin.
      exchange.closes = true;
    } else {
      // Our own fault: caught here and nowhere else.
      exchange.log("crit", error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    if (this.#sending !== undefined) return this.onBroken("an internal error");
    const found = refuse(exchange, status);
    if (found instanceof Promise)
      found.then(
        (later) => this.#replyLater(exchange, later),
        () => this.#transport.abort(),
      );
    else this.#reply(exchange, found);
  }

  #reply(exchange: Exchange, found: Reply): void {
    // The client may have gone while the handler waited.
    if (this.#exchange !== exchange) return dropBody(found.body, "the client has gone");
    exchange.onGone = undefined;
    this.#limits = exchange.location.limits;
    if (found.head.status === 444) {
      exchange.reply = found;
      return this.#transport.end();
    }
    if (this.#service.draining || !mayFollow(exchange, this.#limits)) this.#engine.stopKeepAlive();
    else if (this.#limits.keepAliveHint > 0) found.head.keepAliveHint = this.#limits.keepAliveHint;
    this.#enter("sending", 0);
    this.#sending = new Sending(this.#engine, this.#stream, this, exchange, found);
    this.#tunnel = found.tunnel;
    if (found.tunnel !== undefined) this.#startTunnel(found.tunnel);
    this.onOutput();
  }

  #startTunnel(tunnel: Tunnel): void {
    this.#enter("tunnel", 0);
    tunnel.onWanted = () => this.#setPaused(false);
    this.#takeAll(this.#engine.startTunnel(this.#stream));
  }

  /** From the client to the other end, which asks for more when it has room. */
  #tunnelled(bytes: Uint8Array, end: boolean): void {
    this.#setPaused(true);
    this.#tunnel?.sink.push(bytes, end);
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
    this.#exchange?.log("error", `the response was cut off: ${reason}`);
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
    if (this.#exchange !== undefined) for (const piece of output) this.#exchange.bytesSent += piece.length;
    const drained = output.length > 0 ? this.#transport.write(output) : this.#transport.unsent === 0;
    const sending = this.#sending;
    if (sending === undefined) return;
    if (sending.ended) this.#endResponse(sending);
    else if (!drained) this.#awaitDrain();
    // A source that always has more must not keep the loop from everybody else: one piece per turn.
    else if (sending.bodyBytes > 0) setImmediate(pull, sending);
    else sending.pull();
  }

  #endResponse({ bodyBytes, fileBytes }: Sending): void {
    const exchange = this.#exchange;
    const { fault } = this.#engine;
    this.#sending = undefined;
    this.#tunnel = undefined;
    if (exchange !== undefined) {
      if (fault !== undefined) exchange.log("error", fault);
      exchange.bodyBytesSent = bodyBytes;
      exchange.bytesSent += fileBytes;
      this.#finish(exchange);
    }
    this.#next();
  }

  /** The request is over, in whatever way: it is logged, and what was borrowed for it is given back. */
  #finish(exchange: Exchange): void {
    const { counters, lane } = this.#service;
    counters.add(lane, "writing", -1);
    this.#exchange = undefined;
    exchange.closes = !this.#engine.keepAlive;
    const { logs } = exchange.location;
    this.#wasLogged = logs.length > 0;
    for (const log of logs) log(exchange);
    exchange.end();
    this.#body?.release();
    this.#body = undefined;
  }

  /** The response is with the transport: on to the next request, or to the end. */
  #next(): void {
    this.#bodyPaused = false;
    if (!this.#engine.keepAlive) {
      const { lingeringClose } = this.#limits;
      if ((this.#receiving && lingeringClose !== "off") || lingeringClose === "always") this.#startLinger();
      // Lines of this turn are written at its end: who sees the connection close finds its request in the log.
      else if (this.#wasLogged) setImmediate(endOf, this.#transport);
      else this.#transport.end();
      return;
    }
    if (this.#receiving) {
      this.#enter("discarding", this.#limits.bodyTimeoutMs);
      this.#setPaused(false);
      return;
    }
    this.#enter("idle", this.#limits.keepAliveTimeoutMs);
    this.#pipelined = this.#engine.buffered > 0;
    // A client that asks and does not read gets no further answers until it does: memory per connection stays bounded.
    if (this.#transport.unsent > 0) this.#awaitDrain();
    else if (this.#engine.buffered > 0) this.#takeAll(this.#engine.resume());
    else this.#engine.resume();
  }

  #startLinger(): void {
    this.#phase = "lingering";
    this.#lingerUntil = performance.now() + this.#limits.lingeringTimeMs;
    this.#setPaused(false);
    this.#transport.shutdown();
    this.#linger();
  }

  #linger(): void {
    const left = this.#lingerUntil - performance.now();
    if (left <= 0) this.#transport.end();
    else this.#enter("lingering", Math.min(left, this.#limits.lingeringTimeoutMs));
  }

  #awaitDrain(): void {
    this.#unsentBefore = this.#transport.unsent;
    this.#service.timers.set(this, this.#limits.sendTimeoutMs);
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
      (this.#exchange ?? this.#unknown()).log(
        "info",
        "client timed out (110: Connection timed out) while sending response to client",
      );
      return this.#transport.abort();
    }
    // A body that waits for its reader is not the client's delay.
    if (this.#phase === "body" && this.#bodyPaused) return this.#enter("body", this.#limits.bodyTimeoutMs);
    if (this.#phase !== "head" && this.#phase !== "body") return this.#transport.end();
    const { resetTimedOut } = this.#limits;
    // RFC 9110 15.5.9
    const detail = `client timed out (110: Connection timed out) while reading client request ${this.#phase === "head" ? "headers" : "body"}`;
    if (resetTimedOut) this.#transport.abort();
    else this.#takeAndFlush(this.#engine.refuse({ status: 408, rule: "RFC 9110 15.5.9", detail }));
  }
}

const endOf = (transport: Transport): void => transport.end();
const pull = (sending: Sending): void => sending.pull();
const nothing = new Uint8Array(0);
