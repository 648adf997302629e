/** ngx_http_core_module: how fast a response leaves, how its end is told, and what may come before it. */
import { ConfigError } from "../../config/statement.ts";
import { parseSize } from "../../config/values.ts";
import type { Headers } from "../../http/headers.ts";
import { type Directive, duplicate, everywhere, everywhereIf, flag } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import type { Template } from "../template.ts";

const sizeRow = (summary: string): Directive<Template | undefined> => ({
  summary,
  syntax: "size",
  contexts: everywhereIf,
  args: 1,
  initial: undefined,
  initialText: "0",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { name, args, at } = statement;
    const value = setup.template(args[0] ?? "", at);
    if (value.constant !== undefined && parseSize(value.constant) === undefined)
      throw new ConfigError(`"${name}" directive invalid value`, at);
    return value;
  },
});

/** Strings; each that has a value other than "0" says yes. */
const earlyHints: Directive<readonly Template[] | undefined> = {
  summary:
    "When 103 (Early Hints) responses of an upstream are passed on: if one of the strings is neither empty nor 0.",
  syntax: "string …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: undefined,
  parse: ({ args, at }, before = [], { setup }) => [...before, ...args.map((text) => setup.template(text, at))],
};

export const responseDirectives = {
  limit_rate: sizeRow("How many bytes of a response leave in a second; 0: as many as the client takes."),
  limit_rate_after: sizeRow("How many bytes leave before `limit_rate` counts."),
  chunked_transfer_encoding: flag({
    contexts: everywhere,
    initial: true,
    summary:
      "Whether a body of unknown length is sent in chunks to HTTP/1.1 clients; else it ends with the connection.",
  }),
  early_hints: earlyHints,
};

function sizeOf(exchange: Exchange, size: Template | undefined): number {
  if (size === undefined) return 0;
  const text = size.value(exchange);
  const bytes = parseSize(text);
  if (bytes === undefined) exchange.log("error", `invalid size "${text}"`);
  return bytes ?? 0;
}

/** Does `early_hints` let interim responses through here? `conditions`: its value in the location. */
export const allowsEarlyHints = (exchange: Exchange, conditions: readonly Template[] | undefined): boolean =>
  conditions?.some((each) => !["", "0"].includes(each.value(exchange))) ?? false;

/** 103 (RFC 8297), where the client can take it: the engine keeps it from HTTP/1.0. Fields become the engine's. */
export function sendEarlyHints(exchange: Exchange, headers: Headers): void {
  if (exchange.parent === undefined && exchange.reply === undefined)
    exchange.wire?.sendInterim({ status: 103, headers });
}

export const coreResponseModule = defineModule({
  name: "core_response",
  directives: responseDirectives,
  compile({ limit_rate, limit_rate_after, chunked_transfer_encoding, early_hints }) {
    const isLimited = limit_rate !== undefined || limit_rate_after !== undefined;
    const earlyHints =
      early_hints === undefined ? undefined : (exchange: Exchange) => allowsEarlyHints(exchange, early_hints);
    if (!isLimited && chunked_transfer_encoding) return { earlyHints };
    return {
      earlyHints,
      filter(exchange, { head }) {
        if (exchange.parent !== undefined) return;
        if (!chunked_transfer_encoding) head.chunked = false;
        // What a script or an upstream has said stands above the configuration.
        exchange.rate ??= sizeOf(exchange, limit_rate);
        if (exchange.rate > 0) exchange.rateAfter = sizeOf(exchange, limit_rate_after);
      },
    };
  },
});
