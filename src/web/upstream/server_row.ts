/** `server` in an `upstream`: where it is, and how many requests it gets. */
import { parseIpv4, parseIpv6 } from "../../base/address.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import type { PeerAddress } from "../../net/connect.ts";
import { lookUpHost } from "../../net/hosts.ts";
import { context, type Directive, invalidParameter } from "../directive.ts";
import type { Method } from "./balance/balancer.ts";
import { methodSlot } from "./balance/method_row.ts";
import { type PeerConf, usualPeer } from "./peers.ts";
import type { ResolvedServer } from "./resolving.ts";
import { maxSidBytes } from "./sessions.ts";

/** The servers of one statement: addresses, or a name whose addresses are asked for again and again. */
export interface ServerConf {
  readonly peers: readonly PeerConf[];
  readonly resolved: ResolvedServer | undefined;
  readonly backup: boolean;
  readonly at: Place;
}

/** Host and port of `HOST[:PORT]`; `port` undefined: none is given. Throws ConfigError. */
function splitServer(text: string, at: Place): { readonly host: string; readonly v6: boolean; readonly port?: number } {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const port = found?.[3] === undefined ? undefined : Number(found[3]);
  if (found === null || (port !== undefined && (port < 1 || port > 65535)))
    throw new ConfigError(`invalid port in upstream "${text}"`, at);
  const [, v6, name = ""] = found;
  return { host: v6 ?? name, v6: v6 !== undefined, ...(port === undefined ? {} : { port }) };
}

/** The addresses that a server's name stands for, when the configuration is read. Throws ConfigError. */
export function upstreamAddresses(text: string, defaultPort: number, at: Place): PeerAddress[] {
  if (/^unix:/i.test(text)) {
    if (text.length === "unix:".length)
      throw new ConfigError(`no path in the unix domain socket in upstream "${text}"`, at);
    return [{ kind: "unix", path: text.slice("unix:".length) }];
  }
  const { host, v6, port = defaultPort } = splitServer(text, at);
  if (v6) {
    if (parseIpv6(host) === undefined) throw new ConfigError(`invalid IPv6 address in upstream "${text}"`, at);
    return [{ kind: "tcp", family: 6, host, port }];
  }
  if (parseIpv4(host) !== undefined) return [{ kind: "tcp", family: 4, host, port }];
  const hosts = lookUpHost(host);
  if (hosts.length === 0) throw new ConfigError(`host not found in upstream "${text}"`, at);
  return hosts.map((each) => ({ kind: "tcp", family: each.family, host: each.host, port }) as const);
}

type Parameters = { -readonly [K in keyof typeof usualPeer]: (typeof usualPeer)[K] } & {
  resolve: boolean;
  service: string | undefined;
};

const number = (text: string): number | undefined => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);

function readParameter(into: Parameters, text: string, at: Place, method: Method | undefined): void {
  const [name = "", ...rest] = text.split("=");
  const value = rest.join("=");
  const count = number(value);
  if (text === "backup") {
    if (method?.backup === false) throw new ConfigError('balancing method does not support parameter "backup"', at);
    into.backup = true;
  } else if (text === "down") into.down = true;
  else if (text === "drain") into.down = "drain";
  else if (text === "resolve") into.resolve = true;
  else if (name === "weight" && count !== undefined && count > 0) into.weight = count;
  else if (name === "max_conns" && count !== undefined) into.maxConns = count;
  else if (name === "max_fails" && count !== undefined) into.maxFails = count;
  else if (name === "fail_timeout" && parseTime(value, "s") !== undefined)
    into.failTimeoutMs = (parseTime(value, "s") ?? 0) * 1000;
  else if (name === "route" && rest.length > 0) {
    if (value === "") throw new ConfigError("route is empty", at);
    if (value.length > maxSidBytes) throw new ConfigError(`route is longer than ${maxSidBytes}`, at);
    into.route = value;
  } else if (name === "service" && rest.length > 0) {
    if (value === "") throw new ConfigError("service is empty", at);
    into.service = value;
  } else throw invalidParameter({ at }, text);
}

/** Its name's addresses are not known yet. */
function resolvedLater(
  text: string,
  { resolve: _, service, ...conf }: Parameters,
  at: Place,
): ResolvedServer | undefined {
  if (/^unix:/i.test(text)) return undefined;
  const { host, v6, port } = splitServer(text, at);
  const isAddress = v6 || parseIpv4(host) !== undefined;
  if (service !== undefined) {
    if (port !== undefined) throw new ConfigError(`service upstream "${text}" may not have port`, at);
    if (isAddress) throw new ConfigError(`service upstream "${text}" requires domain name`, at);
  }
  return isAddress ? undefined : { conf: { ...conf, server: text }, host, port: port ?? 80, service };
}

export const serverRow: Directive<readonly ServerConf[]> = {
  summary: "A server of the group.",
  syntax:
    "address [weight=number] [max_conns=number] [max_fails=number] [fail_timeout=time] [backup] [down] [drain] [resolve] [service=name] [route=string]",
  contexts: context.upstream,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  slot: "upstream servers",
  parse({ args, at }, before = [], { block }) {
    const [text = "", ...words] = args;
    const parameters: Parameters = { ...usualPeer, resolve: false, service: undefined };
    const method = block.own(methodSlot) as Method | undefined;
    for (const word of words) readParameter(parameters, word, at, method);
    const { resolve, service, ...conf } = parameters;
    if (service !== undefined && !resolve)
      throw new ConfigError(`service upstream "${text}" requires "resolve" parameter`, at);
    const resolved = resolve ? resolvedLater(text, parameters, at) : undefined;
    const peers =
      resolved === undefined
        ? upstreamAddresses(text, 80, at).map((address): PeerConf => ({ ...conf, address, server: text }))
        : [];
    return [...before, { peers, resolved, backup: conf.backup, at }];
  },
};
