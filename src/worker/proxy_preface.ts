/** A connection whose first bytes are the PROXY protocol's (`listen … proxy_protocol`): they are read, then it is a client's like any other. */
import type { Timed } from "../base/timers.ts";
import { readProxyHeader } from "../net/proxy_protocol.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import type { ProxyHeader } from "../web/exchange.ts";
import type { Service } from "./service.ts";

/** The header comes at once or the peer is not what it should be, ms. */
const headerTimeoutMs = 60_000;

export class ProxyPreface implements TransportHandler, Timed {
  readonly #transport: Transport;
  readonly #service: Service;
  readonly #accept: (proxy: ProxyHeader) => TransportHandler;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Who has taken over. */
  #next: TransportHandler | undefined;
  deadline = 0;
  tick = -1;

  constructor(transport: Transport, service: Service, accept: (proxy: ProxyHeader) => TransportHandler) {
    this.#transport = transport;
    this.#service = service;
    this.#accept = accept;
    service.timers.set(this, headerTimeoutMs);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#next !== undefined) return this.#next.onBytes(bytes);
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const found = readProxyHeader(this.#bytes);
    if (found.kind === "more") return;
    if (found.kind === "invalid") {
      this.#service.log.log(
        "error",
        `${found.message} while reading PROXY protocol, client: ${this.#transport.peerAddress}`,
      );
      return this.#transport.abort();
    }
    this.#service.timers.remove(this);
    const rest = this.#bytes.subarray(found.length);
    this.#bytes = new Uint8Array(0);
    this.#next = this.#accept({ source: found.source, destination: found.destination, tlvs: found.tlvs });
    if (rest.length > 0) this.#next.onBytes(rest);
  }

  onEnd(): void {
    if (this.#next !== undefined) this.#next.onEnd();
    else this.#transport.end();
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
