/** `fastcgi_pass` and its like: an address or a group of servers, and nothing behind it. */
import { ConfigError, type Place } from "../../config/statement.ts";
import type { Block } from "../build.ts";
import { context, type Directive, duplicate } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Compiling } from "../module.ts";
import type { Template } from "../template.ts";
import { targetOf, upstreamAddresses, upstreamsOf } from "./groups.ts";
import type { Whither } from "./passing.ts";
import { type FoundTarget, implicitTarget, targetFinder } from "./targets.ts";

export interface AddressPass {
  /** Without the scheme, if it may have one. */
  readonly authority: string;
  /** With variables: the whole value is made per request. */
  readonly template: Template | undefined;
  readonly at: Place;
}

/** `scheme`: may stand in front of the address; with an "s" before it, it is TLS, which there is not. */
const withoutScheme = (text: string, scheme: string | undefined): string =>
  scheme !== undefined && text.startsWith(`${scheme}://`) ? text.slice(scheme.length + 3) : text;

/** There is none where the address has none. */
const noPort = 0;

export const addressPassRow = (scheme?: string): Directive<AddressPass | undefined> => ({
  summary: "The server, or the group of servers, that requests are passed to.",
  syntax: "address",
  contexts: context.location | context.locationIf,
  args: 1,
  initial: undefined,
  inherit: "unnamed",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at, name } = statement;
    const [text = ""] = args;
    if (scheme !== undefined && text.startsWith(`s${scheme}://`))
      throw new ConfigError(`"${name} s${scheme}://…" is Nginx's, but Alicorn cannot speak TLS to upstreams yet;`, at);
    const template = text.includes("$") ? setup.template(text, at) : undefined;
    return { authority: withoutScheme(text, scheme), template, at };
  },
});

/** Checks all of a module's; `name`: of the directive. Throws ConfigError. */
export function checkAddressPass(name: string, http: Block): void {
  const groups = upstreamsOf(http);
  const walk = (block: Block): void => {
    const pass = block.own(name) as AddressPass | undefined;
    if (pass !== undefined && pass.template === undefined) check(pass, groups);
    for (const child of block.children) walk(child);
  };
  walk(http);
}

function check({ authority, at }: AddressPass, groups: ReadonlyMap<string, Block>): void {
  if (groups.has(authority.toLowerCase())) return;
  if (authority === "") throw new ConfigError('no host in upstream ""', at);
  for (const address of upstreamAddresses(authority, noPort, at))
    if (address.kind === "tcp" && address.port === noPort)
      throw new ConfigError(`no port in upstream "${authority}"`, at);
}

type Found = Whither | { readonly status: number };

/** How requests of a location find their upstream. */
export function addressFinder(
  pass: AddressPass,
  at: Compiling,
  scheme?: string,
): (exchange: Exchange) => Found | Promise<Found> {
  const groups = upstreamsOf(at.block);
  const { authority, template } = pass;
  if (template === undefined) {
    const group = groups.get(authority.toLowerCase());
    const named = { authority, port: noPort };
    const target =
      group === undefined ? implicitTarget(named, pass.at, at.runtime) : targetOf(group, authority, at.runtime);
    const found: Found = { target };
    return () => found;
  }
  const find = targetFinder(groups, at);
  const made = (found: FoundTarget): Found => ("status" in found ? found : { target: found });
  return (exchange) => {
    const found = find(exchange, { authority: withoutScheme(template.value(exchange), scheme), port: noPort });
    return found instanceof Promise ? found.then(made) : made(found);
  };
}

/** For the log: a path is set off from what might follow it. */
export const addressLabel = (scheme: string, name: string): string =>
  `${scheme}://${name}${name.startsWith("unix:") ? ":" : ""}`;
