/** The directives of ngx_http_proxy_module that are its own. */

import type { Place } from "../../config/statement.ts";
import { ConfigError } from "../../config/statement.ts";
import { accepted, choice, context, type Directive, duplicate, everywhere, flag, template } from "../directive.ts";
import type { Template } from "../template.ts";
import { type CookieRules, cookieFlagsRow, cookieRow } from "./cookie_rules.ts";
import { passingRows } from "./passing_rows.ts";
import { type RedirectRule, redirectRow } from "./redirect_rules.ts";
import { upstreamTlsRows } from "./tls_rows.ts";

const { location, locationIf, limitExcept } = context;

export interface ProxyPass {
  /** Everything behind "http://" or "https://". */
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
    const secure = found[1]?.toLowerCase() === "https";
    return { text: found[2] ?? "", secure, template: undefined, at: statement.at };
  },
};

/** One field of the request to the upstream. */
export interface SetHeader {
  readonly name: string;
  readonly value: Template;
}

/** `usual`: what is set besides, as its documentation says it. */
export const setHeaderRow = (usual: string): Directive<readonly SetHeader[]> => ({
  summary: "A field of the request to the upstream; an empty value leaves it out.",
  syntax: "field value",
  contexts: everywhere,
  args: 2,
  initial: [],
  initialText: usual,
  parse({ args, at }, before = [], { setup }) {
    const [name = "", value = ""] = args;
    return [...before, { name, value: setup.template(value, at) }];
  },
});

const socketMatter = "the system's own sizes hold";

export const proxyDirectives = {
  ...passingRows("proxy"),
  ...upstreamTlsRows("proxy"),
  proxy_pass: proxyPass,
  proxy_set_header: setHeaderRow("Host $proxy_host"),
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
  proxy_http_version: choice(["1.0", "1.1", "2"], {
    contexts: everywhere,
    initial: "1.1",
    summary: "The version of HTTP that is spoken to the upstream.",
  }),
  proxy_pass_trailers: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the upstream's trailers are passed on.",
  }),
  proxy_redirect: redirectRow as Directive<readonly RedirectRule[] | "off" | undefined>,
  proxy_cookie_domain: cookieRow("domain") as Directive<CookieRules>,
  proxy_cookie_path: cookieRow("path") as Directive<CookieRules>,
  proxy_cookie_flags: cookieFlagsRow,
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
