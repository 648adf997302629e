/** The peers of a group, from its configuration: with a state that all web workers share, or that comes and goes with DNS. */
import { formatAddress } from "../../base/address.ts";
import type { Resolver } from "../../net/resolver.ts";
import type { Zone } from "../../shm/zone.ts";
import type { Runtime } from "../module.ts";
import { sharedZone } from "../shared_zone.ts";
import type { Method } from "./balance/balancer.ts";
import { hasPassed, LocalState, type PeerState, sharedState, stateFields } from "./peer_state.ts";
import { Peer, type PeerConf, Peers } from "./peers.ts";
import { forget, remembered, rememberResolved } from "./remembered.ts";
import { keepResolving, keyed, type ResolvedServer } from "./resolving.ts";
import type { ServerConf } from "./server_row.ts";

/** What a zone of upstreams is, as its owner says. It stays over a reload: its keys say what belongs together. */
export const zoneKind = "peers";

export interface GroupConf {
  readonly name: string;
  readonly servers: readonly ServerConf[];
  readonly method: Method | undefined;
  /** The zone's name. */
  readonly zone: string | undefined;
  readonly resolver: Resolver | undefined;
  readonly resolverTimeoutMs: number;
}

export class GroupPeers {
  readonly peers: Peers;
  /** Until the first names are resolved; undefined: there are none. */
  readonly ready: Promise<unknown> | undefined;
  readonly #conf: GroupConf;
  readonly #zone: Zone<typeof stateFields> | undefined;
  readonly #fixed: readonly Peer[];
  readonly #resolved: Map<string, Peer>[] = [];
  readonly #isFirst: boolean;

  constructor(conf: GroupConf, runtime: Runtime) {
    const { method, zone, servers, resolver } = conf;
    this.#conf = conf;
    this.#isFirst = runtime.webWorker === 0;
    if (zone !== undefined) this.#zone = sharedZone(runtime, { name: zone, kind: zoneKind, fields: stateFields });
    const fixed = keyed(servers.flatMap((server) => server.peers));
    this.#fixed = [...fixed].map(([key, each]) => this.#peer(key, each));
    this.peers = new Peers([], [], {
      ...(method === undefined ? {} : { balancer: method.make() }),
      ...(this.#zone === undefined ? {} : { locked: this.#zone.locked.bind(this.#zone) }),
    });
    this.#update();
    const names = servers.flatMap(({ resolved }) => (resolved === undefined ? [] : [resolved]));
    if (names.length === 0 || resolver === undefined) return;
    this.ready = Promise.all(names.map((each) => this.#resolve(each, resolver, runtime)));
  }

  #peer(key: string, conf: PeerConf): Peer {
    return new Peer(conf, formatAddress(conf.address), this.#state(key, conf));
  }

  /** The zone's record of a peer; where the zone is full, its own. */
  #state(peerKey: string, conf: PeerConf): PeerState {
    const zone = this.#zone;
    if (zone === undefined) return new LocalState(conf.weight);
    return zone.locked(() => {
      const { table } = zone;
      const key = `${this.#conf.name} ${peerKey}`;
      const known = table.lookup(key);
      const node = known ?? table.insert(key, (old) => table.get(old, "connections") === 0);
      if (node === undefined) return new LocalState(conf.weight);
      table.touch(node);
      const state = sharedState(table, node);
      if (known === undefined) state.effectiveWeight = conf.weight;
      else if (this.#isFirst) begunAnew(state, conf.weight);
      return state;
    });
  }

  #resolve(server: ResolvedServer, resolver: Resolver, { log }: Runtime): Promise<void> {
    const known = new Map<string, Peer>();
    this.#resolved.push(known);
    const zone = this.#zone;
    const group = this.#conf.name;
    const take = (confs: ReadonlyMap<string, PeerConf>): void => {
      for (const key of [...known.keys()]) if (!confs.has(key)) known.delete(key);
      for (const [key, conf] of confs) if (!known.has(key)) known.set(key, this.#peer(key, conf));
      this.#update();
    };
    // What the workers before us knew holds until there is an answer.
    if (zone !== undefined) take(keyed(remembered(zone, group, server)));
    return keepResolving(server, {
      resolver,
      timeoutMs: this.#conf.resolverTimeoutMs,
      onError: (message) => log.log("error", message),
      onPeers: (confs) => {
        if (zone !== undefined) {
          forget(zone, group, server);
          rememberResolved(zone, { group, server, confs });
        }
        take(keyed(confs));
      },
    });
  }

  /** Those that stay keep their places. */
  #update(): void {
    const { method } = this.#conf;
    const all = [...this.#fixed, ...this.#resolved.flatMap((known) => [...known.values()])];
    this.peers.primary = all.filter(({ conf }) => !conf.backup);
    this.peers.backup = method?.backup === false ? [] : all.filter(({ conf }) => conf.backup);
  }
}

/** A reload forgives what was; who has been checked, and how many requests are under way, is still true. */
function begunAnew(state: PeerState, weight: number): void {
  state.fails = 0;
  state.currentWeight = 0;
  state.effectiveWeight = weight;
  state.unhealthy &= hasPassed;
}
