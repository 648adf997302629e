/** Connections that wait for their next request (`keepalive`): so many of an upstream, the longest unused goes first. */
import type { UpstreamConnection } from "./upstream_connection.ts";

export interface PoolLimits {
  /** keepalive: most idle connections; 0: none is kept. */
  readonly idle: number;
  /** keepalive_requests, keepalive_time (ms), keepalive_timeout (ms). */
  readonly requests: number;
  readonly timeMs: number;
  readonly timeoutMs: number;
}

export class ConnectionPool {
  readonly #limits: PoolLimits;
  /** In the order in which they were given back. */
  readonly #idle = new Map<
    UpstreamConnection,
    { readonly key: string; readonly timer: ReturnType<typeof setTimeout> }
  >();

  constructor(limits: PoolLimits) {
    this.#limits = limits;
  }

  /** A connection to `key` (an address), if one waits: the one used last. */
  take(key: string): UpstreamConnection | undefined {
    let found: UpstreamConnection | undefined;
    for (const [connection, { key: other }] of this.#idle) if (other === key) found = connection;
    if (found !== undefined) this.#forget(found);
    return found;
  }

  /** Keeps a connection whose response has ended, or closes it. */
  give(key: string, connection: UpstreamConnection): void {
    const { idle, requests, timeMs, timeoutMs } = this.#limits;
    const isOld = connection.requests >= requests || performance.now() - connection.openedAt > timeMs;
    if (idle === 0 || isOld || !connection.reusable) return connection.close();
    const timer = setTimeout(() => this.#drop(connection), timeoutMs);
    timer.unref();
    this.#idle.set(connection, { key, timer });
    connection.onIdleClose = () => this.#forget(connection);
    const [longest] = this.#idle.keys();
    if (this.#idle.size > idle && longest !== undefined) this.#drop(longest);
  }

  #drop(connection: UpstreamConnection): void {
    this.#forget(connection);
    connection.close();
  }

  #forget(connection: UpstreamConnection): void {
    clearTimeout(this.#idle.get(connection)?.timer);
    this.#idle.delete(connection);
    connection.onIdleClose = undefined;
  }
}
