/** The servers of an upstream, and which of them is next: smooth weighted round robin, as Nginx does it. */
import type { Address } from "../../base/address.ts";

/** How a peer is configured (`server` in an `upstream`). */
export interface PeerConf {
  readonly address: Exclude<Address, { kind: "fd" }>;
  /** As it was written, with the port: $proxy_host of nothing, but the log's. */
  readonly name: string;
  readonly weight: number;
  /** Failures within `failTimeoutMs` after which it is left alone for as long; 0: never. */
  readonly maxFails: number;
  readonly failTimeoutMs: number;
  /** Most connections at a time; 0: any number. */
  readonly maxConns: number;
  readonly backup: boolean;
  readonly down: boolean;
}

/** A peer and how it fares. */
export class Peer {
  readonly conf: PeerConf;
  currentWeight = 0;
  effectiveWeight: number;
  connections = 0;
  fails = 0;
  /** ms of `performance.now()`: of the last failure, and of the last look at it since. */
  accessedAt = Number.NEGATIVE_INFINITY;
  checkedAt = Number.NEGATIVE_INFINITY;

  constructor(conf: PeerConf) {
    this.conf = conf;
    this.effectiveWeight = conf.weight;
  }

  /** May a request be given to it now? */
  isUsable(now: number): boolean {
    const { down, maxFails, failTimeoutMs, maxConns } = this.conf;
    if (down || (maxConns > 0 && this.connections >= maxConns)) return false;
    return maxFails === 0 || this.fails < maxFails || now - this.checkedAt > failTimeoutMs;
  }
}

/** Who is next of some peers. `tried`: not again for the same request. */
export type Choose = (peers: readonly Peer[], tried: ReadonlySet<Peer>, now: number) => Peer | undefined;

/** Each in turn, as often as its weight says, spread evenly. */
export const roundRobin: Choose = (peers, tried, now) => {
  let best: Peer | undefined;
  let total = 0;
  for (const peer of peers) {
    if (tried.has(peer) || !peer.isUsable(now)) continue;
    peer.currentWeight += peer.effectiveWeight;
    total += peer.effectiveWeight;
    if (peer.effectiveWeight < peer.conf.weight) peer.effectiveWeight++;
    if (best === undefined || peer.currentWeight > best.currentWeight) best = peer;
  }
  if (best === undefined) return undefined;
  best.currentWeight -= total;
  if (now - best.checkedAt > best.conf.failTimeoutMs) best.checkedAt = now;
  return best;
};

/** All peers of an upstream. */
export class Peers {
  readonly primary: readonly Peer[];
  readonly backup: readonly Peer[];
  readonly #choose: Choose;

  constructor(confs: readonly PeerConf[], choose: Choose = roundRobin) {
    const peers = confs.map((conf) => new Peer(conf));
    this.primary = peers.filter(({ conf }) => !conf.backup);
    this.backup = peers.filter(({ conf }) => conf.backup);
    this.#choose = choose;
  }

  /** How often a request may be tried: once with each. */
  get count(): number {
    return this.primary.length + this.backup.length;
  }

  /** Takes a peer for a request; give it back with `release`. undefined: there is none now. */
  choose(tried: ReadonlySet<Peer>, now: number): Peer | undefined {
    const found = this.#next(tried, now);
    if (found !== undefined) found.connections++;
    return found;
  }

  #next(tried: ReadonlySet<Peer>, now: number): Peer | undefined {
    // A single server is never given up: there is nobody else to ask.
    const [only] = this.primary;
    if (this.count === 1 && only !== undefined) {
      const { maxConns, down } = only.conf;
      return tried.has(only) || down || (maxConns > 0 && only.connections >= maxConns) ? undefined : only;
    }
    const found = this.#choose(this.primary, tried, now) ?? roundRobin(this.backup, tried, now);
    if (found !== undefined) return found;
    // All have failed: the next request finds them all worth a try again.
    for (const peer of [...this.primary, ...this.backup]) peer.fails = 0;
    return undefined;
  }

  /** The request is over at this peer. "next": it answered, but not what was hoped for. */
  release(peer: Peer, outcome: "ok" | "failed" | "next", now: number): void {
    peer.connections--;
    const { maxFails, weight } = peer.conf;
    if (outcome === "failed" && this.count > 1) {
      peer.fails++;
      peer.accessedAt = now;
      peer.checkedAt = now;
      if (maxFails > 0) peer.effectiveWeight = Math.max(peer.effectiveWeight - Math.floor(weight / maxFails), 0);
    } else if (outcome === "ok" && peer.accessedAt < peer.checkedAt) peer.fails = 0;
  }
}
