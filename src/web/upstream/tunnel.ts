/** The upstream's end of a connection that has left HTTP (101): raw bytes, and each side closes its half when it likes. */
import type { Timed, Timers } from "../../base/timers.ts";
import type { Sink, Tunnel } from "../../http/message.ts";
import type { Transport } from "../../net/transport.ts";
import { type FailureKind, resetText, timeoutText } from "./failure.ts";
import { type Feeder, Incoming } from "./incoming.ts";

/** The wheel may look this much early; a timeout must not come before its time. */
const earlyMs = 250;

export interface TunnelFailure {
  readonly kind: FailureKind;
  readonly detail: string;
}

/** Who hears of its end. */
export interface TunnelOwner {
  /** Once, last. undefined: both sides have closed their halves, or ours has gone. */
  onTunnelEnd(failure: TunnelFailure | undefined): void;
}

export class UpstreamTunnel implements Tunnel, Sink, Feeder, Timed {
  readonly source = new Incoming(this);
  onWanted: (() => void) | undefined = undefined;
  /** Bytes given to `push`. */
  bytesSent = 0;
  deadline = 0;
  tick = -1;
  readonly #transport: Transport;
  readonly #timers: Timers;
  readonly #idleMs: number;
  readonly #owner: TunnelOwner;
  #weEnded = false;
  #peerEnded = false;
  #over = false;
  #unsentBefore = 0;

  /** `idleMs`: how long nothing may come through in either direction (`proxy_read_timeout`); 0: for ever. */
  constructor(transport: Transport, owner: TunnelOwner, timers: Timers, idleMs: number) {
    this.#transport = transport;
    this.#owner = owner;
    this.#timers = timers;
    this.#idleMs = idleMs;
    this.#touch();
  }

  get sink(): Sink {
    return this;
  }

  #touch(): void {
    this.#unsentBefore = this.#transport.unsent;
    this.#timers.set(this, this.#idleMs === 0 ? 0 : this.#idleMs + earlyMs);
  }

  // What the client says.

  push(bytes: Uint8Array, last: boolean): void {
    if (this.#over || this.#weEnded) return;
    if (bytes.length > 0) this.#transport.write([bytes]);
    this.bytesSent += bytes.length;
    this.#touch();
    if (last) {
      this.#weEnded = true;
      if (this.#peerEnded) this.#close();
      else this.#transport.shutdown();
    } else if (this.#transport.unsent === 0) this.onWanted?.();
  }

  fail(): void {
    this.#abort(undefined);
  }

  onDrain(): void {
    if (this.#over) return;
    this.#touch();
    if (!this.#weEnded) this.onWanted?.();
  }

  // What the upstream says.

  onBytes(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#touch();
    this.source.add(bytes);
    this.source.pump();
  }

  onEnd(): void {
    if (this.#over || this.#peerEnded) return;
    this.#peerEnded = true;
    this.source.end();
    this.source.pump();
    if (this.#weEnded) this.#close();
  }

  onClose(code: string | undefined): void {
    if (this.#over) return;
    if (code === undefined) {
      this.onEnd();
      this.#finish(undefined);
    } else this.#finish({ kind: "reset", detail: resetText("tunnel", code) });
  }

  onFlow(mayRead: boolean): void {
    if (this.#over) return;
    if (mayRead) this.#transport.resume();
    else this.#transport.pause();
  }

  onCancelled(): void {
    this.#abort(undefined);
  }

  onTimeout(): void {
    // Slow is not stuck: bytes have left since the last look.
    if (this.#transport.unsent > 0 && this.#transport.unsent < this.#unsentBefore) this.#touch();
    else this.#abort({ kind: "timeout", detail: timeoutText("tunnel") });
  }

  #close(): void {
    this.#finish(undefined, () => this.#transport.end());
  }

  #abort(failure: TunnelFailure | undefined): void {
    this.#finish(failure, () => this.#transport.abort());
  }

  /** `close`: how the transport goes, which says so at once. */
  #finish(failure: TunnelFailure | undefined, close?: () => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#timers.remove(this);
    close?.();
    if (failure !== undefined) this.source.fail(failure.detail);
    this.#owner.onTunnelEnd(failure);
  }
}
