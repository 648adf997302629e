/**
 * A connection that may begin with the PROXY protocol's header, and need not (Gunicorn's `proxy_protocol`): whoever begins
 * otherwise is a client like any other.
 */
import { binaryAddress } from "../base/cidr.ts";
import type { Timed } from "../base/timers.ts";
import { readProxyHeader } from "../net/proxy_protocol.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import type { ProxyHeader } from "../web/exchange.ts";
import type { Service } from "./service.ts";

/** As long as a request's head may take, ms. */
const headerTimeoutMs = 60_000;

export interface PrefaceRules {
  readonly mode: "v1" | "v2" | "auto";
  /** Peers that may send a header; others are refused if they do. */
  readonly allows: (peerAddress: string) => boolean;
}

const beginnings = {
  v1: Buffer.from("PROXY ", "latin1"),
  v2: Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"),
} as const;

export class OptionalPreface implements TransportHandler, Timed {
  readonly #transport: Transport;
  readonly #service: Service;
  readonly #rules: PrefaceRules;
  readonly #accept: (proxy: ProxyHeader | undefined) => TransportHandler;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Who has taken over. */
  #next: TransportHandler | undefined;
  #refused = false;
  deadline = 0;
  tick = -1;

  constructor(
    transport: Transport,
    service: Service,
    rules: PrefaceRules,
    accept: (proxy: ProxyHeader | undefined) => TransportHandler,
  ) {
    this.#transport = transport;
    this.#service = service;
    this.#rules = rules;
    this.#accept = accept;
    service.timers.set(this, headerTimeoutMs);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#next !== undefined) return this.#next.onBytes(bytes);
    if (this.#refused) return;
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const { mode, allows } = this.#rules;
    const names = mode === "auto" ? (["v1", "v2"] as const) : ([mode] as const);
    const begun = names.find((name) => agree(this.#bytes, beginnings[name]));
    if (begun === undefined) return this.#begin(undefined, 0);
    if (this.#bytes.length < beginnings[begun].length) return;
    if (!allows(this.#transport.peerAddress))
      return this.#refuse("403 Forbidden", "a PROXY header from a peer that may not send one");
    const found = readProxyHeader(this.#bytes);
    if (found.kind === "more") return;
    if (found.kind === "invalid" || (found.source !== undefined && !isAddress(found.source.address)))
      return this.#refuse("400 Bad Request", found.kind === "invalid" ? found.message : "invalid address");
    this.#begin({ source: found.source, destination: found.destination, tlvs: found.tlvs }, found.length);
  }

  #begin(proxy: ProxyHeader | undefined, length: number): void {
    this.#service.timers.remove(this);
    const rest = this.#bytes.subarray(length);
    this.#bytes = new Uint8Array(0);
    this.#next = this.#accept(proxy);
    if (rest.length > 0) this.#next.onBytes(rest);
  }

  #refuse(status: string, why: string): void {
    this.#refused = true;
    const peer = this.#transport.peerAddress;
    this.#service.log.log("warn", `Invalid request from ip=${peer}: ${why}`);
    this.#transport.write([`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`]);
    this.#transport.end();
  }

  onEnd(): void {
    if (this.#next !== undefined) return this.#next.onEnd();
    if (this.#refused) return;
    // What has begun like a header, and did not end, is none.
    this.#begin(undefined, 0);
    this.#next!.onEnd();
  }

  onDrain(): void {
    this.#next?.onDrain();
  }

  onClose(): void {
    this.#service.timers.remove(this);
    if (this.#next !== undefined) this.#next.onClose();
    else this.#service.counters.add(this.#service.lane, "active", -1);
  }

  onTimeout(): void {
    this.#transport.abort();
  }
}

function agree(bytes: Uint8Array, expected: Uint8Array): boolean {
  const length = Math.min(bytes.length, expected.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== expected[i]) return false;
  return true;
}

const isAddress = (text: string): boolean => binaryAddress(text) !== undefined && text !== "";
