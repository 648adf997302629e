/** proxy_bind: our own address towards an upstream. */
import { parseIpv4, parseIpv6 } from "../../base/address.ts";
import { ConfigError } from "../../config/statement.ts";
import type { ConnectOptions } from "../../net/connect.ts";
import { type Directive, duplicate, everywhere } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Template } from "../template.ts";

export interface BindConf {
  readonly address: Template;
  readonly transparent: boolean;
}

type Local = NonNullable<ConnectOptions["bind"]>;

/** `ADDRESS[:PORT]`; undefined: it is none. */
function parseLocal(text: string): Local | undefined {
  const [, v6, v4 = "", port = "0"] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (Number(port) > 65535) return undefined;
  if (v6 !== undefined)
    return parseIpv6(v6) === undefined ? undefined : { kind: "tcp", family: 6, host: v6, port: Number(port) };
  if (parseIpv4(v4) !== undefined) return { kind: "tcp", family: 4, host: v4, port: Number(port) };
  return parseIpv6(text) === undefined ? undefined : { kind: "tcp", family: 6, host: text, port: 0 };
}

export const bindRow: Directive<BindConf | "off" | undefined> = {
  summary: "Our own address towards the upstream.",
  syntax: "address [transparent] | off",
  contexts: everywhere,
  args: [1, 2],
  initial: undefined,
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at } = statement;
    const [text = "", word] = args;
    if (text === "off" && word === undefined) return "off";
    if (word !== undefined && word !== "transparent") throw new ConfigError(`invalid parameter "${word}"`, at);
    const address = setup.template(text, at);
    if (address.constant !== undefined && parseLocal(text) === undefined)
      throw new ConfigError(`invalid address "${text}"`, at);
    return { address, transparent: word !== undefined };
  },
};

/** What a request's connection is made with. */
export function bound(exchange: Exchange, conf: BindConf | "off" | undefined): Partial<ConnectOptions> {
  if (conf === undefined || conf === "off") return {};
  const text = conf.address.value(exchange);
  if (text === "") return {};
  const bind = parseLocal(text);
  if (bind === undefined) {
    exchange.log("error", `invalid local address "${text}"`);
    return {};
  }
  return { bind, transparent: conf.transparent };
}
