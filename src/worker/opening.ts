/** Who has a connection first, until it is known what it is: then somebody else takes over, and hears of everything instead. */
import type { Timed } from "../base/timers.ts";
import type { TransportHandler } from "../net/transport.ts";
import { connectionClosed } from "./accounting.ts";
import type { Served, ServedHandler, Service } from "./service.ts";

/** Who has just said who it is, or what it speaks, may be about to ask, ms. */
const lastRequestMs = 100;

export abstract class Opening implements TransportHandler, Timed, Served {
  protected readonly service: Service;
  #next: TransportHandler | undefined;
  deadline = 0;
  tick = -1;

  /** `timeoutMs`: how long it may take. */
  constructor(service: Service, timeoutMs: number) {
    this.service = service;
    service.timers.set(this, timeoutMs);
  }

  abstract readonly idle: boolean;
  abstract retire(): void;
  abstract onTimeout(): void;
  /** Bytes, and the end of the client's side, while nobody has taken over. */
  protected abstract heard(bytes: Uint8Array): void;
  protected abstract ended(): void;

  /** `begin` makes who takes over. `graceMs`: during a stop it may be asked something within so long. */
  protected handOver(begin: () => ServedHandler, graceMs = lastRequestMs): ServedHandler {
    const { connections, timers, draining } = this.service;
    timers.remove(this);
    // First: one connection is not to count twice.
    connections.delete(this);
    const next = begin();
    this.#next = next;
    if (draining) setTimeout(() => next.retire(), graceMs);
    return next;
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#next === undefined) this.heard(bytes);
    else this.#next.onBytes(bytes);
  }

  onEnd(): void {
    if (this.#next === undefined) this.ended();
    else this.#next.onEnd();
  }

  onDrain(): void {
    this.#next?.onDrain();
  }

  onClose(code?: string): void {
    if (this.#next !== undefined) return this.#next.onClose(code);
    this.service.timers.remove(this);
    connectionClosed(this.service, this, false);
  }
}
