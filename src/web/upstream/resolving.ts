/** `server NAME resolve`: the servers of a group come and go as the name servers say. */
import { formatAddress } from "../../base/address.ts";
import type { PeerAddress } from "../../net/connect.ts";
import type { ServiceAddress } from "../../net/resolved.ts";
import type { Resolver } from "../../net/resolver.ts";
import type { PeerConf } from "./peers.ts";

/** A server whose addresses are found out while requests are served. */
export interface ResolvedServer {
  readonly conf: Omit<PeerConf, "address">;
  readonly host: string;
  readonly port: number;
  /** SRV records are asked for. */
  readonly service: string | undefined;
}

export interface ResolvingOptions {
  readonly resolver: Resolver;
  /** After a failure it is tried again in so many ms, at least in a second. */
  readonly timeoutMs: number;
  /** The peers that the server stands for now. */
  onPeers(confs: readonly PeerConf[]): void;
  onError(message: string): void;
}

/** Keeps asking. The first answer (or failure) settles the promise. */
export function keepResolving(server: ResolvedServer, options: ResolvingOptions): Promise<void> {
  const { resolver, timeoutMs, onPeers, onError } = options;
  const ask = async (): Promise<void> => {
    const now = performance.now();
    const found =
      server.service === undefined
        ? await resolver.resolve(server.host)
        : await resolver.resolveService(server.service, server.host);
    let wait = found.validUntil - now;
    if (found.kind === "failed") {
      const what = server.service === undefined ? server.host : `service ${server.service} of ${server.host}`;
      onError(`${what} could not be resolved (${found.text})`);
      if (found.code === nameError) onPeers([]);
      else wait = timeoutMs;
    } else onPeers(peersOf(server, found.addresses as readonly ServiceAddress[]));
    setTimeout(ask, Math.min(Math.max(wait, 1000), longestMs)).unref();
  };
  return ask();
}

/** The name does not exist: nor do its servers any more. */
const nameError = 3;
/** What timers can count. */
const longestMs = 2 ** 31 - 1;

function peersOf({ conf, port, service }: ResolvedServer, addresses: readonly ServiceAddress[]): PeerConf[] {
  const first = Math.min(...addresses.map(({ priority }) => priority ?? 0));
  return addresses.map(({ family, host, ...target }) => {
    const address: PeerAddress = { kind: "tcp", family, host, port: service === undefined ? port : target.port };
    if (service === undefined) return { ...conf, address };
    const weight = conf.weight === 1 ? Math.max(target.weight, 1) : conf.weight;
    return { ...conf, address, weight, server: target.name, backup: target.priority !== first };
  });
}

/** Tells two peers of a group apart. */
const peerKey = ({ address, server, backup, weight }: PeerConf): string =>
  `${backup ? "b" : "p"} ${formatAddress(address)} ${weight} ${server}`;

/** Peers by keys of their own; the same one may be there more than once. */
export function keyed(confs: readonly PeerConf[]): ReadonlyMap<string, PeerConf> {
  const found = new Map<string, PeerConf>();
  for (const conf of confs) {
    const key = peerKey(conf);
    let unique = key;
    for (let n = 2; found.has(unique); n++) unique = `${key} #${n}`;
    found.set(unique, conf);
  }
  return found;
}
