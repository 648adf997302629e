/** From a request to an upstream's response: which peer, over which connection, and whether another one is tried. */
import type { Timers } from "../../base/timers.ts";
import type { ClientEngine, ClientHead, NoteLevel, ReceivedHead } from "../../http/client_engine.ts";
import { type Body, emptyBody, type Tunnel } from "../../http/message.ts";
import type { ConnectOptions, PeerAddress } from "../../net/connect.ts";
import type { Exchange } from "../exchange.ts";
import { sharedNow, sharedTime } from "../shared_zone.ts";
import { UpstreamConnection } from "./connection.ts";
import {
  type Dialer,
  plainDialer,
  type UpstreamResponse as ReceivedResponse,
  type UpstreamHandler,
  type UpstreamRequest,
} from "./conversation.ts";
import { failureText, type Phase, type UpstreamFailure } from "./failure.ts";
import { dropDuplicates } from "./hints.ts";
import type { Ending, Peer, Peers, Selection } from "./peers.ts";
import type { ConnectionPool, KeepLimits } from "./pool.ts";
import { addState, setReceived, type UpstreamState } from "./state.ts";
import type { Sticky } from "./sticky.ts";

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
  /** As it is named: "backend", "127.0.0.1:8080". */
  readonly name: string;
  readonly peers: Peers;
  /** Until its servers' names are resolved for the first time. */
  readonly ready: Promise<unknown> | undefined;
  readonly sticky: Sticky | undefined;
  /** undefined: no connection is used for a second request. */
  readonly kept: KeptConnections | undefined;
}

/** Connections that wait for the next request to an upstream. */
export interface KeptConnections {
  readonly pool: ConnectionPool<UpstreamConnection>;
  readonly limits: KeepLimits;
  /** `keepalive … local`: locations do not share them. */
  readonly local: boolean;
}

/** What is asked of an upstream, whichever peer it will be. */
export interface AttemptOptions {
  readonly target: UpstreamTarget;
  readonly next: NextPolicy;
  readonly timers: Timers;
  readonly connect: ConnectOptions;
  /** How connections are made, if not plainly. */
  readonly dial?: ((address: PeerAddress, connect: ConnectOptions) => Dialer) | undefined;
  /** Speaks the protocol on a new connection. */
  engine(): ClientEngine;
  /** Tells connections apart that are to the same peer: the protocol, proxy_bind's address, the location. */
  readonly connectionKey: string;
  /** For the log: what it was that `name` (a peer's or a group's) was asked for. */
  label(name: string): string;
  /** The request for a peer; made anew for each try. Throws if it cannot be sent. */
  request(): UpstreamRequest<ClientHead>;
  /** The body is passed on as it comes, and part of it has been: nobody else could get all of it. */
  readonly bodyIsGone: boolean;
  /** The upstream's work goes on when the client has left (`proxy_ignore_client_abort`). */
  readonly ignoresAbort: boolean;
  onInterim(head: ReceivedHead): void;
}

export type Outcome = UpstreamAnswer | NoAnswer;

/** No peer has answered. */
export interface NoAnswer {
  /** What the client gets. */
  readonly status: number;
  readonly reason: "error" | "timeout" | "invalid_header";
}

export interface UpstreamAnswer {
  readonly head: ReceivedHead;
  body: Body;
  /** Of a connection that has left HTTP. */
  readonly tunnel: Tunnel | undefined;
  readonly state: UpstreamState;
  /** It is passed on as it comes (`proxy_buffering off`). */
  isUnbuffered: boolean;
  /** undefined for a tunnel. */
  readonly received: ReceivedResponse | undefined;
}

/** RFC 9110 9.2.2, with Nginx's list: those that a second try could do twice. */
const nonIdempotent = new Set(["POST", "LOCK", "PATCH"]);

/**
 * Asks until there is a response that stays, or nobody is left: then the status of the error. `done` is called once, and must
 * not throw.
 */
export function attempt(exchange: Exchange, options: AttemptOptions, done: (outcome: Outcome) => void): void {
  new Attempts(exchange, options, done).next();
}

class Attempts {
  readonly #exchange: Exchange;
  readonly #options: AttemptOptions;
  readonly #done: (outcome: Outcome) => void;
  readonly #selection: Selection;
  readonly #startedAt = performance.now();
  #left: number;
  #isFirst = true;

  constructor(exchange: Exchange, options: AttemptOptions, done: (outcome: Outcome) => void) {
    this.#exchange = exchange;
    this.#options = options;
    this.#done = done;
    const { peers, sticky } = options.target;
    this.#selection = peers.begin(exchange, sticky?.find(exchange));
    this.#left = options.next.tries > 0 ? Math.min(options.next.tries, peers.tries) : peers.tries;
  }

  next(): void {
    const { target } = this.#options;
    const now = this.#isFirst ? this.#startedAt : performance.now();
    const peer = target.peers.choose(this.#selection, sharedTime(now));
    if (peer === undefined) {
      const state = addState(this.#exchange, target.name, this.#isFirst, now);
      state.status = 502;
      state.responseMs = 0;
      this.#log("error", "no live upstreams while connecting to upstream", target.name);
      return this.#end(502);
    }
    this.#left--;
    target.sticky?.chosen(this.#exchange, peer.sid);
    const state = addState(this.#exchange, peer.name, this.#isFirst, now);
    this.#isFirst = false;
    new Try(this, this.#exchange, this.#options, peer, state).begin();
  }

  /** The response is the one that the client gets. */
  respond(answer: UpstreamAnswer): void {
    this.#exchange.onGone = undefined;
    this.#done(answer);
  }

  /** May another peer be asked because of this status? */
  mayGoOnFrom(status: number): boolean {
    const reason = reasonOf(status);
    return reason !== undefined && this.#left > 0 && this.#mayGoOn(reason, true);
  }

  /** The peer gave no response. `again`: it is to be asked once more, over another connection. */
  failed(peer: Peer, { kind, requestSent }: UpstreamFailure, again: boolean): void {
    if (again) {
      this.#left++;
      const { tried } = this.#selection;
      tried.splice(tried.indexOf(peer), 1);
    }
    const reason = kind === "timeout" ? "timeout" : kind === "invalid" ? "invalid_header" : "error";
    if (this.#left > 0 && this.#mayGoOn(reason, requestSent)) this.next();
    else this.#end(kind === "timeout" ? 504 : 502, reason);
  }

  /** Is another try allowed? */
  #mayGoOn(reason: NextReason, sent: boolean): boolean {
    const { next, bodyIsGone } = this.#options;
    if (!next.reasons.has(reason) || bodyIsGone) return false;
    if (sent && nonIdempotent.has(this.#exchange.method) && !next.reasons.has("non_idempotent")) return false;
    return next.timeoutMs === 0 || performance.now() - this.#startedAt < next.timeoutMs;
  }

  #log(level: "error" | "warn", detail: string, name: string): void {
    this.#exchange.logUpstream(level, detail, this.#options.label(name));
  }

  /** No peer has answered. */
  #end(status: number, reason: NoAnswer["reason"] = "error"): void {
    this.#exchange.onGone = undefined;
    this.#done({ status, reason });
  }

  /** The request cannot be sent to anybody. */
  refuse(reason: string, name: string): void {
    this.#log("error", reason, name);
    this.#end(500);
  }
}

/** One peer, one connection, one request. */
class Try implements UpstreamHandler {
  readonly #exchange: Exchange;
  readonly #options: AttemptOptions;
  readonly #peer: Peer;
  readonly #state: UpstreamState;
  readonly #owner: Attempts;
  #connection: UpstreamConnection;
  readonly #key: string;
  #released = false;
  #phase: Phase = "head";

  constructor(owner: Attempts, exchange: Exchange, options: AttemptOptions, peer: Peer, state: UpstreamState) {
    this.#exchange = exchange;
    this.#options = options;
    this.#peer = peer;
    this.#state = state;
    this.#owner = owner;
    this.#key = peer.connectionKey(options.connectionKey);
    this.#connection = options.target.kept?.pool.take(this.#key) ?? this.#fresh();
    if (this.#connection.reusable) state.connectMs = 0;
  }

  #fresh(): UpstreamConnection {
    const options = this.#options;
    const { timers, connect, dial = plainDialer } = options;
    return new UpstreamConnection(dial(this.#peer.conf.address, connect), timers, options.engine());
  }

  begin(): void {
    const { ignoresAbort } = this.#options;
    try {
      this.#connection.request(this.#options.request(), this);
    } catch (error) {
      // Nothing of it has left.
      this.#connection.close();
      this.#release("ok");
      this.#owner.refuse(error instanceof Error ? error.message : String(error), this.#peer.name);
      return;
    }
    if (ignoresAbort) return;
    this.#exchange.endsWithClient = true;
    this.#exchange.onGone = () => {
      this.#state.status = 499;
      this.#connection.close();
      this.#release("ok");
    };
  }

  onConnect(): void {
    this.#state.connectMs = this.#since();
  }

  onInterim(head: ReceivedHead): void {
    this.#options.onInterim(head);
  }

  onResponse(received: ReceivedResponse): void {
    const { head, body } = received;
    this.#state.headerMs = this.#since();
    this.#state.status = head.status;
    if (this.#owner.mayGoOnFrom(head.status)) {
      this.#release(head.status === 403 || head.status === 404 ? "next" : "failed");
      this.#connection.close();
      this.#owner.next();
      return;
    }
    if (body.kind === "bytes") this.#state.length = body.bytes.length;
    this.#headed(received);
    this.#owner.respond({ head, body, tunnel: undefined, state: this.#state, isUnbuffered: false, received });
  }

  onUpgrade(head: ReceivedHead, tunnel: Tunnel): void {
    this.#state.headerMs = this.#since();
    this.#state.status = head.status;
    this.#headed({ head, trailers: undefined });
    this.#owner.respond({
      head,
      body: emptyBody,
      tunnel,
      state: this.#state,
      isUnbuffered: false,
      received: undefined,
    });
  }

  #headed(received: Pick<ReceivedResponse, "head" | "trailers">): void {
    const dropped = dropDuplicates(received.head.headers);
    if (dropped !== undefined) for (const line of dropped) this.#log("warn", failureText(line, "head"));
    const { peers, sticky } = this.#options.target;
    setReceived(this.#exchange, received);
    if (peers.timesHeads) peers.headed(this.#peer, this.#state.headerMs ?? 0, sharedNow());
    sticky?.answered(this.#exchange, this.#peer.sid, "header");
  }

  onNote(level: NoteLevel, detail: string): void {
    this.#log(level, detail);
  }

  onEnd(): void {
    this.#release("ok");
    const connection = this.#connection;
    const { kept } = this.#options.target;
    const { startedAt, responseMs } = this.#state;
    if (!connection.reusable) return;
    if (kept === undefined) connection.close();
    else kept.pool.give(this.#key, connection, kept.limits, startedAt + (responseMs ?? 0));
  }

  onFailure(failure: UpstreamFailure): void {
    const { phase, kind, detail, reused } = failure;
    this.#phase = phase;
    if (phase === "body" || phase === "tunnel") {
      // The client has part of the response: its reader hears of it, too.
      this.#log(kind === "reset" && phase === "tunnel" ? "warn" : "error", detail);
      this.#release("ok");
      return;
    }
    // A kept connection that the upstream was just closing: its program has seen nothing of the request.
    const stale = reused && (kind === "closed" || kind === "reset" || kind === "leaving");
    if (!stale) this.#log("error", detail);
    this.#state.status = kind === "timeout" ? 504 : 502;
    this.#exchange.onGone = undefined;
    this.#release(stale ? "ok" : "failed");
    this.#owner.failed(this.#peer, failure, stale);
  }

  /** The peer is free again; once, however the try has ended. */
  #release(ending: Ending): void {
    if (this.#released) return;
    this.#released = true;
    const responseMs = this.#since();
    this.#state.responseMs = responseMs;
    this.#state.received = this.#connection.bytesReceived;
    this.#state.sent = this.#connection.bytesSent;
    const { peers, sticky } = this.#options.target;
    const { headerMs } = this.#state;
    const now = sharedTime(this.#state.startedAt + responseMs);
    if (peers.release(this.#peer, ending, now, { headerMs, responseMs }))
      this.#log("warn", failureText("upstream server temporarily disabled", this.#phase));
    if (ending === "ok") sticky?.answered(this.#exchange, this.#peer.sid, "end");
  }

  #since(): number {
    return performance.now() - this.#state.startedAt;
  }

  #log(level: NoteLevel, detail: string): void {
    this.#exchange.logUpstream(level, detail, this.#options.label(this.#peer.name));
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
