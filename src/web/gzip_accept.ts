/**
 * Whether a client gets a gzipped response: what it accepts, and what the configuration holds back from proxies and old programs
 * (`gzip_http_version`, `gzip_proxied`, `gzip_disable`, `gzip_vary`). Asked by everybody who has one to give: gzip, gzip_static, gunzip.
 */
import { parseHttpDate } from "../base/date.ts";
import { compileRegex, type Pattern } from "../config/regex.ts";
import { ConfigError } from "../config/statement.ts";
import type { Headers } from "../http/headers.ts";
import { ownHeaders, type Reply } from "../http/message.ts";
import { type Conf, type Directive, duplicate, everywhere, flag } from "./directive.ts";
import type { Exchange } from "./exchange.ts";

/** Which requests with a Via field get gzipped responses. */
export type ProxiedRule =
  | "off"
  | "expired"
  | "no-cache"
  | "no-store"
  | "private"
  | "no_last_modified"
  | "no_etag"
  | "auth"
  | "any";

const proxiedRules: readonly ProxiedRule[] = [
  "off",
  "expired",
  "no-cache",
  "no-store",
  "private",
  "no_last_modified",
  "no_etag",
  "auth",
  "any",
];

const proxied: Directive<readonly ProxiedRule[]> = {
  summary: "Which responses are gzipped for requests that came through a proxy, which a Via field tells.",
  syntax: "off | expired | no-cache | no-store | private | no_last_modified | no_etag | auth | any …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: ["off"],
  initialText: "off",
  parse({ args, at }, before = []) {
    const rules = args.map((word): ProxiedRule => {
      const rule = proxiedRules.find((each) => each === word);
      if (rule === undefined) throw new ConfigError(`invalid value "${word}"`, at);
      return rule;
    });
    return [...before, ...rules];
  },
};

/** Programs that must not get gzipped responses, by their User-Agent. undefined: nothing said, the outer block's hold. */
interface Disabled {
  readonly patterns: readonly Pattern[];
  /** The word that stands for old versions of Internet Explorer. */
  readonly msie6: boolean;
}

const disabled: Directive<Disabled> = {
  summary: "Expressions for the User-Agent of programs that get no gzipped responses; `msie6` is one for old browsers.",
  syntax: "regex …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: { patterns: [], msie6: false },
  parse({ args, at }, before = { patterns: [], msie6: false }) {
    const patterns = [...before.patterns];
    let { msie6 } = before;
    for (const word of args) {
      if (word === "msie6") {
        msie6 = true;
        continue;
      }
      const pattern = compileRegex(word, true);
      if (typeof pattern === "string") throw new ConfigError(pattern, at);
      patterns.push(pattern);
    }
    return { patterns, msie6 };
  },
  merge: (outer, inner) => (inner === undefined ? outer : { ...inner, msie6: inner.msie6 || outer.msie6 }),
};

const httpVersion: Directive<10 | 11> = {
  summary: "The least version of HTTP whose requests get gzipped responses.",
  syntax: "1.0 | 1.1",
  contexts: everywhere,
  args: 1,
  initial: 11,
  initialText: "1.1",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [word] = statement.args;
    if (word === "1.0") return 10;
    if (word === "1.1") return 11;
    throw new ConfigError(`invalid value "${word}"`, statement.at);
  },
};

/** Rows of the core: every module may ask for their values with `block.conf(gzipAcceptDirectives)`. */
export const gzipAcceptDirectives = {
  gzip_http_version: httpVersion,
  gzip_proxied: proxied,
  gzip_disable: disabled,
  gzip_vary: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether responses that may be gzipped say so to caches: `Vary: Accept-Encoding`.",
  }),
};

export type GzipAcceptConf = Conf<typeof gzipAcceptDirectives>;

/**
 * May the response to this request be gzipped? `response`: its fields, where they are known already (for `gzip_proxied`).
 * Parts of a request never are.
 */
export function acceptsGzip({ request, parent }: Exchange, conf: GzipAcceptConf, response?: Headers): boolean {
  if (parent !== undefined) return false;
  const { headers, version } = request;
  if (!namesGzip(headers.get("accept-encoding")) || version < conf.gzip_http_version) return false;
  const { patterns, msie6 } = conf.gzip_disable;
  if (patterns.length > 0 || msie6) {
    const agent = headers.get("user-agent");
    if (agent !== undefined && ((msie6 && isOldExplorer(agent)) || patterns.some((each) => each.test(agent))))
      return false;
  }
  return !headers.has("via") || allowsProxy(conf.gzip_proxied, headers, response);
}

function allowsProxy(rules: readonly ProxiedRule[], request: Headers, response: Headers | undefined): boolean {
  if (rules.includes("off")) return false;
  if (rules.includes("any") || (rules.includes("auth") && request.has("authorization"))) return true;
  const expires = response?.get("expires");
  if (expires !== undefined) return rules.includes("expired") && isPast(expires, response?.get("date"));
  const control = response?.get("cache-control");
  if (control !== undefined)
    return (["no-cache", "no-store", "private"] as const).some(
      (word) => rules.includes(word) && hasWord(response?.all("cache-control") ?? [], word),
    );
  if (rules.includes("no_last_modified") && response?.has("last-modified") === true) return false;
  return !(rules.includes("no_etag") && response?.has("etag") === true);
}

function isPast(expires: string, date: string | undefined): boolean {
  const then = parseHttpDate(expires);
  const now = date === undefined ? Date.now() / 1000 : parseHttpDate(date);
  return then !== undefined && now !== undefined && then < now;
}

const hasWord = (values: readonly string[], word: string): boolean =>
  values.some((value) => value.split(/[,;]/).some((part) => part.trim().split("=")[0]?.toLowerCase() === word));

// Versions 4 to 6 could not always undo what they asked for; the Service Pack that mended it names itself.
const oldExplorer = /MSIE (?:[45]\.|6\.(?!.*SV1))./s;
const isOldExplorer = (agent: string): boolean => oldExplorer.test(agent) && !agent.includes("Opera");

// Browsers send a handful of values over and over. Bounded: the values come from clients.
const maxRemembered = 256;
const remembered = new Map<string, boolean>();

/**
 * Does an Accept-Encoding field (RFC 9110 12.5.3) name gzip, and with a weight above 0? "*" does not count, as in Nginx: who can
 * undo gzip says so.
 */
export function namesGzip(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const known = remembered.get(accept);
  if (known !== undefined) return known;
  const weight = /(?:^|[, ])gzip *(?:$|,|;(.*)$)/is.exec(accept);
  const found = weight !== null && (weight[1] === undefined || hasWeight(weight[1]));
  if (remembered.size < maxRemembered) remembered.set(accept, found);
  return found;
}

/** What follows the semicolon: nothing, or a weight that is one, and not 0. */
function hasWeight(text: string): boolean {
  if (/^ *$/.test(text)) return true;
  const found = /^ *q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)(?:$|[, ])/i.exec(text);
  return found !== null && Number(found[1]) > 0;
}

const varies = Symbol("gzip_vary");

/** Whatever is sent for this request, it depends on Accept-Encoding (a gzipped form exists, or could be made). */
export function markVary(exchange: Exchange): void {
  exchange.setNote(varies, true);
}

export const isMarkedVary = (exchange: Exchange): boolean => exchange.notes?.get(varies) === true;

/** Tells caches, where `gzip_vary` is on; once. */
export function addVary(reply: Reply, conf: Pick<GzipAcceptConf, "gzip_vary">): void {
  if (!conf.gzip_vary) return;
  if (reply.head.headers.all("vary").some((value) => value.toLowerCase().includes("accept-encoding"))) return;
  ownHeaders(reply.head).add("Vary", "Accept-Encoding");
}
