/** A connection whose first bytes are not HTTP's: they are gathered until they are understood, then somebody else takes over. */
import type { Transport } from "../net/transport.ts";
import { Opening } from "./opening.ts";
import type { ServedHandler, Service } from "./service.ts";

/** As long as a request's head may take, ms. */
const timeoutMs = 60_000;

/** What the bytes so far mean. */
export type Verdict =
  | { readonly kind: "more" }
  /** `next` makes who takes over, `rest` is what that one gets first. */
  | { readonly kind: "understood"; readonly next: () => ServedHandler; readonly rest: Uint8Array }
  /** The client is told the status, like one of Gunicorn's. */
  | { readonly kind: "refused"; readonly status: string; readonly why: string }
  /** Not the peer it should be: there is nobody to tell. */
  | { readonly kind: "broken"; readonly why: string };

/** A protocol that comes ahead of HTTP. */
export interface PrefaceReader {
  /** All bytes so far. */
  read(bytes: Uint8Array, peerAddress: string): Verdict;
  /** The client has ended in the middle: who takes over what has come. Without it the connection ends too. */
  ended?(): () => ServedHandler;
}

export const more: Verdict = { kind: "more" };

/** `status`: `403 Forbidden`. */
export const refused = (status: string, why: string): Verdict => ({ kind: "refused", status, why });

export class Preface extends Opening {
  readonly #transport: Transport;
  readonly #reader: PrefaceReader;
  #bytes: Uint8Array = nothing;
  #refused = false;

  constructor(transport: Transport, service: Service, reader: PrefaceReader) {
    super(service, timeoutMs);
    service.connections.add(this);
    this.#transport = transport;
    this.#reader = reader;
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

  protected heard(bytes: Uint8Array): void {
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
        this.service.log.log("error", `${verdict.why}, client: ${this.#transport.peerAddress}`);
        return this.#transport.abort();
    }
  }

  #become(begin: () => ServedHandler, rest: Uint8Array): ServedHandler {
    this.#bytes = nothing;
    const next = this.handOver(begin);
    if (rest.length > 0) next.onBytes(rest);
    return next;
  }

  #refuse(status: string, why: string): void {
    this.#refused = true;
    this.service.log.log("warn", `Invalid request from ip=${this.#transport.peerAddress}: ${why}`);
    this.#transport.write([`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`]);
    this.#transport.end();
  }

  protected ended(): void {
    if (this.#refused) return;
    const begin = this.#reader.ended?.();
    if (begin === undefined) this.#transport.end();
    else this.#become(begin, this.#bytes).onEnd();
  }

  onTimeout(): void {
    this.#transport.abort();
  }
}

const nothing = new Uint8Array(0);
