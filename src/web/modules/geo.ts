/** ngx_http_geo_module: variables whose value the client's address decides. */
import { type BinaryAddress, binaryAddress, CidrSet, meaninglessBits, parseCidr } from "../../base/cidr.ts";
import { PrefixTable } from "../../base/prefix_table.ts";
import { formatRange, parseRange, RangeTable } from "../../base/range_table.ts";
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import { context, type Directive } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { forwardedAddress } from "../forwarded_for.ts";
import { defineModule } from "../module.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";

/** Networks or ranges, with their values. */
interface Areas {
  setDefault(value: string, at: Place): void;
  set(area: string, value: string, at: Place): void;
  delete(area: string, at: Place): void;
  find(address: BinaryAddress): string | undefined;
}

function networks(setup: Setup): Areas {
  const table = new PrefixTable<string>();
  const again = (network: string, value: string, before: string | undefined, at: Place) => {
    if (before !== undefined)
      setup.warn(`duplicate network "${network}", value: "${value}", old value: "${before}"`, at);
  };
  return {
    setDefault: (value, at) => again("default", value, table.setDefault(value), at),
    set: (network, value, at) => again(network, value, table.set(networkOf(network, setup, at), value), at),
    delete(network, at) {
      if (!table.delete(networkOf(network, setup, at))) setup.warn(`no network "${network}" to delete`, at);
    },
    find: (address) => table.find(address),
  };
}

function networkOf(text: string, setup: Setup, at: Place) {
  const found = parseCidr(text);
  if (found === undefined) throw new ConfigError(`invalid network "${text}"`, at);
  if (found.lowBits) setup.warn(meaninglessBits(text), at);
  return found.cidr;
}

function ranges(setup: Setup): Areas {
  const table = new RangeTable<string>();
  let fallback: string | undefined;
  const rangeOf = (text: string, at: Place) => {
    const range = parseRange(text);
    if (range === undefined) throw new ConfigError(`invalid range "${text}"`, at);
    return range;
  };
  return {
    setDefault(value, at) {
      if (fallback !== undefined)
        setup.warn(`duplicate default geo range value: "${value}", old value: "${fallback}"`, at);
      fallback = value;
    },
    set(text, value, at) {
      const { replaced, overlaps } = table.add(rangeOf(text, at), value);
      for (const before of replaced)
        setup.warn(`duplicate range "${text}", value: "${value}", old value: "${before}"`, at);
      if (overlaps !== undefined) throw new ConfigError(`range "${text}" overlaps "${formatRange(overlaps)}"`, at);
    },
    delete(text, at) {
      if (!table.delete(rangeOf(text, at))) setup.warn(`no address range "${text}" to delete`, at);
    },
    find: (address) => table.find(address) ?? fallback,
  };
}

/** A `geo` as it is read. */
interface Geo {
  areas: Areas;
  /** Statements before `ranges` that were about networks. */
  begun: boolean;
  volatile: boolean;
  readonly proxies: CidrSet;
  recursive: boolean;
}

const geo: Directive<undefined> = {
  summary: "A variable whose value depends on the client's address, or on the address that another variable holds.",
  syntax:
    "[$address] $variable { [ranges;] [default value;] [delete area;] [proxy network;] [proxy_recursive;] [volatile;] [include file;] network value; … }",
  contexts: context.http,
  args: [1, 2],
  initial: undefined,
  ownBlock: true,
  deviation: "binary files beside included ones (`FILE.bin`) are neither read nor written",
  parse({ args, at, block = [] }, _, { setup }) {
    const names = args.map((word) => {
      if (!/^\$./s.test(word)) throw new ConfigError(`invalid variable name "${word}"`, at);
      return word;
    });
    const source = names.length > 1 ? setup.template(names[0] ?? "", at) : undefined;
    const made: Geo = {
      areas: networks(setup),
      begun: false,
      volatile: false,
      proxies: new CidrSet(),
      recursive: false,
    };
    for (const statement of block) read(made, statement, setup);
    setup.variables.define(
      (names.at(-1) ?? "").slice(1),
      {
        summary: "What a `geo` of the configuration says.",
        cached: !made.volatile,
        get: (exchange) => made.areas.find(addressOf(exchange, source, made)) ?? "",
      },
      at,
    );
    return undefined;
  },
};

function read(geo: Geo, { name, args, at, block }: Statement, setup: Setup): void {
  if (block !== undefined) throw new ConfigError('unexpected "{"', at);
  if (args.length === 0 && name === "ranges") {
    if (geo.begun) throw new ConfigError('the "ranges" directive must be the first directive inside "geo" block', at);
    geo.areas = ranges(setup);
    return;
  }
  if (args.length === 0 && name === "proxy_recursive") {
    geo.recursive = true;
    return;
  }
  if (args.length === 0 && name === "volatile") {
    geo.volatile = true;
    return;
  }
  const [value = ""] = args;
  if (args.length !== 1) throw new ConfigError("invalid number of the geo parameters", at);
  if (name === "proxy") {
    geo.proxies.add(networkOf(value, setup, at));
    return;
  }
  geo.begun = true;
  if (name === "default") geo.areas.setDefault(value, at);
  else if (name === "delete") geo.areas.delete(value, at);
  else geo.areas.set(name, value, at);
}

/** Who has no address that one could look up. */
const nobody: BinaryAddress = new Uint8Array(0);

function addressOf(exchange: Exchange, source: Template | undefined, { proxies, recursive }: Geo): BinaryAddress {
  const text = source === undefined ? exchange.client.peerAddress : source.value(exchange);
  const address = source !== undefined && text === "" ? undefined : binaryAddress(text);
  if (address === undefined) return nobody;
  if (proxies.size === 0) return address;
  const fields = exchange.request.headers.all("x-forwarded-for");
  return fields.length === 0 ? address : forwardedAddress(address, fields, proxies, recursive);
}

export const geoModule = defineModule({ name: "geo", directives: { geo } });
