/**
 * One coarse timer wheel for all timeouts of a process (keep-alive, header, body, send …).
 *
 * Setting a timeout again, which happens with every request, is one assignment while the new deadline is later than the
 * old one: an entry that comes up early is put back. So 10,000 busy connections cost the wheel nothing per request.
 */

const tickMs = 250; // Timeouts are whole seconds in every configuration: a quarter second late is on time.
const slots = 512; // 128 s per turn of the wheel; a later deadline goes round again.

/** Something with a deadline. */
export interface Timed {
  /** ms on the wheel's clock, 0: none. Set by `Timers.set`. */
  deadline: number;
  /** When the wheel will next look at this entry, in its own ticks; -1: never. Owned by the wheel. */
  tick: number;
  /** The deadline passed. Called from the wheel's own turn; may set a new one. */
  onTimeout(): void;
}

export class Timers {
  readonly #wheel: Set<Timed>[] = Array.from({ length: slots }, () => new Set());
  readonly #clock: () => number;
  #at: number;
  #interval: ReturnType<typeof setInterval> | undefined;

  /** `clock`: ms, monotonic; tests bring their own and call `tick`. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#at = Math.floor(clock() / tickMs);
  }

  /** Starts the wheel's own turning. It does not keep the process alive. */
  start(): this {
    this.#interval = setInterval(() => this.tick(), tickMs);
    this.#interval.unref();
    return this;
  }

  stop(): void {
    clearInterval(this.#interval);
  }

  /** The entry times out `ms` from now, unless it is set again or cleared. 0 clears. */
  set(entry: Timed, ms: number): void {
    if (ms === 0) {
      entry.deadline = 0;
      return;
    }
    entry.deadline = this.#at * tickMs + ms;
    // The wheel looks at the entry before that already, and will put it back then.
    if (entry.tick >= 0 && entry.tick * tickMs <= entry.deadline) return;
    this.#insert(entry);
  }

  clear(entry: Timed): void {
    entry.deadline = 0;
  }

  /** The entry is done with for good: the wheel lets go of it at once, not only when its slot comes up. */
  remove(entry: Timed): void {
    entry.deadline = 0;
    if (entry.tick >= 0) this.#wheel[entry.tick % slots]!.delete(entry);
    entry.tick = -1;
  }

  /** Turns the wheel up to now. */
  tick(): void {
    const now = Math.floor(this.#clock() / tickMs);
    // After a long pause of the process one whole turn visits every slot; more would visit them twice.
    let from = Math.max(this.#at + 1, now - slots + 1);
    this.#at = now;
    for (; from <= now; from++) this.#visit(from, now * tickMs);
  }

  #visit(tick: number, nowMs: number): void {
    const due = this.#wheel[tick % slots]!;
    if (due.size === 0) return;
    this.#wheel[tick % slots] = new Set();
    for (const entry of due) {
      entry.tick = -1;
      if (entry.deadline === 0) continue;
      if (entry.deadline > nowMs) {
        this.#insert(entry);
        continue;
      }
      entry.deadline = 0;
      entry.onTimeout();
    }
  }

  #insert(entry: Timed): void {
    // At least one tick ahead: the slot of this very moment has been visited already.
    const ticks = Math.min(Math.max(Math.ceil(entry.deadline / tickMs) - this.#at, 1), slots - 1);
    if (entry.tick >= 0) this.#wheel[entry.tick % slots]!.delete(entry);
    entry.tick = this.#at + ticks;
    this.#wheel[entry.tick % slots]!.add(entry);
  }
}
