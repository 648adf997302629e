/** The peers of a group, from its configuration: with a state that all web workers share, or that comes and goes with DNS. */
import { formatAddress } from "../../base/address.ts";
import type { Resolver } from "../../net/resolver.ts";
import type { Zone } from "../../shm/zone.ts";
import type { Runtime } from "../module.ts";
import { sharedZone } from "../shared_zone.ts";
import type { Method } from "./balance/balancer.ts";
import { LocalState, type PeerState, sharedState, stateFields } from "./peer_state.ts";
import { Peer, type PeerConf, Peers } from "./peers.ts";
import { keepResolving, peerKey, type ResolvedServer } from "./resolving.ts";
import type { ServerConf } from "./server_row.ts";

/** What a zone of upstreams is, as its owner says. */
export const zoneKind = "upstream";

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
  readonly #known = new Map<string, Peer>();

  constructor(conf: GroupConf, runtime: Runtime) {
    const { method, zone, servers, resolver } = conf;
    this.#conf = conf;
    if (zone !== undefined) this.#zone = sharedZone(runtime, { name: zone, kind: zoneKind, fields: stateFields });
    const fixed = servers.flatMap((server) => server.peers).map((each) => this.#peer(each));
    this.peers = new Peers(
      fixed.filter((peer) => !peer.conf.backup),
      fixed.filter((peer) => peer.conf.backup),
      {
        ...(method === undefined ? {} : { balancer: method.make() }),
        ...(this.#zone === undefined ? {} : { locked: this.#zone.locked.bind(this.#zone) }),
      },
    );
    const names = servers.flatMap(({ resolved }) => (resolved === undefined ? [] : [resolved]));
    if (names.length === 0 || resolver === undefined) return;
    this.ready = Promise.all(names.map((each) => this.#resolve(each, resolver, runtime)));
  }

  #peer(conf: PeerConf): Peer {
    return new Peer(conf, formatAddress(conf.address), this.#state(conf));
  }

  /** The zone's record of a peer; of a full zone, its own. */
  #state(conf: PeerConf): PeerState {
    const zone = this.#zone;
    if (zone === undefined) return new LocalState(conf.weight);
    return zone.locked(() => {
      const { table } = zone;
      const key = `${this.#conf.name} ${peerKey(conf)}`;
      const known = table.lookup(key);
      const node = known ?? table.insert(key, (old) => table.get(old, "connections") === 0);
      if (node === undefined) return new LocalState(conf.weight);
      if (known === undefined) table.set(node, "effectiveWeight", conf.weight);
      table.touch(node);
      return sharedState(table, node);
    });
  }

  #resolve(server: ResolvedServer, resolver: Resolver, { log }: Runtime): Promise<void> {
    let current: readonly string[] = [];
    return keepResolving(server, {
      resolver,
      timeoutMs: this.#conf.resolverTimeoutMs,
      onError: (message) => log.log("error", message),
      onPeers: (confs) => {
        const wanted = new Map(confs.map((conf) => [peerKey(conf), conf]));
        const gone = current.filter((key) => !wanted.has(key));
        current = [...wanted.keys()];
        for (const key of gone) this.#known.delete(key);
        for (const [key, conf] of wanted) if (!this.#known.has(key)) this.#known.set(key, this.#peer(conf));
        this.#update();
      },
    });
  }

  /** Those that stay keep their places. */
  #update(): void {
    const { servers, method } = this.#conf;
    const isFixed = new Set(servers.flatMap((server) => server.peers));
    const fixed = [...this.peers.primary, ...this.peers.backup].filter(({ conf }) => isFixed.has(conf));
    const all = [...fixed, ...this.#known.values()];
    this.peers.primary = all.filter(({ conf }) => !conf.backup);
    this.peers.backup = method?.backup === false ? [] : all.filter(({ conf }) => conf.backup);
  }
}
