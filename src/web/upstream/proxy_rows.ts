/** The directives of ngx_http_proxy_module that are about the request, the response and the tries. */

import type { Place } from "../../config/statement.ts";
import { ConfigError } from "../../config/statement.ts";
import { parseSize } from "../../config/values.ts";
import { cacheRows } from "../cache/rows.ts";
import {
  accepted,
  choice,
  context,
  type Directive,
  duplicate,
  everywhere,
  flag,
  number,
  size,
  template,
  time,
  words,
} from "../directive.ts";
import type { Template } from "../template.ts";
import type { NextPolicy, NextReason } from "./attempts.ts";
import { bindRow } from "./bind.ts";
import { type CookieRules, cookieFlagsRow, cookieRow } from "./cookie_rules.ts";
import { type RedirectRule, redirectRow } from "./redirect_rules.ts";
import { storeAccessRow, storeRow } from "./store.ts";

const { location, locationIf, limitExcept } = context;

export interface ProxyPass {
  /** Everything behind "http://". */
  readonly text: string;
  readonly secure: boolean;
  /** With variables: the whole value is made per request. */
  readonly template: Template | undefined;
  readonly at: Place;
}

const proxyPass: Directive<ProxyPass | undefined> = {
  summary: "The server that requests are passed to.",
  syntax: "URL",
  contexts: location | locationIf | limitExcept,
  args: 1,
  initial: undefined,
  inherit: "unnamed",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const [url = ""] = statement.args;
    if (url.includes("$"))
      return { text: url, secure: false, template: setup.template(url, statement.at), at: statement.at };
    const found = /^(https?):\/\/(.*)$/i.exec(url);
    if (found === null) throw new ConfigError("invalid URL prefix", statement.at);
    if (found[1]?.toLowerCase() === "https")
      throw new ConfigError(
        '"proxy_pass https://…" is Nginx\'s, but Alicorn cannot speak TLS to upstreams yet;',
        statement.at,
      );
    return { text: found[2] ?? "", secure: false, template: undefined, at: statement.at };
  },
};

/** One field of the request to the upstream. */
export interface SetHeader {
  readonly name: string;
  readonly value: Template;
}

const setHeader: Directive<readonly SetHeader[]> = {
  summary: "A field of the request to the upstream; an empty value leaves it out.",
  syntax: "field value",
  contexts: everywhere,
  args: 2,
  initial: [],
  initialText: "Host $proxy_host",
  parse({ args, at }, before = [], { setup }) {
    const [name = "", value = ""] = args;
    return [...before, { name, value: setup.template(value, at) }];
  },
};

const nextReasons = [
  "error",
  "timeout",
  "invalid_header",
  "http_500",
  "http_502",
  "http_503",
  "http_504",
  "http_403",
  "http_404",
  "http_429",
  "non_idempotent",
] as const satisfies readonly NextReason[];

const nextUpstream: Directive<ReadonlySet<NextReason>> = {
  summary: "When a request is passed to the next server.",
  syntax: `${nextReasons.join(" | ")} | off …`,
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: new Set<NextReason>(["error", "timeout"]),
  initialText: "error timeout",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const reasons = new Set<NextReason>();
    for (const each of statement.args) {
      if (each === "off" || each === "updating") continue;
      const known = nextReasons.find((reason) => reason === each);
      if (known === undefined) throw new ConfigError(`invalid value "${each}"`, statement.at);
      reasons.add(known);
    }
    return statement.args.includes("off") ? new Set() : reasons;
  },
};

/** Two numbers of which only their form matters here. */
const buffers: Directive<{ readonly count: number; readonly size: number }> = {
  summary: "How many buffers, of which size, a response may fill in memory.",
  syntax: "number size",
  contexts: everywhere,
  args: 2,
  initial: { count: 8, size: 4096 },
  initialText: "8 4k|8k",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [count = "", bytes = ""] = statement.args;
    const parsed = parseSize(bytes);
    if (!/^\d{1,6}$/.test(count) || parsed === undefined)
      throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return { count: Number(count), size: parsed };
  },
};

/** A list of fields, or of what is ignored. */
const fieldList = (summary: string, syntax = "field"): Directive<readonly string[]> =>
  words({ contexts: everywhere, initial: [], summary, syntax });

const ignorable = [
  "X-Accel-Redirect",
  "X-Accel-Expires",
  "X-Accel-Limit-Rate",
  "X-Accel-Buffering",
  "X-Accel-Charset",
  "Expires",
  "Cache-Control",
  "Set-Cookie",
  "Vary",
];

const ignoreHeaders: Directive<ReadonlySet<string>> = {
  summary: "Fields of the upstream that are not obeyed.",
  syntax: "field …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: new Set<string>(),
  parse({ args, at }, before = new Set()) {
    const all = new Set(before);
    for (const each of args) {
      const known = ignorable.find((name) => name.toLowerCase() === each.toLowerCase());
      if (known === undefined) throw new ConfigError(`invalid value "${each}"`, at);
      all.add(known.toLowerCase());
    }
    return all;
  },
};

/** Bytes per second, which may depend on the request. */
const limitRate: Directive<Template | undefined> = {
  summary: "How many bytes per second are read from the upstream; 0: all.",
  syntax: "rate",
  contexts: everywhere,
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
};

const socketMatter = "the system's own sizes hold";

export const proxyDirectives = {
  ...cacheRows("proxy"),
  proxy_pass: proxyPass,
  proxy_set_header: setHeader,
  proxy_set_body: template({
    contexts: everywhere,
    initial: undefined,
    summary: "The body that is passed on instead of the client's.",
  }),
  proxy_method: template({
    contexts: everywhere,
    initial: undefined,
    summary: "The method that is used instead of the client's.",
  }),
  proxy_http_version: choice(["1.0", "1.1"], {
    contexts: everywhere,
    initial: "1.1",
    summary: "The version of HTTP that is spoken to the upstream.",
  }),
  proxy_pass_request_headers: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether the client's fields are passed on.",
  }),
  proxy_pass_request_body: flag({ contexts: everywhere, initial: true, summary: "Whether the body is passed on." }),
  proxy_pass_trailers: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the upstream's trailers are passed on.",
  }),
  proxy_buffering: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether a response is read as fast as the upstream sends it.",
  }),
  proxy_request_buffering: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether a request's body is read whole before the upstream is asked.",
  }),
  proxy_buffer_size: size({
    contexts: everywhere,
    initial: 8192,
    initialText: "4k|8k",
    summary: "The most bytes of a response's head.",
  }),
  proxy_buffers: buffers,
  proxy_busy_buffers_size: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: "the client's connection says what is busy",
  }),
  proxy_max_temp_file_size: size({
    contexts: everywhere,
    initial: 1024 * 1024 * 1024,
    initialText: "1024m",
    summary: "How much of a response may wait in a file; 0: nothing, the upstream waits.",
  }),
  proxy_temp_file_write_size: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: "pieces are written as they come",
  }),
  proxy_temp_path: accepted({
    contexts: everywhere,
    args: [1, 4],
    syntax: "path [level1 [level2 [level3]]]",
    deviation: "temporary files have no name; they lie in the system's directory for them",
  }),
  proxy_connect_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long connecting may take.",
  }),
  proxy_send_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long the upstream may not read.",
  }),
  proxy_read_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long the upstream may be silent.",
  }),
  proxy_next_upstream: nextUpstream,
  proxy_next_upstream_tries: number({
    contexts: everywhere,
    initial: 0,
    initialText: "0",
    summary: "How many servers are tried at most; 0: all.",
  }),
  proxy_next_upstream_timeout: time({
    contexts: everywhere,
    initial: 0,
    initialText: "0",
    summary: "How long others are tried; 0: without bound.",
  }),
  proxy_intercept_errors: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether error_page replaces the upstream's errors.",
  }),
  proxy_ignore_client_abort: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the upstream's work goes on when the client has left.",
  }),
  proxy_hide_header: fieldList("A field of the upstream's that clients do not get."),
  proxy_pass_header: fieldList("A field that they get though it is usually held back."),
  proxy_ignore_headers: ignoreHeaders,
  proxy_redirect: redirectRow as Directive<readonly RedirectRule[] | "off" | undefined>,
  proxy_cookie_domain: cookieRow("domain") as Directive<CookieRules>,
  proxy_cookie_path: cookieRow("path") as Directive<CookieRules>,
  proxy_cookie_flags: cookieFlagsRow,
  proxy_force_ranges: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether ranges are made of responses that do not offer them.",
  }),
  proxy_limit_rate: limitRate,
  proxy_bind: bindRow,
  proxy_socket_keepalive: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the system checks that a silent upstream is still there (SO_KEEPALIVE).",
  }),
  proxy_store: storeRow,
  proxy_store_access: storeAccessRow,
  proxy_socket_rcvbuf: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: socketMatter,
  }),
  proxy_socket_sndbuf: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: socketMatter,
  }),
  proxy_send_lowat: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: socketMatter }),
  proxy_headers_hash_max_size: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "size",
    deviation: "tables are sized by the runtime",
  }),
  proxy_headers_hash_bucket_size: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "size",
    deviation: "tables are sized by the runtime",
  }),
};

/** When another peer is tried. */
export const nextPolicy = (conf: {
  readonly proxy_next_upstream: ReadonlySet<NextReason>;
  readonly proxy_next_upstream_tries: number;
  readonly proxy_next_upstream_timeout: number;
}): NextPolicy => ({
  reasons: conf.proxy_next_upstream,
  tries: conf.proxy_next_upstream_tries,
  timeoutMs: conf.proxy_next_upstream_timeout,
});
