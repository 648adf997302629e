/** The servers of an upstream, how each fares, and which of them is next for a request. */
import { createHash } from "node:crypto";
import type { PeerAddress } from "../../net/connect.ts";
import type { Exchange } from "../exchange.ts";
import type { Balancer, Times } from "./balance/balancer.ts";
import { roundRobin } from "./balance/round_robin.ts";
import { hasPassed, LocalState, type PeerState } from "./peer_state.ts";

/** How a peer is configured (`server` in an `upstream`). */
export interface PeerConf {
  readonly address: PeerAddress;
  /** As it was written, or the name behind a service: what `hash … consistent` makes its points of. */
  readonly server: string;
  readonly weight: number;
  /** Failures after which it is left alone for `failTimeoutMs`; 0: never. */
  readonly maxFails: number;
  readonly failTimeoutMs: number;
  /** Most connections at a time; 0: any number. */
  readonly maxConns: number;
  readonly backup: boolean;
  /** "drain": only requests that are bound to it (`sticky`) still come. */
  readonly down: boolean | "drain";
  /** What `sticky` knows it by; undefined: a name made from its address. */
  readonly route: string | undefined;
}

/** A server without parameters. */
export const usualPeer: Omit<PeerConf, "address" | "server"> = {
  weight: 1,
  maxFails: 1,
  failTimeoutMs: 10_000,
  maxConns: 0,
  backup: false,
  down: false,
  route: undefined,
};

/** A peer and how it fares. */
export class Peer {
  readonly conf: PeerConf;
  readonly state: PeerState;
  /** "127.0.0.1:8080" */
  readonly name: string;
  #sid: string | undefined;
  #kind = "";
  #key = "";

  constructor(conf: PeerConf, name: string, state: PeerState) {
    this.conf = conf;
    this.name = name;
    this.state = state;
    this.#sid = conf.route;
  }

  /** What a client that is bound to it is given. */
  get sid(): string {
    this.#sid ??= createHash("md5").update(this.name, "latin1").digest("hex");
    return this.#sid;
  }

  /** What its connections of a kind are kept by. */
  connectionKey(kind: string): string {
    if (kind !== this.#kind || this.#key === "") {
      this.#kind = kind;
      this.#key = `${this.name} ${kind}`;
    }
    return this.#key;
  }

  /** May a request be given to it now? */
  isUsable(now: number): boolean {
    return this.conf.down === false && this.isUsableIfBound(now);
  }

  /** … to whom it is bound? A server that is drained still serves those. */
  isUsableIfBound(now: number): boolean {
    const { down, maxFails, failTimeoutMs } = this.conf;
    if (down === true || this.isUnwell || this.isFull) return false;
    return maxFails === 0 || this.state.fails < maxFails || now - this.state.checkedAt > failTimeoutMs;
  }

  /** A health check says so. */
  get isUnwell(): boolean {
    return (this.state.unhealthy & ~hasPassed) !== 0;
  }

  get isFull(): boolean {
    const { maxConns } = this.conf;
    return maxConns > 0 && this.state.connections >= maxConns;
  }
}

/** Why a peer is given back. "next": it answered, but another one is asked. */
export type Ending = "ok" | "failed" | "next";

/** A request's way through the peers. */
export interface Selection {
  readonly tried: Peer[];
  /** Whom `sticky` has bound it to. */
  sid: string | undefined;
  isBackup: boolean;
  readonly pick: ReturnType<Balancer["begin"]>;
}

export interface PeersOptions {
  readonly balancer?: Balancer;
  /** Runs what looks at, and changes, the peers' state while no other process does. */
  readonly locked?: <T>(work: () => T) => T;
}

function usable(peers: readonly Peer[]): number {
  let count = 0;
  for (const { conf } of peers) if (conf.down === false) count++;
  return count;
}

/** All peers of an upstream. Times are ms of a clock that never steps. */
export class Peers {
  primary: readonly Peer[];
  backup: readonly Peer[];
  readonly #balancer: Balancer;
  readonly #locked: PeersOptions["locked"];

  constructor(primary: readonly Peer[], backup: readonly Peer[], options: PeersOptions = {}) {
    this.primary = primary;
    this.backup = backup;
    this.#balancer = options.balancer ?? roundRobin;
    this.#locked = options.locked;
  }

  /** Peers with these confs, whose state is this process's own. */
  static of(confs: readonly PeerConf[], nameOf: (conf: PeerConf) => string, options?: PeersOptions): Peers {
    const peers = confs.map((conf) => new Peer(conf, nameOf(conf), new LocalState(conf.weight)));
    return new Peers(
      peers.filter(({ conf }) => !conf.backup),
      peers.filter(({ conf }) => conf.backup),
      options,
    );
  }

  /** Nobody else could be asked: a single server is never given up. */
  get #isSingle(): boolean {
    return this.primary.length === 1 && this.backup.length === 0;
  }

  /** How often a request may be tried: once with each. */
  get tries(): number {
    return usable(this.primary) + usable(this.backup);
  }

  begin(exchange: Exchange, sid?: string): Selection {
    return { tried: [], sid, isBackup: false, pick: this.#balancer.begin(exchange) };
  }

  /** Takes a peer for a request; give it back with `release`. undefined: there is none now. */
  choose(selection: Selection, now: number): Peer | undefined {
    const locked = this.#locked;
    return locked === undefined ? this.#choose(selection, now) : locked(() => this.#choose(selection, now));
  }

  #choose(selection: Selection, now: number): Peer | undefined {
    const found = this.#isSingle ? this.#single(selection, now) : this.#next(selection, now);
    if (found === undefined) return undefined;
    const { state, conf } = found;
    selection.tried.push(found);
    state.connections++;
    if (now - state.checkedAt > conf.failTimeoutMs) state.checkedAt = now;
    this.#balancer.taken?.(found, now);
    return found;
  }

  #single({ sid }: Selection, now: number): Peer | undefined {
    const only = this.primary[0]!;
    if (sid !== undefined && only.sid === sid && only.isUsableIfBound(now)) return only;
    return only.conf.down !== false || only.isFull || only.isUnwell ? undefined : only;
  }

  #next(selection: Selection, now: number): Peer | undefined {
    if (!selection.isBackup) {
      const found = this.#pick(selection, this.primary, now);
      if (found !== undefined || this.backup.length === 0) return found;
      selection.isBackup = true;
    }
    return this.#pick(selection, this.backup, now);
  }

  #pick({ sid, tried, pick }: Selection, peers: readonly Peer[], now: number): Peer | undefined {
    const bound =
      sid === undefined
        ? undefined
        : peers.find((peer) => peer.sid === sid && !tried.includes(peer) && peer.isUsableIfBound(now));
    if (bound !== undefined && this.#balancer.weighsBound !== true) return bound;
    return pick(peers, { tried, now, bound });
  }

  /** Does it matter when a response's head has come? */
  get timesHeads(): boolean {
    return this.#balancer.headed !== undefined;
  }

  /** The response's head has come, after `headerMs`. */
  headed(peer: Peer, headerMs: number, now: number): void {
    const { headed } = this.#balancer;
    const locked = this.#locked;
    if (locked === undefined) headed?.(peer, headerMs, now);
    else locked(() => headed?.(peer, headerMs, now));
  }

  /** The request is over at this peer. Returns whether it is left alone for a while now. */
  release(peer: Peer, ending: Ending, now: number, times?: Times): boolean {
    const locked = this.#locked;
    if (locked === undefined) return this.#release(peer, ending, now, times);
    return locked(() => this.#release(peer, ending, now, times));
  }

  #release(peer: Peer, ending: Ending, now: number, times: Times | undefined): boolean {
    const { state, conf } = peer;
    this.#balancer.released?.(peer, ending, times, now);
    state.connections = Math.max(state.connections - 1, 0);
    if (this.#isSingle) {
      state.fails = 0;
      return false;
    }
    if (ending !== "failed") {
      if (state.accessedAt < state.checkedAt) state.fails = 0;
      return false;
    }
    state.fails++;
    state.accessedAt = now;
    state.checkedAt = now;
    if (conf.maxFails === 0) return false;
    state.effectiveWeight = Math.max(state.effectiveWeight - Math.floor(conf.weight / conf.maxFails), 0);
    return state.fails >= conf.maxFails;
  }
}
