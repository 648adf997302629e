/** Connections that wait for their next request (`keepalive` and its like): one pool for the peers of an upstream. */
/** A connection as the pool sees it. */
export interface Poolable {
  /** Nothing is under way on it. */
  readonly reusable: boolean;
  readonly requests: number;
  /** ms of `performance.now`. */
  readonly connectedAt: number;
  /** Set while the pool has it: called when it is of no more use, closed by the other side or by its own `rest`. */
  whenLost: ((connection: Poolable) => void) | undefined;
  /** It waits for its next request, and closes itself if there is none within `timeoutMs`; 0: it waits as long as it takes. */
  rest(timeoutMs: number): void;
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

/** Keys without connections that may wait for some. */
const spareKeys = 64;

export class ConnectionPool<C extends Poolable = Poolable> {
  /** Of all keys, in the order in which they were given: the first has been idle longest. */
  readonly #all = new Map<Poolable, string>();
  /** The same by key, in the same order. */
  readonly #byKey = new Map<string, C[]>();

  readonly #lost = (connection: Poolable): void => this.#forget(connection);

  get size(): number {
    return this.#all.size;
  }

  /** A connection to the peer `key`, if one waits: the one used last, which is the least likely to be closed meanwhile. */
  take(key: string): C | undefined {
    const connection = this.#byKey.get(key)?.pop();
    if (connection === undefined) return undefined;
    this.#all.delete(connection);
    connection.whenLost = undefined;
    return connection;
  }

  /**
   * Keeps it for the next request to `key`, or closes it. Where there are too many, the one that was idle longest goes.
   * `now`: ms of `performance.now`.
   */
  give(key: string, connection: C, limits: KeepLimits, now: number): void {
    const isSpent =
      !connection.reusable || connection.requests >= limits.requests || now - connection.connectedAt > limits.timeMs;
    if (isSpent || limits.maxIdle <= 0) {
      connection.close();
      return;
    }
    for (const longest of this.#all.keys()) {
      if (this.#all.size < limits.maxIdle) break;
      this.#drop(longest);
    }
    this.#all.set(connection, key);
    const others = this.#byKey.get(key);
    if (others !== undefined) others.push(connection);
    else this.#begin(key, connection);
    connection.whenLost = this.#lost;
    connection.rest(limits.timeoutMs);
  }

  /** Closes all of them: the configuration has gone, or the process is about to. */
  closeAll(): void {
    for (const connection of this.#all.keys()) this.#drop(connection);
  }

  /** Keys may be made from variables: those of which nothing is left do not pile up. */
  #begin(key: string, connection: C): void {
    if (this.#byKey.size > 2 * this.#all.size + spareKeys)
      for (const [old, connections] of this.#byKey) if (connections.length === 0) this.#byKey.delete(old);
    this.#byKey.set(key, [connection]);
  }

  #drop(connection: Poolable): void {
    this.#forget(connection);
    connection.close();
  }

  #forget(connection: Poolable): void {
    const key = this.#all.get(connection);
    connection.whenLost = undefined;
    this.#all.delete(connection);
    const others = key === undefined ? undefined : this.#byKey.get(key);
    if (key === undefined || others === undefined) return;
    this.#byKey.set(
      key,
      others.filter((each) => each !== connection),
    );
  }
}
