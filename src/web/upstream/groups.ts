/** Groups of servers (`upstream`): their directives, and what locations use of them. */
import { formatAddress, parseIpv4, parseIpv6 } from "../../base/address.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import { lookUpHost } from "../../net/hosts.ts";
import type { Block } from "../build.ts";
import { context, type Directive, duplicate, invalidParameter, number, time } from "../directive.ts";
import type { Runtime } from "../module.ts";
import type { UpstreamTarget } from "./attempts.ts";
import type { UpstreamConnection } from "./connection.ts";
import { type PeerConf, Peers } from "./peers.ts";
import { ConnectionPool } from "./pool.ts";

const { http, upstream } = context;

/** The addresses that a server's name stands for, when the configuration is read. Throws ConfigError. */
export function upstreamAddresses(text: string, defaultPort: number, at: Place): PeerConf["address"][] {
  if (text.startsWith("unix:")) return [{ kind: "unix", path: text.slice("unix:".length) }];
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const port = Number(found?.[3] ?? defaultPort);
  if (found === null || port < 1 || port > 65535) throw new ConfigError(`invalid port in upstream "${text}"`, at);
  const [, v6, name = ""] = found;
  if (v6 !== undefined) {
    if (parseIpv6(v6) === undefined) throw new ConfigError(`invalid IPv6 address in upstream "${text}"`, at);
    return [{ kind: "tcp", family: 6, host: v6, port }];
  }
  if (parseIpv4(name) !== undefined) return [{ kind: "tcp", family: 4, host: name, port }];
  const hosts = lookUpHost(name);
  if (hosts.length === 0) throw new ConfigError(`host not found in upstream "${text}"`, at);
  return hosts.map(({ family, host }) => ({ kind: "tcp", family, host, port }) as const);
}

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

const serverRow: Directive<readonly PeerConf[]> = {
  summary: "A server of the group.",
  syntax: "address [weight=number] [max_conns=number] [max_fails=number] [fail_timeout=time] [backup] [down]",
  contexts: upstream,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  slot: "upstream servers",
  parse(statement, before = []) {
    const { args, at } = statement;
    const [text = "", ...parameters] = args;
    const conf = { weight: 1, maxConns: 0, maxFails: 1, failTimeoutMs: 10_000, backup: false, down: false };
    for (const each of parameters) readParameter(conf, each, at);
    const addresses = upstreamAddresses(text, 80, at);
    return [...before, ...addresses.map((address) => ({ ...conf, address, name: text }))];
  },
};

type Mutable = { -readonly [K in Exclude<keyof PeerConf, "address" | "name">]: PeerConf[K] };

function readParameter(conf: Mutable, text: string, at: Place): void {
  const [name = "", value = ""] = text.split("=", 2);
  const count = /^\d{1,9}$/.test(value) ? Number(value) : undefined;
  if (text === "backup") conf.backup = true;
  else if (text === "down") conf.down = true;
  else if (name === "weight" && count !== undefined && count > 0) conf.weight = count;
  else if (name === "max_conns" && count !== undefined) conf.maxConns = count;
  else if (name === "max_fails" && count !== undefined) conf.maxFails = count;
  else if (name === "fail_timeout") {
    const ms = parseTime(value, "s");
    if (ms === undefined) throw invalidParameter({ at }, text);
    conf.failTimeoutMs = ms * 1000;
  } else throw invalidParameter({ at }, text);
}

const keepalive: Directive<{ readonly connections: number; readonly local: boolean } | undefined> = {
  summary: "How many idle connections each web worker keeps.",
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
  keepalive,
  "keepalive_requests@upstream": number({
    contexts: upstream,
    slot: "upstream keepalive_requests",
    initial: 1000,
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

const targets = new WeakMap<Block, UpstreamTarget>();

/** The group that a block describes: all locations that name it share its peers and connections. */
export function targetOf(block: Block, name: string, { timers }: Runtime): UpstreamTarget {
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
  const made = {
    name,
    peers: new Peers(conf["server@upstream"]),
    kept: connections === 0 ? undefined : { pool: new ConnectionPool<UpstreamConnection>(timers), limits, local },
  };
  targets.set(block, made);
  return made;
}

/** Some addresses without a group of their own. */
export function looseTarget(name: string, addresses: readonly PeerConf["address"][]): UpstreamTarget {
  const confs = addresses.map(
    (address): PeerConf => ({
      address,
      name: formatAddress(address),
      weight: 1,
      maxFails: 1,
      failTimeoutMs: 10_000,
      maxConns: 0,
      backup: false,
      down: false,
    }),
  );
  return { name, peers: new Peers(confs), kept: undefined };
}
