/** `resolver`, `resolver_timeout`: which name servers are asked while requests are served. */
import { parseIpv6 } from "../../base/address.ts";
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import { lookUpHost } from "../../net/hosts.ts";
import type { ServerAddress } from "../../net/name_server.ts";
import { Resolver } from "../../net/resolver.ts";
import { type Conf, context, type Directive, duplicate, everywhere, time } from "../directive.ts";
import type { Runtime } from "../module.ts";

/** What `resolver` says. */
export interface ResolverConf {
  readonly servers: readonly ServerAddress[];
  /** `valid=`, ms; undefined: answers hold for their TTL. */
  readonly validMs: number | undefined;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

const contexts = everywhere | context.upstream;
const defaultPort = 53;

const resolver: Directive<ResolverConf | undefined> = {
  summary: "The name servers that names of upstream servers are asked for while requests are served.",
  syntax: "address … [valid=time] [ipv4=on|off] [ipv6=on|off] [status_zone=zone]",
  contexts,
  args: [1, Number.POSITIVE_INFINITY],
  initial: undefined,
  deviation: "`status_zone=` is accepted and counts nothing",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    return resolverConf(statement);
  },
};

export const resolverDirectives = {
  resolver,
  resolver_timeout: time({
    contexts,
    initial: 30_000,
    initialText: "30s",
    summary: "How long a name is waited for.",
  }),
};

function resolverConf({ args, at }: Statement): ResolverConf {
  const servers: ServerAddress[] = [];
  const families = { ipv4: true, ipv6: true };
  let validMs: number | undefined;
  for (const word of args) {
    const [, name = "", value = ""] = /^(valid|ipv4|ipv6|status_zone)=(.*)$/s.exec(word) ?? [];
    switch (name) {
      case "valid": {
        const seconds = parseTime(value, "s");
        if (seconds === undefined) throw new ConfigError(`invalid parameter: ${word}`, at);
        // No time means none of its own: the TTL holds.
        validMs = seconds === 0 ? undefined : seconds * 1000;
        break;
      }
      case "ipv4":
      case "ipv6":
        if (value !== "on" && value !== "off") throw new ConfigError(`invalid parameter: ${word}`, at);
        families[name] = value === "on";
        break;
      case "status_zone":
        break;
      default:
        servers.push(...nameServers(word, at));
    }
  }
  if (!families.ipv4 && !families.ipv6) throw new ConfigError('"ipv4" and "ipv6" cannot both be "off"', at);
  if (servers.length === 0) throw new ConfigError("no name servers defined", at);
  return { servers, validMs, ...families };
}

/** `HOST`, `HOST:PORT`, `[V6]:PORT`; a name stands for all its addresses, which the system knows now. */
function nameServers(text: string, at: Place): ServerAddress[] {
  const bad = (why: string) => new ConfigError(`${why} in resolver "${text}"`, at);
  const found = /^(\[[^\]]*\]|[^:/?#]*)(?::(.*))?$/s.exec(text);
  if (found === null) throw bad("invalid host");
  const [, host = "", portText] = found;
  const port = portText === undefined ? defaultPort : /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65535) throw bad("invalid port");
  if (host === "") throw bad("no host");
  if (host.startsWith("[")) {
    const inner = host.slice(1, -1);
    if (parseIpv6(inner) === undefined) throw bad("invalid IPv6 address");
    return [{ kind: "tcp", family: 6, host: inner, port }];
  }
  const addresses = lookUpHost(host);
  if (addresses.length === 0) throw bad("host not found");
  return addresses.map((each) => ({ kind: "tcp", ...each, port }));
}

const made = new WeakMap<Runtime, Map<string, Resolver>>();

/**
 * The resolver of a block: `resolverOf(block.conf(resolverDirectives), runtime)`. Blocks with the same servers and parameters
 * share it and its answers. undefined: the block has none (Nginx then fails with "no resolver defined to resolve NAME").
 */
export function resolverOf(conf: Conf<typeof resolverDirectives>, runtime: Runtime): Resolver | undefined {
  const { resolver: options, resolver_timeout: timeoutMs } = conf;
  if (options === undefined || timeoutMs === undefined) return undefined;
  const known = made.get(runtime) ?? new Map<string, Resolver>();
  made.set(runtime, known);
  const key = JSON.stringify([options, timeoutMs]);
  let found = known.get(key);
  if (found === undefined) {
    found = new Resolver({ ...options, timeoutMs, log: (message) => runtime.log.log("error", message) });
    known.set(key, found);
  }
  return found;
}
