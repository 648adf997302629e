/** One request on one of a connection's streams: its handler, its body, its response, and how long it is waited for. */
import type { Timed } from "../base/timers.ts";
import type { ProtocolError, StreamId } from "../http/engine.ts";
import { code } from "../http/h2/errors.ts";
import type { Sent } from "../http/h2/sender.ts";
import type { H2Server } from "../http/h2/server.ts";
import { Headers } from "../http/headers.ts";
import type { Reply, RequestHead, ResponseHead } from "../http/message.ts";
import { BodyBuffer, type BodyOwner } from "../web/body_buffer.ts";
import { errorReply } from "../web/error_page.ts";
import type { Client, Exchange, Wire } from "../web/exchange.ts";
import { chunkSizeIn } from "../web/modules/http2.ts";
import { dropBody } from "../web/reply.ts";
import { answerWith, type Replier, refuseWith } from "./answering.ts";
import type { Address } from "./connection.ts";
import { failureStatus, timedOut } from "./failures.ts";
import { mayFollow } from "./keep_alive.ts";
import { Sending, type SendingOwner } from "./sending.ts";
import type { Service } from "./service.ts";

/** What requests share with their connection. */
export interface StreamsOwner {
  readonly engine: H2Server;
  readonly service: Service;
  readonly address: Address;
  readonly client: Client;
  /** There is output for the transport. */
  onOutput(): void;
  /** The stream's source shall be asked as soon as the transport has room. */
  onWantsMore(request: StreamRequest): void;
}

export class StreamRequest implements Replier, SendingOwner, BodyOwner, Wire, Timed {
  readonly stream: StreamId;
  readonly exchange: Exchange;
  readonly #owner: StreamsOwner;
  readonly #body: BodyBuffer | undefined;
  #sending: Sending | undefined;
  /** Somebody reads the body: a client that does not send it is too slow. */
  #reading = false;
  #received = false;
  #paused = false;
  #over = false;
  /** A page takes the place of what the handlers could not make. */
  #isRefused = false;
  /** Bytes of the response that had left when it was last looked at. */
  #sentBefore = 0;
  deadline = 0;
  tick = -1;

  constructor(owner: StreamsOwner, stream: StreamId, head: RequestHead, end: boolean) {
    this.#owner = owner;
    this.stream = stream;
    this.#received = end;
    this.#body = end ? undefined : new BodyBuffer(this);
    this.exchange = owner.address.open(head, owner.client, this.#body, performance.now());
    this.exchange.wire = this;
  }

  readonly sendFile = undefined;

  serve(): void {
    const { exchange } = this;
    for (const line of exchange.request.ignoredLines)
      exchange.log("info", `client sent invalid header line: "${line}"`);
    answerWith(this, exchange);
  }

  /** It broke a rule: whoever works on it need not. */
  refuse({ status, detail, rule }: ProtocolError): void {
    const { exchange } = this;
    exchange.log("info", `${detail} (${rule})`);
    const isAnswered = this.#sending !== undefined || this.#isRefused || this.#over;
    this.#isRefused = true;
    // Whoever reads the body hears of it there.
    if (!isAnswered && !this.#reading) exchange.onGone?.();
    exchange.onGone = undefined;
    this.#body?.fail(status, detail);
    if (!isAnswered) refuseWith(new Refusal(this), exchange, status);
  }

  /** With the page of a status, if nothing has been answered yet. */
  #refuseWith(status: number): void {
    if (this.#sending !== undefined || this.#isRefused || this.#over) return;
    this.#isRefused = true;
    refuseWith(new Refusal(this), this.exchange, status);
  }

  // The body.

  /** Only now is a waiting client told to send it (RFC 9110 10.1.1). */
  onBodyWanted(): void {
    if (this.#over) return;
    this.#reading = true;
    if (this.exchange.request.expectsContinue) this.sendInterim({ status: 100, headers: new Headers() });
    this.#readOn();
  }

  pauseBody(paused: boolean): void {
    // Before anybody reads it, the stream's window is all that a client may send.
    if (!this.#reading || this.#over) return;
    this.#paused = paused;
    this.#readOn();
  }

  #readOn(): void {
    this.#owner.engine.readBody(this.stream, this.#paused);
    this.#owner.onOutput();
    this.#waitForBody();
  }

  /** A body that waits for its reader is not the client's delay. */
  #waitForBody(): void {
    if (this.#sending !== undefined) return;
    const waits = this.#reading && !this.#received && !this.#paused;
    this.#owner.service.timers.set(this, waits ? this.exchange.location.limits.bodyTimeoutMs : 0);
  }

  receive(bytes: Uint8Array, end: boolean): void {
    if (end) this.#received = true;
    this.#body?.push(bytes, end);
    if (this.#reading && !this.#over) this.#waitForBody();
  }

  // The response.

  sendInterim(head: ResponseHead): void {
    if (this.#over) return;
    this.#owner.engine.sendInterim(this.stream, head);
    this.#owner.onOutput();
  }

  onFailure(exchange: Exchange, error: unknown): void {
    if (this.#isRefused) return;
    const status = failureStatus(exchange, error);
    if (this.#sending !== undefined) this.onBroken("an internal error");
    else this.#refuseWith(status);
  }

  onReply(exchange: Exchange, reply: Reply): void {
    if (this.#isRefused) dropBody(reply.body, "the request was refused");
    else this.send(exchange, reply);
  }

  send(exchange: Exchange, reply: Reply): void {
    // The client may have given it up while the handler waited.
    if (this.#over) return dropBody(reply.body, "the client has gone");
    const { engine, service } = this.#owner;
    const { limits } = exchange.location;
    exchange.onGone = undefined;
    if (reply.head.status === 444) {
      exchange.reply = reply;
      engine.sendReset(this.stream);
      return this.#owner.onOutput();
    }
    // What ends a connection of HTTP/1 ends one stream here.
    exchange.closes = false;
    if (service.draining || !mayFollow(exchange, limits)) engine.stopKeepAlive();
    service.timers.clear(this);
    const chunkSize = chunkSizeIn(exchange.location);
    if (chunkSize > 0) engine.setChunkSize(this.stream, chunkSize);
    this.#sending = new Sending(engine, this.stream, this, exchange, reply);
    this.#owner.onOutput();
    if (!this.#sending.ended) this.#owner.onWantsMore(this);
  }

  /** From the response: a piece is with the engine. */
  onOutput(): void {
    this.#owner.onOutput();
  }

  /** What is left of a piece waits for the client to open a window. */
  awaitWindow(): void {
    if (this.#sending === undefined || this.deadline > 0 || this.#over) return;
    this.#sentBefore = this.#owner.engine.sentBytes(this.stream);
    this.#owner.service.timers.set(this, this.exchange.location.limits.sendTimeoutMs);
  }

  onBroken(reason: string): void {
    if (this.#over) return;
    this.exchange.log("error", `the response was cut off: ${reason}`);
    this.#owner.engine.sendReset(this.stream);
    this.#owner.onOutput();
  }

  /** The transport has what there was: the source is asked for more. */
  pull(): void {
    if (this.#over) return;
    this.#owner.service.timers.clear(this);
    this.#sending?.pull();
  }

  /** A piece came from a source that always has more. */
  get hasBegun(): boolean {
    return (this.#sending?.bodyBytes ?? 0) > 0;
  }

  onTimeout(): void {
    const { engine } = this.#owner;
    if (this.#sending === undefined) this.#endSlowBody();
    // Slow is not stuck: bytes have left since the last look.
    else if (engine.sentBytes(this.stream) > this.#sentBefore) return this.awaitWindow();
    else {
      this.exchange.log("info", timedOut("sending response to client"));
      engine.sendReset(this.stream, code.cancel);
    }
    this.#owner.onOutput();
  }

  #endSlowBody(): void {
    this.exchange.reply ??= errorReply(408);
    this.#over = true;
    this.#body?.fail(408, timedOut("reading client request body"));
    this.#owner.engine.sendReset(this.stream, code.protocolError);
  }

  // The end.

  /** The client has given it up, or is gone. */
  giveUp(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.exchange.onGone?.();
    this.#sending?.cancel(reason);
    this.#body?.fail(400, reason);
    // Nginx's number for this, in the log alone.
    this.exchange.reply ??= errorReply(499);
  }

  /** All of it is with the transport, or nothing more of it will be: it is logged, and what was borrowed for it is given back. */
  finish(sent: Sent | undefined): void {
    const { exchange } = this;
    const { engine, service } = this.#owner;
    this.#over = true;
    service.timers.remove(this);
    this.#sending?.cancel("the response was cut off");
    exchange.onGone = undefined;
    if (sent !== undefined) {
      exchange.bytesSent += sent.bytes;
      if (sent.fault !== undefined) exchange.log("error", sent.fault);
    }
    exchange.bodyBytesSent = this.#sending?.bodyBytes ?? 0;
    exchange.reply ??= errorReply(499);
    exchange.closes = !engine.keepAlive;
    for (const log of exchange.location.logs) log(exchange);
    exchange.end();
    this.#body?.release();
  }
}

/** What is answered in a handler's place. */
class Refusal implements Replier {
  readonly #request: StreamRequest;

  constructor(request: StreamRequest) {
    this.#request = request;
  }

  onReply(exchange: Exchange, reply: Reply): void {
    this.#request.send(exchange, reply);
  }

  onFailure(exchange: Exchange, error: unknown): void {
    failureStatus(exchange, error);
    this.#request.onBroken("its error page failed");
  }
}
