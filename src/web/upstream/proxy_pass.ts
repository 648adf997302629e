/** proxy_pass: from its URL to an upstream, and to the URI that is asked for there. */
import { ConfigError } from "../../config/statement.ts";
import type { Block } from "../build.ts";
import type { LocationMatch } from "../core/http.ts";
import type { Conf } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Compiling } from "../module.ts";
import { escapeUri } from "../path.ts";
import type { Setup } from "../setup.ts";
import type { UpstreamTarget } from "./attempts.ts";
import { targetOf, upstreamAddresses, upstreamsOf } from "./groups.ts";
import type { ProxyPass, proxyDirectives } from "./proxy_rows.ts";
import { type FoundTarget, implicitTarget, targetFinder } from "./targets.ts";

/** Where a request goes. */
export interface Destination {
  readonly target: UpstreamTarget;
  /** $proxy_host: the Host that the upstream gets by default. */
  readonly hostHeader: string;
  readonly port: string;
  readonly scheme: "http" | "https";
  /** Path and query for the request line. */
  readonly uri: string;
  /** What `proxy_redirect default` takes off. */
  readonly redirectFrom: string | undefined;
}

type Found = Destination | { readonly status: number };

/** "host:port" and the URI behind it. */
interface UrlParts {
  readonly authority: string;
  readonly uri: string;
}

function splitUrl(text: string): UrlParts {
  if (text.startsWith("unix:")) {
    const end = text.indexOf(":", "unix:".length);
    return end < 0 ? { authority: text, uri: "" } : { authority: text.slice(0, end), uri: text.slice(end + 1) };
  }
  const slash = text.search(/[/?]/);
  return slash < 0 ? { authority: text, uri: "" } : { authority: text.slice(0, slash), uri: text.slice(slash) };
}

/** The authority that a request names by default. */
export const hostHeaderOf = (authority: string): string => (authority.startsWith("unix:") ? "localhost" : authority);
const portOf = (authority: string, usual: number): string =>
  authority.startsWith("unix:") ? "" : (/:(\d+)$/.exec(authority)?.[1] ?? String(usual));
const usualPort = (secure: boolean): number => (secure ? 443 : 80);

const matchOf = (block: Block): LocationMatch | undefined => block.own("location match") as LocationMatch | undefined;
/** … of the location that an `if` or `limit_except` is in. */
export const namedMatchOf = (block: Block): LocationMatch | undefined =>
  block.isUnnamed && block.parent !== undefined ? namedMatchOf(block.parent) : matchOf(block);

/** Checks every proxy_pass of a configuration. Throws ConfigError. */
export function checkProxyPass(http: Block, _: Setup): void {
  const groups = upstreamsOf(http);
  const walk = (block: Block): void => {
    const pass = block.own("proxy_pass") as ProxyPass | undefined;
    if (pass !== undefined && pass.template === undefined) check(block, pass, groups);
    for (const child of block.children) walk(child);
  };
  walk(http);
}

function check(block: Block, { text, secure, at }: ProxyPass, groups: ReadonlyMap<string, Block>): void {
  const { authority, uri } = splitUrl(text);
  if (authority === "") throw new ConfigError(`no host in upstream "${text}"`, at);
  if (uri !== "" && (block.isUnnamed || matchOf(block)?.kind === "regex" || matchOf(block)?.kind === "named"))
    throw new ConfigError(
      '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block',
      at,
    );
  if (!groups.has(authority.toLowerCase())) upstreamAddresses(authority, usualPort(secure), at);
}

/** How requests of a location find their destination. */
export function destinations(
  conf: Conf<typeof proxyDirectives>,
  at: Compiling,
): (exchange: Exchange) => Found | Promise<Found> {
  const pass = conf.proxy_pass;
  if (pass === undefined) throw new Error("no proxy_pass");
  const groups = upstreamsOf(at.block);
  if (pass.template !== undefined) return byVariables(pass.template.value, groups, at);
  const { authority, uri } = splitUrl(pass.text);
  const port = usualPort(pass.secure);
  const scheme = pass.secure ? "https" : "http";
  const group = groups.get(authority.toLowerCase());
  const target =
    group === undefined
      ? implicitTarget({ authority, port }, pass.at, at.runtime)
      : targetOf(group, authority, at.runtime);
  const match = namedMatchOf(at.block);
  const prefix = match !== undefined && (match.kind === "prefix" || match.kind === "exact") ? match.path : "";
  const facts = {
    target,
    hostHeader: hostHeaderOf(authority),
    port: portOf(authority, port),
    scheme,
    redirectFrom: `${scheme}://${pass.text}`,
  } as const;
  const path = uri.startsWith("/") ? uri : `/${uri}`;
  return (exchange) => ({ ...facts, uri: uri === "" ? unchanged(exchange) : mapped(exchange, path, prefix) });
}

/** The request's own path and query: as they came, unless something has changed them. */
export function unchanged(exchange: Exchange): string {
  const { request, internal, parent, args } = exchange;
  // `set $args` may have changed them.
  if (!internal && parent === undefined && args === request.query) return request.uri;
  return withArgs(escapeUri(exchange.uri), exchange.args);
}

function mapped(exchange: Exchange, uri: string, prefix: string): string {
  // What a script has changed without looking for another location is not below this one's path.
  const rest = exchange.rewrittenInPlace ? exchange.uri : exchange.uri.slice(prefix.length);
  return withArgs((exchange.rewrittenInPlace ? "" : uri) + escapeUri(rest), exchange.args);
}

const withArgs = (uri: string, args: string): string => (args === "" ? uri : `${uri}?${args}`);

/** The URL is made per request: a group's name, an address, or a name that the resolver is asked for. */
function byVariables(
  value: (exchange: Exchange) => string,
  groups: ReadonlyMap<string, Block>,
  at: Compiling,
): (exchange: Exchange) => Found | Promise<Found> {
  const findTarget = targetFinder(groups, at);
  return (exchange) => {
    const url = value(exchange);
    const [, protocol = "", text] = /^(https?):\/\/(.*)$/is.exec(url) ?? [];
    if (text === undefined) {
      exchange.log("error", `invalid URL prefix in "${url}"`);
      return { status: 500 };
    }
    const { authority, uri } = splitUrl(text);
    const scheme = protocol.toLowerCase() === "https" ? "https" : "http";
    const port = usualPort(scheme === "https");
    const facts = {
      hostHeader: hostHeaderOf(authority),
      port: portOf(authority, port),
      scheme,
      redirectFrom: undefined,
      uri: uri === "" ? unchanged(exchange) : uri.startsWith("?") ? `/${uri}` : uri,
    } as const;
    if (authority === "") {
      exchange.log("error", `no host in upstream "${text}"`);
      return { status: 500 };
    }
    const found = findTarget(exchange, { authority, port });
    const made = (target: FoundTarget): Found => ("status" in target ? target : { ...facts, target });
    return found instanceof Promise ? found.then(made) : made(found);
  };
}
