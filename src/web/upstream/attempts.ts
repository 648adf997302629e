/** From a request to an upstream's response: which peer, over which connection, and whether another one is tried. */
import { formatAddress } from "../../base/address.ts";
import type { Timers } from "../../base/timers.ts";
import type { ReceivedHead } from "../../http/h1/client.ts";
import type { Headers } from "../../http/headers.ts";
import type { Source } from "../../http/message.ts";
import type { Exchange } from "../exchange.ts";
import type { ConnectionPool } from "./kept_connections.ts";
import type { Peer, Peers } from "./peers.ts";
import { addState, setReceivedHeaders, type UpstreamState } from "./state.ts";
import { UpstreamConnection, type UpstreamFailure, type UpstreamRequest } from "./upstream_connection.ts";

/** What is worth another try: the words of proxy_next_upstream. */
export type NextReason =
  | "error"
  | "timeout"
  | "invalid_header"
  | "http_500"
  | "http_502"
  | "http_503"
  | "http_504"
  | "http_403"
  | "http_404"
  | "http_429"
  | "non_idempotent";

export interface NextPolicy {
  readonly reasons: ReadonlySet<NextReason>;
  /** 0: no bound but the number of peers. */
  readonly tries: number;
  /** ms, 0: no bound. */
  readonly timeoutMs: number;
}

/** The upstream as a location uses it. */
export interface UpstreamTarget {
  /** $proxy_host without its port. */
  readonly name: string;
  readonly peers: Peers;
  readonly pool: ConnectionPool;
}

export interface AttemptOptions {
  readonly target: UpstreamTarget;
  readonly next: NextPolicy;
  readonly headLimit: number;
  readonly timers: Timers;
  /** For the log: `http://127.0.0.1:8080/x`. */
  readonly label: string;
  /** The request for a peer; made anew for each try. */
  request(): UpstreamRequest;
  /** The body was passed on as it came: it is gone after the first try. */
  readonly isUnbuffered: boolean;
  onInterim(head: ReceivedHead): void;
  onTrailers(headers: Headers): void;
}

type Outcome = UpstreamResponse | { readonly status: number };

export interface UpstreamResponse {
  readonly head: ReceivedHead;
  /** undefined: there is no body. */
  readonly body: Source | undefined;
  readonly connection: UpstreamConnection;
  readonly state: UpstreamState;
}

/** RFC 9110 9.2.2, with Nginx's list: those that a second try could do twice. */
const nonIdempotent = new Set(["POST", "LOCK", "PATCH"]);

/** Asks until there is a response that stays, or nobody is left: then the status of the error. */
export function attempt(exchange: Exchange, options: AttemptOptions): Promise<Outcome> {
  return new Promise((resolve) => new Attempts(exchange, options, resolve).next());
}

class Attempts {
  readonly #exchange: Exchange;
  readonly #options: AttemptOptions;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #tried = new Set<Peer>();
  readonly #startedAt = performance.now();
  #left: number;
  #isFirst = true;

  constructor(exchange: Exchange, options: AttemptOptions, resolve: (outcome: Outcome) => void) {
    this.#exchange = exchange;
    this.#options = options;
    this.#resolve = resolve;
    const { peers } = options.target;
    this.#left = options.next.tries > 0 ? Math.min(options.next.tries, peers.count) : peers.count;
  }

  next(): void {
    const { target } = this.#options;
    const now = performance.now();
    const peer = target.peers.choose(this.#tried, now);
    if (peer === undefined) {
      addState(this.#exchange, target.name, this.#isFirst).status = 502;
      this.#log("error", "no live upstreams while connecting to upstream");
      return this.#end(502);
    }
    this.#tried.add(peer);
    this.#left--;
    this.#try(peer, target.pool.take(formatAddress(peer.conf.address)));
  }

  #try(peer: Peer, kept: UpstreamConnection | undefined): void {
    const { target, timers, headLimit, onInterim, onTrailers } = this.#options;
    const exchange = this.#exchange;
    const state = addState(exchange, formatAddress(peer.conf.address), this.#isFirst);
    this.#isFirst = false;
    const connection = kept ?? new UpstreamConnection(peer.conf.address, timers, headLimit);
    exchange.onGone = () => {
      target.peers.release(peer, "ok", performance.now());
      state.status = 499;
      connection.close();
    };
    let outcome: "ok" | "failed" = "ok";
    const since = () => performance.now() - state.startedAt;
    const request = this.#options.request();
    connection.send(request, {
      onInterim,
      onTrailers,
      onNote: (level, detail) => this.#log(level, `${detail} while reading response header from upstream`),
      onResponse: (head, hasBody) => {
        state.headerMs = since();
        state.connectMs = kept === undefined ? connection.openedAt - state.startedAt : 0;
        state.status = head.status;
        const reason = reasonOf(head.status);
        if (reason !== undefined && this.#left > 0 && this.#mayGoOn(reason, true)) {
          outcome = head.status === 403 || head.status === 404 ? "ok" : "failed";
          this.#settle(peer, state, connection, outcome);
          connection.close();
          return this.next();
        }
        exchange.onGone = undefined;
        setReceivedHeaders(exchange, head.headers);
        this.#resolve({ head, body: hasBody ? connection : undefined, connection, state });
      },
      onFailure: (failure) => this.#failed(peer, state, connection, failure),
      onEnd: () => {
        this.#settle(peer, state, connection, outcome);
        if (connection.reusable) target.pool.give(formatAddress(peer.conf.address), connection);
        else connection.close();
      },
    });
  }

  #settle(peer: Peer, state: UpstreamState, connection: UpstreamConnection, outcome: "ok" | "failed"): void {
    state.responseMs ??= performance.now() - state.startedAt;
    state.received = connection.bytesReceived;
    state.sent = connection.bytesSent;
    this.#options.target.peers.release(peer, outcome, performance.now());
  }

  #failed(peer: Peer, state: UpstreamState, connection: UpstreamConnection, failure: UpstreamFailure): void {
    const status = failure.kind === "timeout" ? 504 : 502;
    state.status = status;
    if (connection.openedAt > 0) state.connectMs = connection.openedAt - state.startedAt;
    this.#exchange.onGone = undefined;
    if (failure.stale) {
      // The upstream had closed a kept connection: nothing of the request was seen by its program.
      this.#settle(peer, state, connection, "ok");
      this.#left++;
      this.#tried.delete(peer);
    } else {
      this.#log("error", failure.detail);
      this.#settle(peer, state, connection, "failed");
    }
    const reason = failure.kind === "timeout" ? "timeout" : failure.kind === "invalid" ? "invalid_header" : "error";
    if (this.#left > 0 && this.#mayGoOn(reason, failure.sent)) return this.next();
    this.#end(status);
  }

  /** Is another try allowed? */
  #mayGoOn(reason: NextReason, sent: boolean): boolean {
    const { next, isUnbuffered } = this.#options;
    if (!next.reasons.has(reason) || (sent && isUnbuffered)) return false;
    if (sent && nonIdempotent.has(this.#exchange.method) && !next.reasons.has("non_idempotent")) return false;
    return next.timeoutMs === 0 || performance.now() - this.#startedAt < next.timeoutMs;
  }

  #log(level: "error" | "warn", detail: string): void {
    this.#exchange.logUpstream(level, detail, this.#options.label);
  }

  #end(status: number): void {
    this.#exchange.onGone = undefined;
    this.#resolve({ status });
  }
}

function reasonOf(status: number): NextReason | undefined {
  switch (status) {
    case 500:
    case 502:
    case 503:
    case 504:
    case 403:
    case 404:
    case 429:
      return `http_${status}`;
    default:
      return undefined;
  }
}
