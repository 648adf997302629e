/** What a client sees when something is wrong: error_page, the built-in pages, the Server field, where redirects point. */
import { ConfigError } from "../../config/statement.ts";
import type { Reply } from "../../http/message.ts";
import { type Conf, type Directive, everywhere, everywhereIf, flag } from "../directive.ts";
import { redirectPage } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import type { Jump, Location } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import type { Template } from "../template.ts";

interface ErrorPage {
  readonly status: number;
  /** What the client is told instead: a number; "page": what the page itself answers with; undefined: the status as it is. */
  readonly answer: number | "page" | undefined;
  readonly to: Template;
}

const errorPage: Directive<readonly ErrorPage[]> = {
  summary: "Where the page for a status comes from.",
  syntax: "code … [=[response]] uri",
  contexts: everywhereIf,
  args: [2, Number.POSITIVE_INFINITY],
  initial: [],
  parse({ args, at }, before = [], { setup }) {
    const codes = args.slice(0, -1);
    const to = setup.template(args.at(-1) ?? "", at);
    let answer: ErrorPage["answer"];
    const last = codes.at(-1) ?? "";
    if (last.startsWith("=")) {
      codes.pop();
      if (last !== "=" && !/^=\d{1,3}$/.test(last)) throw new ConfigError(`invalid value "${last}"`, at);
      answer = last === "=" ? "page" : Number(last.slice(1));
    }
    const pages = codes.map((code): ErrorPage => {
      if (!/^\d{3}$/.test(code) || Number(code) === 499) throw new ConfigError(`invalid value "${code}"`, at);
      const status = Number(code);
      if (status < 300 || status > 599) throw new ConfigError(`value "${code}" must be between 300 and 599`, at);
      // Nginx's own status for heads that are too large: its page is 400's.
      return { status, answer: answer ?? (status === 494 || (status >= 495 && status <= 497) ? 400 : undefined), to };
    });
    return [...before, ...pages];
  },
};

/** on, off, build, or a text with variables (Nginx's commercial edition has that). */
const serverTokens: Directive<"on" | "off"> = {
  summary: "Whether the Server field and the built-in pages tell our version.",
  syntax: "on | off | build",
  contexts: everywhere,
  args: 1,
  initial: "on",
  initialText: "on",
  parse({ args, at, name }, before) {
    if (before !== undefined) throw new ConfigError(`"${name}" directive is duplicate`, at);
    const given = args[0] ?? "";
    if (given !== "on" && given !== "off" && given !== "build") throw new ConfigError(`invalid value "${given}"`, at);
    return given === "off" ? "off" : "on";
  },
};

export const errorDirectives = {
  error_page: errorPage,
  recursive_error_pages: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether an error page's error may lead to another.",
  }),
  server_tokens: serverTokens,
  absolute_redirect: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether redirects of ours are absolute URLs.",
  }),
  server_name_in_redirect: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether they have the server's first name instead of the request's.",
  }),
  port_in_redirect: flag({ contexts: everywhere, initial: true, summary: "Whether they have the port." }),
  msie_padding: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether short pages are made longer for old browsers.",
  }),
  msie_refresh: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether old browsers are redirected by the page.",
  }),
  log_not_found: flag({ contexts: everywhere, initial: true, summary: "Whether missing files are logged as errors." }),
  log_subrequest: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether requests that are parts of others are in the access log.",
  }),
};

/** `Location.errorPage` of a block; undefined where there is none. */
export function compileErrorPages(conf: Conf<typeof errorDirectives>): Location["errorPage"] {
  const pages = new Map<number, ErrorPage>();
  for (const page of conf.error_page) if (!pages.has(page.status)) pages.set(page.status, page);
  if (pages.size === 0) return undefined;
  return (exchange, reply) => {
    const page = pages.get(reply.head.status);
    if (page === undefined || exchange.inErrorPage || exchange.jumpsLeft <= 0) return undefined;
    if (!conf.recursive_error_pages) exchange.inErrorPage = true;
    return lead(exchange, reply, page);
  };
}

function lead(exchange: Exchange, reply: Reply, page: ErrorPage): Reply | Jump {
  const status = page.answer === undefined ? reply.head.status : page.answer === "page" ? 0 : page.answer;
  exchange.errorStatus = status;
  const to = page.to.value(exchange);
  if (to.startsWith("/")) {
    exchange.carriedFields = keptFields(reply);
    dropBody(reply.body, "an error page takes its place");
    // The page of a failed POST is not posted to.
    if (exchange.method !== "HEAD") exchange.method = "GET";
    const question = to.indexOf("?");
    return question < 0
      ? { to: "uri", uri: to, args: "" }
      : { to: "uri", uri: to.slice(0, question), args: to.slice(question + 1) };
  }
  if (to.startsWith("@")) {
    exchange.carriedFields = keptFields(reply);
    dropBody(reply.body, "an error page takes its place");
    return { to: "named", name: to.slice(1) };
  }
  exchange.errorStatus = 0;
  const redirects = [301, 302, 303, 307, 308];
  return redirectPage(exchange, redirects.includes(status) ? status : 302, to);
}

const keptOfOurs: readonly string[] = ["www-authenticate", "allow", "location", "retry-after"];
// Where an upstream leads is for the page that takes its place, which may ask there itself.
const keptOfUpstreams: readonly string[] = ["www-authenticate", "retry-after"];

/** What a client needs of the reply besides its page. */
function keptFields({ head: { headers }, isJudged }: Reply): Exchange["carriedFields"] {
  const kinds = isJudged === undefined ? keptOfOurs : keptOfUpstreams;
  const kept: (readonly [string, string])[] = [];
  for (let i = 0; i < headers.size; i++) {
    const name = headers.names[i];
    if (name !== undefined && kinds.includes(name.lower)) kept.push([name.raw, headers.values[i] ?? ""]);
  }
  return kept.length > 0 ? kept : undefined;
}
