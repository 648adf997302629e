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
  /** Through TLS. */
  readonly secure: boolean;
  /** With variables: the whole value is made per request. */
  readonly template: Template | undefined;
  readonly at: Place;
}

/** What may stand in front of an address, and in front of one that is spoken to through TLS. */
export interface Schemes {
  readonly plain: string;
  readonly secure: string;
}

function addressIn(
  text: string,
  schemes: Schemes | undefined,
): { readonly authority: string; readonly secure: boolean } {
  const [, scheme = "", authority = ""] = /^([a-z]+):\/\/(.*)$/is.exec(text) ?? [];
  if (schemes === undefined || scheme === "") return { authority: text, secure: false };
  if (scheme.toLowerCase() === schemes.plain) return { authority, secure: false };
  if (scheme.toLowerCase() === schemes.secure) return { authority, secure: true };
  return { authority: text, secure: false };
}

/** There is none where the address has none. */
const noPort = 0;

export const addressPassRow = (schemes?: Schemes): Directive<AddressPass | undefined> => ({
  summary: "The server, or the group of servers, that requests are passed to.",
  syntax: "address",
  contexts: context.location | context.locationIf,
  args: 1,
  initial: undefined,
  inherit: "unnamed",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at } = statement;
    const [text = ""] = args;
    const template = text.includes("$") ? setup.template(text, at) : undefined;
    return { ...addressIn(text, schemes), template, at };
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

/** Where a request goes. */
export interface AddressFound extends Whither {
  /** The upstream as it is named. */
  readonly authority: string;
  /** Through TLS. */
  readonly secure: boolean;
}

type Found = AddressFound | { readonly status: number };

/** How requests of a location find their upstream. */
export function addressFinder(
  pass: AddressPass,
  at: Compiling,
  schemes?: Schemes,
): (exchange: Exchange) => Found | Promise<Found> {
  const groups = upstreamsOf(at.block);
  const { authority, secure, template } = pass;
  if (template === undefined) {
    const group = groups.get(authority.toLowerCase());
    const named = { authority, port: noPort };
    const target =
      group === undefined ? implicitTarget(named, pass.at, at.runtime) : targetOf(group, authority, at.runtime);
    const found: Found = { target, authority, secure };
    return () => found;
  }
  const find = targetFinder(groups, at);
  return (exchange) => {
    const named = addressIn(template.value(exchange), schemes);
    const made = (found: FoundTarget): Found => ("status" in found ? found : { target: found, ...named });
    const found = find(exchange, { authority: named.authority, port: noPort });
    return found instanceof Promise ? found.then(made) : made(found);
  };
}

/** For the log: a path is set off from what might follow it. */
export const addressLabel = (scheme: string, name: string): string =>
  `${scheme}://${name}${name.startsWith("unix:") ? ":" : ""}`;
