/** The line to one client: when it is read from, how long it is waited for, and how it ends while the client still sends. */
import type { Timed, Timers } from "../base/timers.ts";
import type { Transport } from "../net/transport.ts";
import type { ClientLimits } from "../web/limits.ts";

export interface LineOwner {
  /** The client has not sent in time what it should have. */
  onTooSlow(): void;
  /** It does not read what it is sent. */
  onStuck(): void;
}

export class Line implements Timed {
  readonly #transport: Transport;
  readonly #timers: Timers;
  readonly #owner: LineOwner;
  #paused = false;
  #sendTimeoutMs = 0;
  #unsentBefore = 0;
  /** Until when what the peer still sends is read away; 0: it is listened to. */
  #lingerUntil = 0;
  #lingeringTimeoutMs = 0;
  deadline = 0;
  tick = -1;

  constructor(transport: Transport, timers: Timers, owner: LineOwner) {
    this.#transport = transport;
    this.#timers = timers;
    this.#owner = owner;
  }

  /** Waits so long for the client, ms; 0: it is not the client whom we wait for. */
  wait(timeoutMs: number): void {
    this.#timers.set(this, timeoutMs);
  }

  /** Waits for a client that does not read. */
  awaitDrain(sendTimeoutMs: number): void {
    this.#sendTimeoutMs = sendTimeoutMs;
    this.#unsentBefore = this.#transport.unsent;
    this.#timers.set(this, sendTimeoutMs);
  }

  drained(): void {
    this.#timers.clear(this);
  }

  setPaused(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#transport.pause();
    else this.#transport.resume();
  }

  /** The kernel sends a part of a file; undefined: this transport cannot. */
  get sendFile(): ((fd: number, offset: number, length: number) => number) | undefined {
    const transport = this.#transport;
    if (transport.sendFile === undefined) return undefined;
    return (fd, offset, length) => transport.sendFile?.(fd, offset, length) ?? 0;
  }

  /** Closes it. Log lines of this turn are written at its end: who sees the connection close finds its request in the log. */
  end(wasLogged: boolean): void {
    if (wasLogged) setImmediate(endOf, this.#transport);
    else this.#transport.end();
  }

  /** All is said: what the peer is still sending is read away, so that no reset destroys our last words (RFC 9112 9.6). */
  linger({ lingeringTimeMs, lingeringTimeoutMs }: ClientLimits): void {
    this.#lingerUntil = performance.now() + lingeringTimeMs;
    this.#lingeringTimeoutMs = lingeringTimeoutMs;
    this.setPaused(false);
    this.#transport.shutdown();
    this.lingerOn();
  }

  /** It has sent more. */
  lingerOn(): void {
    const left = this.#lingerUntil - performance.now();
    if (left <= 0) this.#transport.end();
    else this.#timers.set(this, Math.min(left, this.#lingeringTimeoutMs));
  }

  /** It is closed. */
  close(): void {
    this.#timers.remove(this);
  }

  onTimeout(): void {
    if (this.#transport.unsent === 0) this.#owner.onTooSlow();
    // Slow is not stuck: bytes have left since the last look.
    else if (this.#transport.unsent < this.#unsentBefore) this.awaitDrain(this.#sendTimeoutMs);
    else this.#owner.onStuck();
  }
}

const endOf = (transport: Transport): void => transport.end();
