/** Requests that wait until somebody has filled an entry: this process, or another one, which has no way to call. */
import type { Hash } from "./key.ts";
import type { Records } from "./records.ts";

/** How often a lock is looked at that another process may hold, ms. */
const lookMs = 20;

interface Waiter {
  readonly hash: Hash;
  readonly until: number;
  readonly done: (outcome: "free" | "timeout") => void;
}

export class Waiting {
  readonly #records: Records;
  readonly #waiters = new Set<Waiter>();
  #looking: ReturnType<typeof setInterval> | undefined;

  constructor(records: Records) {
    this.#records = records;
  }

  /** Calls `done` once when the entry's lock is free, or after `ms`, unless what it returns is called before. */
  wait(hash: Hash, ms: number, done: Waiter["done"]): () => void {
    const waiter: Waiter = { hash, until: performance.now() + ms, done };
    this.#waiters.add(waiter);
    this.#looking ??= setInterval(() => this.#look(), lookMs);
    return () => this.#waiters.delete(waiter);
  }

  /** The entry has been filled, or will not be. */
  wake(hash: Hash): void {
    for (const waiter of [...this.#waiters]) if (waiter.hash === hash) this.#end(waiter, "free");
  }

  #look(): void {
    const now = performance.now();
    for (const waiter of [...this.#waiters]) {
      if (now >= waiter.until) this.#end(waiter, "timeout");
      else if (!this.#records.isLocked(waiter.hash)) this.#end(waiter, "free");
    }
    if (this.#waiters.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #end(waiter: Waiter, outcome: "free" | "timeout"): void {
    if (this.#waiters.delete(waiter)) waiter.done(outcome);
  }
}
