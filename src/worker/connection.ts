/** One client. The only place where a transport, an engine and a site know each other. */
import type { EngineEvent, ProtocolError, ServerEngine, StreamId } from "../http/engine.ts";
import { Headers } from "../http/headers.ts";
import type { Reply, RequestHead, ResponseHead, Tunnel } from "../http/message.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import { BodyBuffer, type BodyOwner } from "../web/body_buffer.ts";
import { errorReply } from "../web/error_page.ts";
import type { Client, Exchange, Wire } from "../web/exchange.ts";
import type { ClientLimits } from "../web/limits.ts";
import { dropBody } from "../web/reply.ts";
import type { SiteAddress } from "../web/site.ts";
import { connectionClosed, headBegan, requestBegan, requestEnded } from "./accounting.ts";
import { answerWith, type Replier, refuseWith } from "./answering.ts";
import { type EventTaker, takeEvents } from "./events.ts";
import { failureStatus, requestTimeout, timedOut } from "./failures.ts";
import { mayFollow } from "./keep_alive.ts";
import { Line, type LineOwner } from "./line.ts";
import type { Phase } from "./phase.ts";
import { unknownHead } from "./refused.ts";
import { Sending, type SendingOwner } from "./sending.ts";
import type { Service } from "./service.ts";
import { type Flushable, flushSoon } from "./turn.ts";

/** Bytes of pipelined requests that may wait for the one before; then reading stops. */
const maxBuffered = 64 * 1024;
/** Of a body that nobody wants this much is read to keep the connection; past it, closing is cheaper. */
const maxDiscarded = 256 * 1024;

/** The servers behind the socket that the client has come to. */
export type Address = Pick<SiteAddress, "defaultServer" | "open">;

export class Connection
  implements TransportHandler, EventTaker, LineOwner, Flushable, SendingOwner, BodyOwner, Wire, Replier
{
  readonly #transport: Transport;
  readonly #engine: ServerEngine;
  readonly #service: Service;
  readonly #address: Address;
  readonly #client: Client;
  readonly #line: Line;
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
  #bodyPaused = false;
  /** The next request had begun to arrive before the last one was answered. */
  #pipelined = false;

  constructor(transport: Transport, engine: ServerEngine, service: Service, address: Address, client: Client) {
    this.#transport = transport;
    this.#engine = engine;
    this.#service = service;
    this.#address = address;
    this.#client = client;
    this.#limits = address.defaultServer.root.limits;
    this.#line = new Line(transport, service.timers, this);
    this.#line.wait(this.#limits.headerTimeoutMs);
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
    if (this.#phase === "lingering") this.#line.lingerOn();
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
      this.#line.drained();
      this.#sending?.pull();
    } else if (this.#phase === "idle") this.#next();
  }

  onClose(): void {
    const exchange = this.#exchange;
    connectionClosed(this.#service, this, this.#phase === "head" && exchange === undefined);
    this.#phase = "closed";
    this.#line.close();
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
    takeEvents(events, this);
    if (this.idle && this.#engine.headBegun) {
      headBegan(this.#service);
      this.#enter("head", this.#address.defaultServer.root.limits.headerTimeoutMs);
    }
    this.#line.setPaused(this.#bodyPaused || this.#engine.buffered > maxBuffered);
  }

  onRequest(stream: StreamId, head: RequestHead, end: boolean): void {
    this.#receiving = !end;
    this.#discarded = 0;
    this.#body = end ? undefined : new BodyBuffer(this);
    const exchange = this.#open(stream, head);
    for (const line of head.ignoredLines) exchange.log("info", `client sent invalid header line: "${line}"`);
    if (end) this.#enter("answering", 0);
    else this.#enter("body", this.#limits.bodyTimeoutMs);
    answerWith(this, exchange);
  }

  #open(stream: StreamId, head: RequestHead): Exchange {
    requestBegan(this.#service, this.#phase === "head");
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

  /** A handler reads the body: only then is a waiting client told to send it (RFC 9110 10.1.1). */
  onBodyWanted(): void {
    if (this.#exchange !== undefined) this.#limits = this.#exchange.location.limits;
    if (this.#exchange?.request.expectsContinue === true) this.sendInterim({ status: 100, headers: new Headers() });
  }

  pauseBody(paused: boolean): void {
    this.#bodyPaused = paused;
    this.#line.setPaused(paused || this.#engine.buffered > maxBuffered);
  }

  sendInterim(head: ResponseHead): void {
    this.#engine.sendInterim(this.#stream, head);
    this.onOutput();
  }

  onData(bytes: Uint8Array, end: boolean): void {
    if (this.#tunnel !== undefined) {
      // The other end asks for more when it has room.
      this.#line.setPaused(true);
      return this.#tunnel.sink.push(bytes, end);
    }
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
  onRefused(stream: StreamId, { status, detail, rule }: ProtocolError, head: RequestHead | undefined): void {
    // What follows has no meaning any more, but the peer may still be sending it.
    this.#receiving = true;
    if (this.#exchange !== undefined) {
      this.#exchange.log("info", `${detail} (${rule})`);
      this.#body?.fail(status, detail);
      return;
    }
    const exchange = this.#open(stream, head ?? unknownHead);
    exchange.log("info", `${detail} (${rule})`);
    refuseWith(this, exchange, status);
  }

  onReset({ detail }: ProtocolError): void {
    (this.#exchange ?? this.#unknown()).log("info", detail);
    this.#transport.abort();
  }

  onFinished(): void {
    if (this.#exchange === undefined && this.#sending === undefined) this.#transport.end();
  }

  onFailure(exchange: Exchange, error: unknown): void {
    const status = failureStatus(exchange, error);
    if (this.#sending !== undefined) return this.onBroken("an internal error");
    const replier = {
      onReply: (page: Exchange, reply: Reply) => this.onReply(page, reply),
      onFailure: () => this.#transport.abort(),
    };
    refuseWith(replier, exchange, status);
  }

  onReply(exchange: Exchange, found: Reply): void {
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
    tunnel.onWanted = () => this.#line.setPaused(false);
    this.#takeAll(this.#engine.startTunnel(this.#stream));
  }

  onOutput(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    flushSoon(this);
  }

  get sendFile(): SendingOwner["sendFile"] {
    return this.#line.sendFile;
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
    else if (!drained) this.#line.awaitDrain(this.#limits.sendTimeoutMs);
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
    requestEnded(this.#service);
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
      if ((this.#receiving && lingeringClose !== "off") || lingeringClose === "always") {
        this.#phase = "lingering";
        this.#line.linger(this.#limits);
      } else this.#line.end(this.#wasLogged);
      return;
    }
    if (this.#receiving) {
      this.#enter("discarding", this.#limits.bodyTimeoutMs);
      this.#line.setPaused(false);
      return;
    }
    this.#enter("idle", this.#limits.keepAliveTimeoutMs);
    this.#pipelined = this.#engine.buffered > 0;
    // A client that asks and does not read gets no further answers until it does: memory per connection stays bounded.
    if (this.#transport.unsent > 0) this.#line.awaitDrain(this.#limits.sendTimeoutMs);
    else if (this.#engine.buffered > 0) this.#takeAll(this.#engine.resume());
    else this.#engine.resume();
  }

  /** `timeoutMs`: how long it may stay in this phase; 0: it is not the client whom we wait for. */
  #enter(phase: Phase, timeoutMs: number): void {
    this.#phase = phase;
    this.#line.wait(timeoutMs);
  }

  onStuck(): void {
    (this.#exchange ?? this.#unknown()).log("info", timedOut("sending response to client"));
    this.#transport.abort();
  }

  onTooSlow(): void {
    // A body that waits for its reader is not the client's delay.
    if (this.#phase === "body" && this.#bodyPaused) return this.#enter("body", this.#limits.bodyTimeoutMs);
    if (this.#phase !== "head" && this.#phase !== "body") return this.#transport.end();
    if (this.#limits.resetTimedOut) this.#transport.abort();
    else this.#takeAndFlush(this.#engine.refuse(requestTimeout(this.#phase === "head" ? "headers" : "body")));
  }
}

const pull = (sending: Sending): void => sending.pull();
