/** What names were resolved to, kept in the group's zone: the web workers after a reload begin with it. */
import type { Zone } from "../../shm/zone.ts";
import type { stateFields } from "./peer_state.ts";
import type { PeerConf } from "./peers.ts";
import type { ResolvedServer } from "./resolving.ts";

type GroupZone = Zone<typeof stateFields>;

/** Keys of such records; behind it a number and the address as JSON. */
const prefixOf = (group: string, { host, service = "" }: ResolvedServer): string => `=${group} ${host} ${service} `;

/** Of a peer, what its server's own line does not say. */
type Told = Pick<PeerConf, "address" | "weight" | "server" | "backup">;

export function rememberResolved(
  zone: GroupZone,
  {
    group,
    server,
    confs,
  }: { readonly group: string; readonly server: ResolvedServer; readonly confs: readonly PeerConf[] },
): void {
  const prefix = prefixOf(group, server);
  zone.locked(() => {
    for (const [i, { address, weight, server: name, backup }] of confs.entries()) {
      const told: Told = { address, weight, server: name, backup };
      zone.table.insert(`${prefix}${i} ${JSON.stringify(told)}`, (old) => zone.table.get(old, "connections") === 0);
    }
  });
}

/** Visits the records of a server. */
function each(zone: GroupZone, prefix: string, visit: (node: number, rest: string) => void): void {
  const { table } = zone;
  for (let node = table.oldest(); node !== undefined; ) {
    const next = table.newer(node);
    const key = table.keyOf(node);
    if (key.startsWith(prefix)) visit(node, key.slice(prefix.length));
    node = next;
  }
}

export function forget(zone: GroupZone, group: string, server: ResolvedServer): void {
  zone.locked(() => each(zone, prefixOf(group, server), (node) => zone.table.remove(node)));
}

/** The line may name another port now. */
const here = ({ conf, port }: ResolvedServer, address: PeerConf["address"]): PeerConf => ({
  ...conf,
  address: address.kind === "tcp" ? { ...address, port } : address,
});

export function remembered(zone: GroupZone, group: string, server: ResolvedServer): PeerConf[] {
  const found: PeerConf[] = [];
  zone.locked(() =>
    each(zone, prefixOf(group, server), (_, rest) => {
      const told = JSON.parse(rest.slice(rest.indexOf(" ") + 1)) as Told;
      // A weight of the line's own stands above that of the name servers.
      if (server.service === undefined) found.push(here(server, told.address));
      else found.push({ ...server.conf, ...told, weight: server.conf.weight === 1 ? told.weight : server.conf.weight });
    }),
  );
  return found;
}
