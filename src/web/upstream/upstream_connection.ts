/** One connection to an upstream: joins a transport and the client engine; one request at a time, in both directions no faster than the slower end. */
import type { Address } from "../../base/address.ts";
import { formatAddress } from "../../base/address.ts";
import type { Timed, Timers } from "../../base/timers.ts";
import { type ClientEvent, type ClientRequestHead, H1Client, type ReceivedHead } from "../../http/h1/client.ts";
import type { Headers } from "../../http/headers.ts";
import type { Sink, Source } from "../../http/message.ts";
import { type ConnectFailure, type ConnectHandler, type Connecting, connectTo } from "../../net/connect.ts";
import { errorText } from "../../net/libc.ts";
import type { Transport } from "../../net/transport.ts";

/** What went wrong, for the log in Nginx's words, and for who decides about another try. */
export interface UpstreamFailure {
  readonly kind: "error" | "timeout" | "invalid";
  /** The client's request may have reached the upstream's program. */
  readonly sent: boolean;
  /** A kept connection that the upstream had closed meanwhile: another one is no second try (RFC 9112 9.3.1). */
  readonly stale: boolean;
  readonly detail: string;
}

export interface UpstreamRequest {
  readonly head: ClientRequestHead;
  /** undefined: there is none. */
  readonly body: Uint8Array | Source | undefined;
  /** ms */
  readonly timeouts: { readonly connect: number; readonly send: number; readonly read: number };
}

/** Who asked. */
export interface UpstreamHandler {
  onInterim(head: ReceivedHead): void;
  /** The response begins; its body, if it has one, is `connection.body`'s to pull. */
  onResponse(head: ReceivedHead, hasBody: boolean): void;
  onTrailers(headers: Headers): void;
  /** Something is odd about the response, in Nginx's words. */
  onNote(level: "warn" | "error", detail: string): void;
  /** There will be no response. After onResponse a failure reaches the reader of the body instead. */
  onFailure(failure: UpstreamFailure): void;
  /** The response is over: the connection may be kept (`reusable`) or not. */
  onEnd(): void;
}

/** Bytes of a body that may wait for their reader; then reading stops. */
const maxWaiting = 64 * 1024;

export class UpstreamConnection implements ConnectHandler, Timed, Source {
  readonly address: Exclude<Address, { kind: "fd" }>;
  readonly #timers: Timers;
  readonly #engine = new H1Client();
  readonly #headLimit: number;
  #transport: Transport | undefined;
  #connecting: Connecting | undefined;
  #request: UpstreamRequest | undefined;
  #handler: UpstreamHandler | undefined;
  #doing: "idle" | "connecting" | "sending" | "head" | "body" | "closed" = "idle";
  // The response's body on its way to its reader.
  #pieces: Uint8Array[] = [];
  #waiting = 0;
  #ended = false;
  #failure: string | undefined;
  #reader: Sink | undefined;
  #paused = false;
  #sentAll = false;
  /** Requests so far, and when it was opened (ms): keepalive_requests, keepalive_time. */
  requests = 0;
  openedAt = 0;
  /** Told when it closes while nobody uses it. */
  onIdleClose: (() => void) | undefined;
  /** From here on it carries bytes of no protocol that we know (101). */
  isTunnel = false;
  onTunnelWanted: (() => void) | undefined;
  #tunnelTimeoutMs = 0;
  bytesReceived = 0;
  bytesSent = 0;
  deadline = 0;
  tick = -1;

  constructor(address: UpstreamConnection["address"], timers: Timers, headLimit: number) {
    this.address = address;
    this.#timers = timers;
    this.#headLimit = headLimit;
  }

  /** May another request be sent on it? */
  get reusable(): boolean {
    return this.#doing === "idle" && this.#transport !== undefined && this.#engine.reusable;
  }

  /** Sends a request: over the connection as it stands, or one that is opened for it. */
  send(request: UpstreamRequest, handler: UpstreamHandler): void {
    this.#request = request;
    this.#handler = handler;
    this.requests++;
    this.#ended = false;
    this.#failure = undefined;
    this.#sentAll = false;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    if (this.#transport !== undefined) return this.#begin(this.#transport);
    this.#doing = "connecting";
    this.#timers.set(this, request.timeouts.connect);
    this.#connecting = connectTo(this.address, this, { noDelay: true });
  }

  onConnect(transport: Transport): void {
    this.#transport = transport;
    this.openedAt = performance.now();
    this.#begin(transport);
  }

  onConnectError({ call, errno }: ConnectFailure): void {
    this.#fail("error", `${call}() ${this.#target()}failed (${errorText(errno)})`, "connecting to");
  }

  #target(): string {
    return this.address.kind === "unix" ? `to ${formatAddress(this.address)} ` : "";
  }

  #begin(transport: Transport): void {
    const request = this.#request;
    if (request === undefined) return;
    const { head, body, timeouts } = request;
    const engine = this.#engine;
    if (this.requests > 1) engine.reset();
    // Nginx understands a response without a head, whatever was asked.
    engine.sendHead(head, { headLimit: this.#headLimit, bareResponses: true });
    if (body instanceof Uint8Array && body.length > 0) engine.sendData(body, true);
    this.#doing = "sending";
    this.#timers.set(this, timeouts.send);
    const drained = this.#write(transport);
    if (engine.requestSent) return drained ? this.#awaitHead() : undefined;
    if (drained) this.#pullBody();
  }

  #write(transport: Transport): boolean {
    const output = this.#engine.takeOutput();
    for (const piece of output) this.bytesSent += piece.length;
    return output.length === 0 ? transport.unsent === 0 : transport.write(output);
  }

  /** Where the request's body goes. */
  readonly #outgoing: Sink = {
    push: (bytes, last) => {
      if (this.#doing === "closed" || this.#transport === undefined) return;
      this.#engine.sendData(bytes, last);
      const drained = this.#write(this.#transport);
      this.#sentAll = last;
      if (last) return drained ? this.#awaitHead() : undefined;
      this.#timers.set(this, this.#request?.timeouts.send ?? 0);
      if (drained) this.#pullBody();
    },
    fail: (reason) => this.#fail("error", `client prematurely closed connection: ${reason}`, "sending request to"),
  };

  #pullBody(): void {
    const body = this.#request?.body;
    // Not within the push before: a source that has everything at hand would call and call.
    if (body !== undefined && !(body instanceof Uint8Array))
      queueMicrotask(() => this.#doing !== "closed" && body.pull(this.#outgoing));
  }

  #awaitHead(): void {
    if (this.#doing === "sending") this.#doing = "head";
    if (this.#doing === "head") this.#timers.set(this, this.#request?.timeouts.read ?? 0);
  }

  onDrain(): void {
    if (this.isTunnel) return this.onTunnelWanted?.();
    const body = this.#request?.body;
    if (this.#doing === "sending" && body !== undefined && !(body instanceof Uint8Array) && !this.#sentAll)
      this.#pullBody();
    else this.#awaitHead();
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#handler === undefined) return this.close();
    this.bytesReceived += bytes.length;
    this.#timers.set(this, this.isTunnel ? this.#tunnelTimeoutMs : (this.#request?.timeouts.read ?? 0));
    for (const event of this.#engine.receive(bytes)) this.#take(event);
  }

  #take(event: ClientEvent): void {
    switch (event.type) {
      case "interim":
        return this.#handler?.onInterim(event.head);
      case "response":
      case "upgraded":
        this.#doing = "body";
        this.isTunnel = event.type === "upgraded";
        this.#handler?.onResponse(event.head, event.head.framing !== "none" || this.isTunnel);
        return;
      case "data":
        return this.#keep(event.bytes, false);
      case "trailers":
        return this.#handler?.onTrailers(event.headers);
      case "end":
        return this.#keep(nothing, true);
      case "noted":
        return this.#handler?.onNote(event.level, event.detail);
      default:
        if (event.kind === "closed") return this.#prematurely();
        return this.#fail(
          "invalid",
          event.error.detail,
          this.#doing === "body" ? "reading" : "reading response header from",
        );
    }
  }

  /** A piece of the response's body: to its reader, or kept for it. */
  #keep(bytes: Uint8Array, end: boolean): void {
    if (end) this.#ended = true;
    const reader = this.#reader;
    if (reader !== undefined && (bytes.length > 0 || end)) {
      this.#reader = undefined;
      reader.push(bytes, end);
    } else if (bytes.length > 0) {
      this.#pieces.push(bytes);
      this.#waiting += bytes.length;
      if (this.#waiting > maxWaiting && !this.#paused) {
        this.#paused = true;
        this.#timers.clear(this);
        this.#transport?.pause();
      }
    }
    if (end) this.#over();
  }

  // The response's body, as its reader sees it.

  pull(to: Sink): void {
    if (this.#pieces.length > 0) {
      const bytes = this.#pieces.length === 1 ? (this.#pieces[0] ?? nothing) : Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#waiting = 0;
      to.push(bytes, this.#ended);
    } else if (this.#failure !== undefined) to.fail(this.#failure);
    else if (this.#ended) to.push(nothing, true);
    else this.#reader = to;
    if (!this.#paused || this.#doing === "closed") return;
    this.#paused = false;
    if (!this.isTunnel) this.#timers.set(this, this.#request?.timeouts.read ?? 0);
    this.#transport?.resume();
  }

  cancel(): void {
    this.#reader = undefined;
    this.#pieces = [];
    if (!this.#ended) this.close();
  }

  /** The whole body, if it has arrived with its head: then there is nothing to stream. */
  takeWhole(): Uint8Array | undefined {
    if (!this.#ended || this.#failure !== undefined || this.#reader !== undefined) return undefined;
    const bytes = this.#pieces.length === 1 ? (this.#pieces[0] ?? nothing) : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#waiting = 0;
    return bytes;
  }

  // The tunnel's other direction.

  /** After 101: it is closed when nothing has come through for so long. `onWanted`: there is room for more. */
  startTunnel(timeoutMs: number, onWanted: () => void): void {
    this.onTunnelWanted = onWanted;
    this.#tunnelTimeoutMs = timeoutMs;
    this.#timers.set(this, timeoutMs);
  }

  /** What the client says after 101; `end`: it has closed its half. False: ask `onTunnelWanted`. */
  tunnel(bytes: Uint8Array, end: boolean): boolean {
    this.#timers.set(this, this.#tunnelTimeoutMs);
    if (bytes.length > 0) this.#engine.sendData(bytes, false);
    const drained = this.#transport === undefined || this.#write(this.#transport);
    if (end) this.#transport?.shutdown();
    return drained;
  }

  /** The response has ended. What was not sent of the request will not be: then the connection is of no more use. */
  #over(): void {
    const handler = this.#handler;
    this.#timers.clear(this);
    this.#handler = undefined;
    this.#request = undefined;
    if (this.#doing === "closed") return handler?.onEnd();
    this.#doing = "idle";
    if (!this.#engine.reusable || (this.#transport?.unsent ?? 0) > 0) this.close();
    else if (this.#paused) {
      this.#paused = false;
      this.#transport?.resume();
    }
    handler?.onEnd();
  }

  onEnd(): void {
    if (this.#handler === undefined) return this.close();
    for (const event of this.#engine.receiveEnd()) this.#take(event);
    if (this.#handler !== undefined) this.#prematurely();
  }

  onClose(): void {
    this.#timers.remove(this);
    this.#transport = undefined;
    const idle = this.#doing === "idle";
    const wasClosed = this.#doing === "closed";
    if (idle) {
      this.#doing = "closed";
      this.onIdleClose?.();
    } else if (!wasClosed && this.#handler !== undefined) {
      for (const event of this.#engine.receiveEnd()) this.#take(event);
      if (this.#handler !== undefined) this.#prematurely();
    }
    this.#doing = "closed";
  }

  #prematurely(): void {
    const while_ =
      this.#doing === "body"
        ? "reading upstream"
        : this.#doing === "sending"
          ? "sending request to upstream"
          : "reading response header from upstream";
    this.#fail("error", `upstream prematurely closed connection while ${while_}`, undefined);
  }

  onTimeout(): void {
    const what = {
      connecting: "connecting to",
      sending: "sending request to",
      head: "reading response header from",
      body: "reading",
      idle: "",
      closed: "",
    }[this.#doing];
    if (what === "") return this.close();
    this.#fail("timeout", "upstream timed out (110: Connection timed out)", what);
  }

  #fail(kind: UpstreamFailure["kind"], detail: string, doing: string | undefined): void {
    if (this.#doing === "closed") return;
    const handler = this.#handler;
    const before = this.#doing;
    const sent = before !== "connecting";
    const stale = this.requests > 1 && sent && before !== "body" && !this.#engine.begun && kind === "error";
    this.#handler = undefined;
    const words = doing === undefined ? detail : `${detail} while ${doing} upstream`;
    this.close();
    if (before !== "body") {
      this.#request = undefined;
      handler?.onFailure({ kind, sent, stale, detail: words });
      return;
    }
    this.#failure = words;
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.fail(words);
    handler?.onEnd();
  }

  /** Ends the connection, whatever it is doing; nobody is told. */
  close(): void {
    this.#timers.remove(this);
    this.#connecting?.abort();
    const { body } = this.#request ?? {};
    if (body !== undefined && !(body instanceof Uint8Array) && !this.#sentAll)
      body.cancel("the upstream needs no more of it");
    const transport = this.#transport;
    this.#transport = undefined;
    this.#doing = "closed";
    transport?.end();
  }
}

const nothing = new Uint8Array(0);
