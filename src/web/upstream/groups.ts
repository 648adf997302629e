/** Groups of servers (`upstream`): their directives, and what locations use of them. */
import { formatAddress } from "../../base/address.ts";
import { ConfigError } from "../../config/statement.ts";
import { parseSize } from "../../config/values.ts";
import type { PeerAddress } from "../../net/connect.ts";
import { minimalZoneBytes } from "../../shm/zone.ts";
import type { Block } from "../build.ts";
import { resolverDirectives, resolverOf } from "../core/resolver.ts";
import { context, type Directive, duplicate, invalidParameter, number, time } from "../directive.ts";
import type { Runtime } from "../module.ts";
import type { Setup } from "../setup.ts";
import type { UpstreamTarget } from "./attempts.ts";
import type { Method } from "./balance/balancer.ts";
import { methodSlot } from "./balance/method_row.ts";
import { methodDirectives } from "./balance/methods.ts";
import type { UpstreamConnection } from "./connection.ts";
import { GroupPeers, zoneKind } from "./group_peers.ts";
import { Peers, usualPeer } from "./peers.ts";
import { ConnectionPool } from "./pool.ts";
import { serverRow } from "./server_row.ts";
import { Sticky, stickyRow } from "./sticky.ts";

export { upstreamAddresses } from "./server_row.ts";

const { http, upstream } = context;

const upstreamRow: Directive<ReadonlyMap<string, Block>> = {
  summary: "A group of servers.",
  syntax: "name { … }",
  contexts: http,
  args: 1,
  initial: new Map(),
  opens: upstream,
  parse({ args, at }, before = new Map(), { opened }) {
    const name = (args[0] ?? "").toLowerCase();
    if (before.has(name)) throw new ConfigError(`duplicate upstream "${args[0]}"`, at);
    return opened === undefined ? before : new Map([...before, [name, opened]]);
  },
};

const zoneRow: Directive<{ readonly name: string; readonly sizeBytes: number | undefined } | undefined> = {
  summary: "The memory in which all web workers know how the servers fare. Without it each knows for itself.",
  syntax: "name [size]",
  contexts: upstream,
  args: [1, 2],
  initial: undefined,
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at } = statement;
    const [name = "", text] = args;
    if (name === "") throw new ConfigError(`invalid zone name "${name}"`, at);
    if (text === undefined) return { name, sizeBytes: undefined };
    const sizeBytes = parseSize(text);
    if (sizeBytes === undefined) throw new ConfigError(`invalid zone size "${text}"`, at);
    if (sizeBytes < minimalZoneBytes) throw new ConfigError(`zone "${name}" is too small`, at);
    return { name, sizeBytes };
  },
};

const keepalive: Directive<{ readonly connections: number; readonly local: boolean } | undefined> = {
  summary: "How many idle connections each web worker keeps; `local`: locations do not share them.",
  syntax: "connections [local]",
  contexts: upstream,
  args: [1, 2],
  initial: undefined,
  initialText: "32 local",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [text = "", local] = statement.args;
    if (!/^\d{1,6}$/.test(text))
      throw new ConfigError(`invalid value "${text}" in "keepalive" directive`, statement.at);
    if (local !== undefined && local !== "local") throw invalidParameter(statement, local);
    return { connections: Number(text), local: local !== undefined };
  },
};

export const upstreamDirectives = {
  upstream: upstreamRow,
  "server@upstream": serverRow,
  zone: zoneRow,
  ...methodDirectives,
  sticky: stickyRow,
  keepalive,
  "keepalive_requests@upstream": number({
    contexts: upstream,
    slot: "upstream keepalive_requests",
    initial: 1000,
    initialText: "1000",
    summary: "How many requests a connection makes.",
  }),
  "keepalive_time@upstream": time({
    contexts: upstream,
    slot: "upstream keepalive_time",
    initial: 3_600_000,
    initialText: "1h",
    summary: "How old a connection may get.",
  }),
  "keepalive_timeout@upstream": time({
    contexts: upstream,
    slot: "upstream keepalive_timeout",
    initial: 60_000,
    initialText: "60s",
    summary: "How long an idle connection stays open.",
  }),
};

/** Where a block's upstreams are looked up. */
export const upstreamsOf = (block: Block): ReadonlyMap<string, Block> => block.conf({ upstream: upstreamRow }).upstream;

/** Checks all groups, and asks for their zones. Throws ConfigError. */
export function checkUpstreams(httpBlock: Block, setup: Setup): void {
  const zones = new Map<string, { sizeBytes: number | undefined; at: Block["at"] }>();
  for (const [name, group] of upstreamsOf(httpBlock)) {
    checkServers(name, group);
    const { zone } = group.conf(upstreamDirectives);
    if (zone === undefined) continue;
    const known = zones.get(zone.name);
    if (known?.sizeBytes !== undefined && zone.sizeBytes !== undefined && known.sizeBytes !== zone.sizeBytes)
      throw new ConfigError(
        `the size ${zone.sizeBytes} of shared memory zone "${zone.name}" conflicts with already declared size ${known.sizeBytes}`,
        group.at,
      );
    zones.set(zone.name, { sizeBytes: zone.sizeBytes ?? known?.sizeBytes, at: group.at });
  }
  for (const [name, { sizeBytes, at }] of zones) {
    if (sizeBytes === undefined) throw new ConfigError(`zero size shared memory zone "${name}"`, at);
    setup.zone({ name, kind: zoneKind, sizeBytes }, at);
  }
}

function checkServers(name: string, group: Block): void {
  const servers = group.conf(upstreamDirectives)["server@upstream"];
  const { at } = group;
  if (servers.length === 0) throw new ConfigError("no servers are inside upstream", at);
  const isResolved = servers.some(({ resolved }) => resolved !== undefined);
  if (isResolved) {
    const where = `upstream "${name}"`;
    if (group.conf(upstreamDirectives).zone === undefined)
      throw new ConfigError(`resolving names at run time requires ${where} to be in shared memory`, at);
    if (group.conf(resolverDirectives).resolver === undefined)
      throw new ConfigError(`no resolver defined to resolve names at run time in ${where}`, at);
  }
  if (servers.every(({ backup }) => backup)) throw new ConfigError(`no servers in upstream "${name}"`, at);
}

const targets = new WeakMap<Block, UpstreamTarget>();

/** The group that a block describes: all locations that name it share its peers and connections. */
export function targetOf(block: Block, name: string, runtime: Runtime): UpstreamTarget {
  const known = targets.get(block);
  if (known !== undefined) return known;
  const conf = block.conf(upstreamDirectives);
  const { connections, local } = conf.keepalive ?? { connections: 32, local: true };
  const limits = {
    maxIdle: connections,
    requests: conf["keepalive_requests@upstream"],
    timeMs: conf["keepalive_time@upstream"],
    timeoutMs: conf["keepalive_timeout@upstream"],
  };
  const resolvers = block.conf(resolverDirectives);
  const peers = new GroupPeers(
    {
      name: name.toLowerCase(),
      servers: conf["server@upstream"],
      method: block.own(methodSlot) as Method | undefined,
      zone: conf.zone?.name,
      resolver: resolverOf(resolvers, runtime),
      resolverTimeoutMs: resolvers.resolver_timeout ?? 30_000,
    },
    runtime,
  );
  const made: UpstreamTarget = {
    name,
    peers: peers.peers,
    ready: peers.ready,
    sticky: conf.sticky === undefined ? undefined : new Sticky(conf.sticky, runtime),
    kept: connections === 0 ? undefined : { pool: new ConnectionPool<UpstreamConnection>(), limits, local },
  };
  targets.set(block, made);
  return made;
}

const implicit = new WeakMap<Runtime, Map<string, UpstreamTarget>>();

/** Upstreams that a proxy_pass names without a group: those of the same name share what is known of their servers. */
export function implicitTargets(runtime: Runtime): Map<string, UpstreamTarget> {
  const known = implicit.get(runtime) ?? new Map<string, UpstreamTarget>();
  implicit.set(runtime, known);
  return known;
}

/** Some addresses without a group of their own. */
export function looseTarget(name: string, addresses: readonly PeerAddress[]): UpstreamTarget {
  const confs = addresses.map((address) => ({ ...usualPeer, address, server: name }));
  const peers = Peers.of(confs, ({ address }) => formatAddress(address));
  return { name, peers, ready: undefined, sticky: undefined, kept: undefined };
}
