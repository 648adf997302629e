/** From "host:port" to an upstream: a group's name, an address, or a name that is looked up. */
import { parseIpv4, parseIpv6 } from "../../base/address.ts";
import type { Place } from "../../config/statement.ts";
import type { Block } from "../build.ts";
import { resolverDirectives, resolverOf } from "../core/resolver.ts";
import type { Exchange } from "../exchange.ts";
import type { Compiling, Runtime } from "../module.ts";
import type { UpstreamTarget } from "./attempts.ts";
import { implicitTargets, looseTarget, targetOf, upstreamAddresses } from "./groups.ts";

/** An upstream as it is named. */
export interface Named {
  /** "backend", "127.0.0.1:8080", "unix:/path". */
  readonly authority: string;
  /** Where the authority has none; 0: it must have one. */
  readonly port: number;
}

/** The status: of the page that a request gets whose upstream cannot be found. */
export type FoundTarget = UpstreamTarget | { readonly status: number };

const namesPort = (authority: string): boolean => /:\d+$/.test(authority) || authority.startsWith("unix:");

/** "localhost" and "localhost:80" are the same, where 80 is the usual port. */
const implicitKey = ({ authority, port }: Named): string =>
  (port === 0 || namesPort(authority) ? authority : `${authority}:${port}`).toLowerCase();

/** The upstream that a configuration names without a group. Throws ConfigError for one that does not exist. */
export function implicitTarget(named: Named, at: Place, runtime: Runtime): UpstreamTarget {
  const all = implicitTargets(runtime);
  const key = implicitKey(named);
  const target = all.get(key) ?? looseTarget(named.authority, upstreamAddresses(named.authority, named.port, at));
  all.set(key, target);
  return target;
}

/** Finds upstreams whose names are made per request. What is wrong with one is told in the log. */
export function targetFinder(
  groups: ReadonlyMap<string, Block>,
  { block, runtime }: Compiling,
): (exchange: Exchange, named: Named) => FoundTarget | Promise<FoundTarget> {
  const resolver = resolverOf(block.conf(resolverDirectives), runtime);
  return (exchange, named) => {
    const { authority } = named;
    const group = groups.get(authority.toLowerCase());
    if (group !== undefined) return targetOf(group, authority, runtime);
    const implicit = implicitTargets(runtime).get(implicitKey(named));
    if (implicit !== undefined) return implicit;
    const host = authority.replace(/:\d+$/, "");
    if (named.port === 0 && !namesPort(authority)) {
      exchange.log("error", `no port in upstream "${authority}"`);
      return { status: 500 };
    }
    if (isAddress(host)) return addressTarget(exchange, named);
    if (resolver === undefined) {
      exchange.log("error", `no resolver defined to resolve ${host}`);
      return { status: 502 };
    }
    return resolver.resolve(host).then((found) => {
      if (found.kind === "failed") {
        exchange.log("error", `${host} could not be resolved (${found.text})`);
        return { status: 502 };
      }
      const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? named.port);
      const addresses = found.addresses.map(
        ({ family, host: address }) => ({ kind: "tcp", family, host: address, port }) as const,
      );
      // What was found out about a name's servers is forgotten with the request.
      return looseTarget(authority, addresses);
    });
  };
}

function addressTarget(exchange: Exchange, { authority, port }: Named): FoundTarget {
  try {
    return looseTarget(authority, upstreamAddresses(authority, port, { file: "", line: 0 }));
  } catch (error) {
    exchange.log("error", (error as Error).message.replace(/ in :0$/, ""));
    return { status: 500 };
  }
}

const isAddress = (host: string): boolean =>
  host.startsWith("unix:") ||
  parseIpv4(host) !== undefined ||
  (host.startsWith("[") && parseIpv6(host.slice(1, -1)) !== undefined);
