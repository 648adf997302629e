/** A connection whose first bytes are not HTTP's: they are gathered until they are understood, then somebody else takes over. */
import type { Timed } from "../base/timers.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import { connectionClosed } from "./accounting.ts";
import type { Served, ServedHandler, Service } from "./service.ts";

/** As long as a request's head may take, ms. */
const timeoutMs = 60_000;
/** Who has just said who it is may be about to ask: during a stop it has this long, ms. */
const lastRequestMs = 100;

/** What the bytes so far mean. */
export type Verdict =
  | { readonly kind: "more" }
  /** `rest`: what the one who takes over gets first. */
  | { readonly kind: "understood"; readonly next: ServedHandler; readonly rest: Uint8Array }
  /** The client is told the status, like one of Gunicorn's. */
  | { readonly kind: "refused"; readonly status: string; readonly why: string }
  /** Not the peer it should be: there is nobody to tell. */
  | { readonly kind: "broken"; readonly why: string };

/** A protocol that comes ahead of HTTP. */
export interface PrefaceReader {
  /** All bytes so far. */
  read(bytes: Uint8Array, peerAddress: string): Verdict;
  /** The client has ended in the middle: who takes over what has come. Without it the connection ends too. */
  ended?(): ServedHandler;
}

export const more: Verdict = { kind: "more" };

/** `status`: `403 Forbidden`. */
export const refused = (status: string, why: string): Verdict => ({ kind: "refused", status, why });

export class Preface implements TransportHandler, Timed, Served {
  readonly #transport: Transport;
  readonly #service: Service;
  readonly #reader: PrefaceReader;
  #bytes: Uint8Array = nothing;
  /** Who has taken over. */
  #next: TransportHandler | undefined;
  #refused = false;
  deadline = 0;
  tick = -1;

  constructor(transport: Transport, service: Service, reader: PrefaceReader) {
    this.#transport = transport;
    this.#service = service;
    this.#reader = reader;
    service.timers.set(this, timeoutMs);
    service.connections.add(this);
  }

  /** Nothing has come yet. */
  get idle(): boolean {
    return this.#bytes.length === 0;
  }

  retire(): void {
    if (this.idle) this.#transport.end();
  }

  abort(): void {
    this.#transport.abort();
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#next !== undefined) return this.#next.onBytes(bytes);
    if (this.#refused) return;
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const verdict = this.#reader.read(this.#bytes, this.#transport.peerAddress);
    switch (verdict.kind) {
      case "more":
        return;
      case "understood":
        this.#become(verdict.next, verdict.rest);
        return;
      case "refused":
        return this.#refuse(verdict.status, verdict.why);
      case "broken":
        this.#service.log.log("error", `${verdict.why}, client: ${this.#transport.peerAddress}`);
        return this.#transport.abort();
    }
  }

  #become(next: ServedHandler, rest: Uint8Array): TransportHandler {
    const { timers, connections, draining } = this.#service;
    timers.remove(this);
    connections.delete(this);
    if (draining) setTimeout(() => next.retire(), lastRequestMs);
    this.#bytes = nothing;
    this.#next = next;
    if (rest.length > 0) next.onBytes(rest);
    return next;
  }

  #refuse(status: string, why: string): void {
    this.#refused = true;
    this.#service.log.log("warn", `Invalid request from ip=${this.#transport.peerAddress}: ${why}`);
    this.#transport.write([`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`]);
    this.#transport.end();
  }

  onEnd(): void {
    if (this.#next !== undefined) return this.#next.onEnd();
    if (this.#refused) return;
    const next = this.#reader.ended?.();
    if (next === undefined) this.#transport.end();
    else this.#become(next, this.#bytes).onEnd();
  }

  onDrain(): void {
    this.#next?.onDrain();
  }

  onClose(code?: string): void {
    if (this.#next !== undefined) return this.#next.onClose(code);
    this.#service.timers.remove(this);
    connectionClosed(this.#service, this, false);
  }

  onTimeout(): void {
    this.#transport.abort();
  }
}

const nothing = new Uint8Array(0);
