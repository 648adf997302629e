/** One client that speaks HTTP/2: its transport, its engine, and its requests, of which many are under way at a time. */
import type { EngineEvent, ProtocolError, StreamId } from "../http/engine.ts";
import type { H2Server } from "../http/h2/server.ts";
import type { RequestHead } from "../http/message.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import type { Client } from "../web/exchange.ts";
import type { ClientLimits } from "../web/limits.ts";
import { connectionClosed, requestBegan, requestEnded } from "./accounting.ts";
import type { Address } from "./connection.ts";
import { requestTimeout, timedOut } from "./failures.ts";
import { Line, type LineOwner } from "./line.ts";
import { unknownHead } from "./refused.ts";
import type { Served, Service } from "./service.ts";
import { StreamRequest, type StreamsOwner } from "./stream_request.ts";
import { type Flushable, flushSoon } from "./turn.ts";

/** Answers that a client has asked for and does not read: above it, it is not listened to any more. */
const maxPending = 64 * 1024;
/** How long a request may go on to come after it has been answered, ms: most that are not read are about to end. */
const bodyGraceMs = 100;
const forgiveEveryMs = 10_000;

/** idle: nothing is asked · head: a head has begun to arrive · busy: requests are under way · lingering: all is said · closed */
type Phase = "new" | "idle" | "head" | "busy" | "lingering" | "closed";

export class H2Connection implements TransportHandler, LineOwner, Flushable, StreamsOwner, Served {
  readonly engine: H2Server;
  readonly service: Service;
  readonly address: Address;
  readonly client: Client;
  readonly #transport: Transport;
  readonly #line: Line;
  readonly #limits: ClientLimits;
  readonly #requests = new Map<StreamId, StreamRequest>();
  #phase: Phase = "new";
  #flushing = false;
  /** Whose sources are asked when the transport has room. */
  #wanting: StreamRequest[] = [];
  #pulling = false;
  #wasLogged = false;
  /** The line's timer is set for the phase. */
  #armed = true;
  #isHeadRefused = false;
  #forgivenAt = 0;

  constructor(transport: Transport, engine: H2Server, service: Service, address: Address, client: Client) {
    this.#transport = transport;
    this.engine = engine;
    this.service = service;
    this.address = address;
    this.client = client;
    this.#limits = address.defaultServer.root.limits;
    this.#line = new Line(transport, service.timers, this);
    this.#line.wait(this.#limits.headerTimeoutMs);
    this.onOutput();
  }

  get idle(): boolean {
    return !this.#isOver && this.#requests.size === 0 && !this.engine.isWithin;
  }

  /** No further requests; those under way are answered. */
  retire(): void {
    if (this.#isOver) return;
    if (this.service.draining) this.engine.stopKeepAlive();
    else this.engine.goAway();
    this.#takeAndFlush(this.engine.resume());
  }

  abort(): void {
    this.#transport.abort();
  }

  get #isOver(): boolean {
    return this.#phase === "lingering" || this.#phase === "closed";
  }

  // The transport.

  onBytes(bytes: Uint8Array): void {
    if (this.#phase === "lingering") return this.#line.lingerOn();
    if (this.#phase === "closed") return;
    this.#forgive();
    this.#takeAndFlush(this.engine.receive(bytes));
  }

  onEnd(): void {
    if (this.#isOver) return this.#transport.end();
    this.#takeAll(this.engine.receiveEnd());
    this.#finishSent();
    this.#transport.end();
  }

  onDrain(): void {
    if (this.#isOver) return;
    this.#line.drained();
    this.flush();
  }

  onClose(): void {
    connectionClosed(this.service, this, this.#phase === "head");
    this.#phase = "closed";
    this.#line.close();
    for (const request of [...this.#requests.values()]) {
      request.giveUp("the client has gone");
      this.#finish(request, undefined);
    }
  }

  #forgive(): void {
    const now = performance.now();
    if (now - this.#forgivenAt < forgiveEveryMs) return;
    this.#forgivenAt = now;
    this.engine.forgive();
  }

  // What it says.

  #takeAndFlush(events: readonly EngineEvent[]): void {
    const others = this.#flushing;
    this.#flushing = true;
    this.#takeAll(events);
    this.#flushing = others;
    if (!others) this.flush();
  }

  #takeAll(events: readonly EngineEvent[]): void {
    for (let i = 0; i < events.length; i++) this.#take(events[i]!);
  }

  #take(event: EngineEvent): void {
    switch (event.type) {
      case "request":
        return this.#open(event.stream, event.head, event.end).serve();
      case "data":
        return this.#requests.get(event.stream)?.receive(event.bytes, event.end);
      case "trailers":
        return this.#requests.get(event.stream)?.receive(nothing, true);
      case "refused":
        return this.#refuse(event.stream, event.error, event.head);
      case "reset":
        return this.#reset(event.stream, event.error);
      case "writable":
        return this.#goOn(event.stream);
      case "closed":
        return this.#close();
    }
  }

  #open(stream: StreamId, head: RequestHead, end: boolean): StreamRequest {
    requestBegan(this.service, false);
    this.client.requests++;
    const request = new StreamRequest(this, stream, head, end);
    this.#requests.set(stream, request);
    return request;
  }

  #refuse(stream: StreamId, error: ProtocolError, head: RequestHead | undefined): void {
    const known = this.#requests.get(stream);
    (known ?? this.#open(stream, head ?? unknownHead, true)).refuse(error);
  }

  #reset(stream: StreamId, { detail }: ProtocolError): void {
    const request = this.#requests.get(stream);
    request?.exchange.log("info", detail);
    request?.giveUp(detail);
  }

  #goOn(stream: StreamId): void {
    const request = this.#requests.get(stream);
    if (request !== undefined) this.onWantsMore(request);
  }

  /** Nothing more will be asked, and all is answered. */
  #close(): void {
    if (this.#isOver) return;
    const { fault } = this.engine;
    if (fault !== undefined) this.#log(fault);
    this.#write();
    const { lingeringClose } = this.#limits;
    if (lingeringClose === "off") {
      this.#phase = "closed";
      this.#line.end(this.#wasLogged);
    } else {
      this.#phase = "lingering";
      this.#line.linger(this.#limits);
    }
  }

  #log(message: string): void {
    this.address.open(unknownHead, this.client, undefined, performance.now()).log("info", message);
  }

  // What is sent.

  onOutput(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    flushSoon(this);
  }

  onWantsMore(request: StreamRequest): void {
    this.#wanting.push(request);
  }

  flush(): void {
    this.#flushing = false;
    if (this.#isOver) return;
    const drained = this.#transport.unsent === 0 && this.#write();
    // Responses have ended, pieces have left: what that means comes before anything new.
    const others = this.#flushing;
    this.#flushing = true;
    this.#finishSent();
    this.#takeAll(this.engine.resume());
    this.#flushing = others;
    if (this.#isOver) return;
    this.#line.setPaused(!drained && this.engine.pending > maxPending);
    this.#wait(drained);
    if (!drained) return;
    if (this.engine.hasOutput) this.#later();
    else if (this.#wanting.length > 0) this.#pullAll();
  }

  /** False: the transport keeps some of it. */
  #write(): boolean {
    const output = this.engine.takeOutput();
    return output.length === 0 ? this.#transport.unsent === 0 : this.#transport.write(output);
  }

  /** First pieces are asked for at once; a source that always has more must not keep the loop from everybody else. */
  #pullAll(): void {
    const wanting = this.#wanting;
    this.#wanting = [];
    for (const request of wanting) {
      if (!request.hasBegun) request.pull();
      else this.#wanting.push(request);
    }
    if (this.#wanting.length > 0) this.#later();
  }

  #later(): void {
    if (this.#pulling) return;
    this.#pulling = true;
    setImmediate(goOn, this);
  }

  /** A turn of the loop later. */
  goOn(): void {
    this.#pulling = false;
    if (this.#isOver) return;
    if (this.#transport.unsent === 0 && !this.engine.hasOutput) {
      const wanting = this.#wanting;
      this.#wanting = [];
      for (const request of wanting) request.pull();
    }
    this.onOutput();
  }

  #finishSent(): void {
    for (const sent of this.engine.takeSent()) {
      const request = this.#requests.get(sent.stream);
      if (request === undefined) continue;
      this.#finish(request, sent);
      if (this.engine.isReceiving(sent.stream)) setTimeout(dropBody, bodyGraceMs, this, sent.stream);
    }
  }

  #finish(request: StreamRequest, sent: Parameters<StreamRequest["finish"]>[0]): void {
    requestEnded(this.service);
    this.#requests.delete(request.stream);
    request.finish(sent);
    this.#wasLogged = request.exchange.location.logs.length > 0;
  }

  /** The rest of a request that has been answered is not waited for. */
  dropBody(stream: StreamId): void {
    if (this.#isOver) return;
    this.engine.dropBody(stream);
    this.onOutput();
  }

  // How long it is waited for.

  #wait(drained: boolean): void {
    if (!drained) {
      this.#armed = false;
      return this.#line.awaitDrain(this.#limits.sendTimeoutMs);
    }
    if (this.engine.isBlocked) for (const request of this.#requests.values()) request.awaitWindow();
    const phase = this.engine.headBegun ? "head" : this.#requests.size > 0 ? "busy" : "idle";
    const isSame = phase === this.#phase || (phase === "idle" && this.#phase === "new");
    if (isSame && this.#armed) return;
    this.#enter(isSame ? this.#phase : phase);
  }

  #enter(phase: Phase): void {
    if (phase !== this.#phase) {
      const { counters, lane } = this.service;
      if (phase === "head") counters.add(lane, "reading", 1);
      if (this.#phase === "head") counters.add(lane, "reading", -1);
      this.#isHeadRefused = false;
    }
    this.#phase = phase;
    this.#armed = true;
    const { headerTimeoutMs, keepAliveTimeoutMs } = this.#limits;
    this.#line.wait(phase === "busy" ? 0 : phase === "idle" ? keepAliveTimeoutMs : headerTimeoutMs);
  }

  onTooSlow(): void {
    if (this.#phase === "lingering") return this.#transport.end();
    if (this.#phase === "head" && !this.#isHeadRefused) {
      const error = requestTimeout("headers");
      this.#isHeadRefused = true;
      this.#log(error.detail);
      this.#takeAndFlush(this.engine.refuse(error));
      // The rest may still come; others are served meanwhile.
      return this.#line.wait(this.#limits.keepAliveTimeoutMs);
    }
    if (this.#requests.size > 0) return this.#line.wait(this.#limits.headerTimeoutMs);
    this.engine.goAway();
    this.#takeAndFlush(this.engine.resume());
    if (!this.#isOver) this.#transport.end();
  }

  onStuck(): void {
    this.#log(timedOut("sending response to client"));
    this.#transport.abort();
  }
}

const nothing = new Uint8Array(0);
const goOn = (connection: H2Connection): void => connection.goOn();
const dropBody = (connection: H2Connection, stream: StreamId): void => connection.dropBody(stream);
