/** ngx_http_fastcgi_module: requests are passed to FastCGI applications. */

import { compileRegex, type Pattern } from "../../config/regex.ts";
import { ConfigError } from "../../config/statement.ts";
import { FastcgiClient } from "../../http/fastcgi/client.ts";
import { storesOf } from "../cache/stores.ts";
import { accepted, type Directive, duplicate, everywhere, flag, text, words } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { addressPassRow } from "../upstream/address_pass.ts";
import { checkGateway, GatewayProtocol } from "../upstream/gateway.ts";
import { paramRow } from "../upstream/params.ts";
import { Passing } from "../upstream/passing.ts";
import { passingRows } from "../upstream/passing_rows.ts";

const splitRow: Directive<Pattern | undefined> = {
  summary: "What of the URI is the script and what its path info: the first and second group of a regular expression.",
  syntax: "regex",
  contexts: everywhere,
  args: 1,
  initial: undefined,
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [source = ""] = statement.args;
    const pattern = compileRegex(source, false);
    if (typeof pattern === "string") throw new ConfigError(pattern, statement.at);
    if (pattern.groupCount !== 2) throw new ConfigError(`pattern "${source}" must have 2 captures`, statement.at);
    return pattern;
  },
};

const { fastcgi_cache_convert_head: _, ...common } = passingRows("fastcgi");

const directives = {
  ...common,
  fastcgi_pass: addressPassRow(),
  fastcgi_param: paramRow,
  fastcgi_index: text({
    contexts: everywhere,
    initial: "",
    summary: "What is added to a URI that ends with a slash, in $fastcgi_script_name.",
  }),
  fastcgi_split_path_info: splitRow,
  fastcgi_keep_conn: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether applications keep connections open, so that `keepalive` can use them again.",
  }),
  fastcgi_catch_stderr: words({
    contexts: everywhere,
    initial: [],
    syntax: "string",
    summary: "A text in the application's error stream that makes its response an invalid one.",
  }),
  fastcgi_send_lowat: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "size",
    deviation: "the system's own sizes hold",
  }),
};

/** How a location cuts its URIs up. */
interface Split {
  readonly pattern: Pattern | undefined;
  readonly index: string;
}

const splitKey = Symbol("fastcgi_split_path_info");

function splitUri(exchange: Exchange): { readonly script: string; readonly info: string } {
  const { pattern, index = "" } = (exchange.location.facts?.get(splitKey) as Split | undefined) ?? {};
  const found = pattern?.exec(exchange.uri);
  const script = found?.[1] ?? exchange.uri;
  return { script: script.endsWith("/") ? script + index : script, info: found?.[2] ?? "" };
}

export const fastcgiModule = defineModule({
  name: "fastcgi",
  directives,
  variables: {
    fastcgi_script_name: {
      summary: "The URI's part that names the script; with fastcgi_index where it ends with a slash.",
      get: (exchange) => splitUri(exchange).script,
    },
    fastcgi_path_info: {
      summary: "The URI's part behind the script, by fastcgi_split_path_info.",
      get: (exchange) => splitUri(exchange).info,
    },
  },
  prepare: (http, setup) => checkGateway("fastcgi", directives, http, setup),
  compile(conf, at) {
    // All caches are looked after, used or not.
    storesOf(at.runtime, conf.fastcgi_cache_path);
    const split: Split = { pattern: conf.fastcgi_split_path_info, index: conf.fastcgi_index };
    const facts = split.pattern === undefined && split.index === "" ? {} : { facts: [splitKey, split] as const };
    const pass = conf.fastcgi_pass;
    if (pass === undefined) return facts;
    const kind = {
      name: "fastcgi",
      engine: () => new FastcgiClient(),
      more: { keepsConnection: conf.fastcgi_keep_conn, badWords: conf.fastcgi_catch_stderr },
      streamsChunked: true,
    };
    const protocol = new GatewayProtocol(kind, pass, conf, at);
    return { ...facts, content: new Passing(protocol, conf, at.runtime).handle, addsSlash: true };
  },
});
