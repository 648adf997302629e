/**
 * A connection of a listener that speaks HTTP/2 as well: whoever begins with its preface means it (RFC 9113 3.3, "prior knowledge"),
 * whoever begins otherwise speaks HTTP/1. What is neither is an invalid preface (RFC 9113 3.4).
 */
import { asBuffer } from "../base/bytes.ts";
import { preface } from "../http/h2/frames.ts";
import type { Transport } from "../net/transport.ts";
import { Opening } from "./opening.ts";
import type { ServedHandler, Service } from "./service.ts";

export type Protocol = "http/1" | "http/2";

export class ProtocolChoice extends Opening {
  readonly #transport: Transport;
  readonly #begin: (protocol: Protocol) => ServedHandler;
  /** The beginning of a preface. */
  #bytes: Uint8Array = nothing;
  readonly idle = true;

  constructor(transport: Transport, service: Service, timeoutMs: number, begin: (protocol: Protocol) => ServedHandler) {
    super(service, timeoutMs);
    this.#transport = transport;
    this.#begin = begin;
  }

  retire(): void {
    this.#transport.end();
  }

  abort(): void {
    this.#transport.abort();
  }

  protected heard(bytes: Uint8Array): void {
    const all = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const count = Math.min(all.length, preface.length);
    if (preface.compare(all, 0, count, 0, count) !== 0) this.#become(mayBeHttp1(all) ? "http/1" : "http/2", all);
    else if (count === preface.length) this.#become("http/2", all);
    else this.#bytes = all;
  }

  #become(protocol: Protocol, bytes: Uint8Array): ServedHandler {
    const next = this.handOver(() => this.#begin(protocol));
    this.service.connections.add(next);
    this.#bytes = nothing;
    if (bytes.length > 0) next.onBytes(bytes);
    return next;
  }

  protected ended(): void {
    this.#become("http/1", this.#bytes).onEnd();
  }

  onTimeout(): void {
    this.#transport.end();
  }
}

/** Is the first line, as far as it has come, one of HTTP/1 or HTTP/0.9 (RFC 9112 3), or an empty one ahead of it? */
function mayBeHttp1(bytes: Uint8Array): boolean {
  const end = bytes.indexOf(0x0a);
  return end < 0 || /^\s*$|^GET [^ ]+\s*$| HTTP\/[0-9.]+\s*$/i.test(asBuffer(bytes).latin1Slice(0, end));
}

const nothing = new Uint8Array(0);
