/** Connections that wait for their next request (`keepalive` and its like): one pool for the peers of an upstream. */
import type { Timed, Timers } from "../../base/timers.ts";

/** A connection as the pool sees it. */
export interface Poolable {
  /** Nothing is under way on it. */
  readonly reusable: boolean;
  readonly requests: number;
  /** ms of `performance.now`. */
  readonly connectedAt: number;
  /** Set while the pool has it: called when the other side has closed it, or said what nobody asked for. */
  whenLost: (() => void) | undefined;
  close(): void;
}

export interface KeepLimits {
  /** `keepalive`: most idle connections, to all peers together; 0: none is kept. */
  readonly maxIdle: number;
  /** `keepalive_timeout`, ms: how long one may be idle; 0: as long as it likes. */
  readonly timeoutMs: number;
  /** `keepalive_time`, ms: how old one may be to be kept. */
  readonly timeMs: number;
  /** `keepalive_requests`: how many requests one may carry. */
  readonly requests: number;
}

class Idle<C extends Poolable> implements Timed {
  readonly key: string;
  readonly connection: C;
  readonly #onTimeout: (entry: Idle<C>) => void;
  deadline = 0;
  tick = -1;

  constructor(key: string, connection: C, onTimeout: (entry: Idle<C>) => void) {
    this.key = key;
    this.connection = connection;
    this.#onTimeout = onTimeout;
  }

  onTimeout(): void {
    this.#onTimeout(this);
  }
}

export class ConnectionPool<C extends Poolable = Poolable> {
  readonly #timers: Timers;
  readonly #now: () => number;
  /** Of all keys, in the order in which they were given: the first has been idle longest. */
  readonly #all = new Set<Idle<C>>();
  /** The same by key, in the same order. */
  readonly #byKey = new Map<string, Idle<C>[]>();
  readonly #drop = (entry: Idle<C>): void => {
    this.#forget(entry);
    entry.connection.close();
  };

  constructor(timers: Timers, now: () => number = () => performance.now()) {
    this.#timers = timers;
    this.#now = now;
  }

  get size(): number {
    return this.#all.size;
  }

  /** A connection to the peer `key`, if one waits: the one used last, which is the least likely to be closed meanwhile. */
  take(key: string): C | undefined {
    const entry = this.#byKey.get(key)?.at(-1);
    if (entry === undefined) return undefined;
    this.#forget(entry);
    return entry.connection;
  }

  /** Keeps it for the next request to `key`, or closes it. Where there are too many, the one that was idle longest goes. */
  give(key: string, connection: C, limits: KeepLimits): void {
    const isSpent =
      !connection.reusable ||
      connection.requests >= limits.requests ||
      this.#now() - connection.connectedAt > limits.timeMs;
    if (isSpent || limits.maxIdle <= 0) {
      connection.close();
      return;
    }
    for (const longest of this.#all) {
      if (this.#all.size < limits.maxIdle) break;
      this.#drop(longest);
    }
    const entry = new Idle(key, connection, this.#drop);
    this.#all.add(entry);
    const others = this.#byKey.get(key);
    if (others === undefined) this.#byKey.set(key, [entry]);
    else others.push(entry);
    connection.whenLost = () => this.#forget(entry);
    this.#timers.set(entry, limits.timeoutMs);
  }

  /** Closes all of them: the configuration has gone, or the process is about to. */
  closeAll(): void {
    for (const entry of this.#all) this.#drop(entry);
  }

  #forget(entry: Idle<C>): void {
    entry.connection.whenLost = undefined;
    this.#timers.remove(entry);
    this.#all.delete(entry);
    const others = this.#byKey.get(entry.key);
    if (others === undefined) return;
    others.splice(others.lastIndexOf(entry), 1);
    // Keys may be made from variables: none is held for nothing.
    if (others.length === 0) this.#byKey.delete(entry.key);
  }
}
