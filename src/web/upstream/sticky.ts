/** ngx_http_upstream_sticky_module: a client stays with the server that it was given first. */
import { formatHttpDate } from "../../base/date.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import { context, type Directive, type Parsing } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Runtime } from "../module.ts";
import { zoneParameter } from "../shared_zone.ts";
import type { Template } from "../template.ts";
import { Sessions } from "./sessions.ts";

export type StickyConf =
  | { readonly kind: "cookie"; readonly lookup: readonly Template[]; readonly cookie: CookieConf }
  | { readonly kind: "route"; readonly lookup: readonly Template[] }
  | {
      readonly kind: "learn";
      readonly lookup: readonly Template[];
      readonly create: readonly Template[];
      readonly zone: { readonly name: string; readonly sizeBytes: number };
      readonly upstream: string;
      readonly timeoutMs: number;
      /** As soon as the response's head is there, not at its end. */
      readonly atHeader: boolean;
    };

interface CookieConf {
  readonly name: string;
  readonly domain: Template | undefined;
  readonly path: string | undefined;
  /** Seconds; undefined: as long as the browser runs. */
  readonly expires: number | "max" | undefined;
  readonly httponly: boolean;
  readonly secure: boolean;
  readonly samesite: Template | undefined;
}

export const stickyRow: Directive<StickyConf | undefined> = {
  summary:
    "How a client stays with its server: by a cookie of ours, a route that it names, or a session that is learned.",
  syntax:
    "cookie name [expires=time] [domain=domain] [httponly] [samesite=strict|lax|none|$variable] [secure] [path=path] | route $variable … | learn create=$variable … lookup=$variable … zone=name:size [timeout=time] [header]",
  contexts: context.upstream,
  args: [2, Number.POSITIVE_INFINITY],
  initial: undefined,
  parse({ args, at, name }, before, parsing) {
    if (before !== undefined) throw new ConfigError(`"${name}" directive is duplicate`, at);
    const [kind = "", ...words] = args;
    if (kind === "cookie") return parseCookie(words, at, parsing);
    if (kind === "learn") return parseLearn(words, at, parsing);
    if (kind === "route") return { kind, lookup: words.map((word) => variable(word, at, parsing)) };
    throw new ConfigError(`unknown parameter "${kind}"`, at);
  },
};

const refused = (why: string, at: Place): ConfigError => new ConfigError(`"sticky" directive ${why}`, at);

function variable(word: string, at: Place, { setup }: Parsing): Template {
  if (!word.startsWith("$")) throw new ConfigError(`invalid variable name "${word}"`, at);
  return setup.template(`\${${word.slice(1)}}`, at);
}

type Words = Map<string, string>;

/** `name=value` and bare words, each once. */
function valuesOf(words: readonly string[], known: readonly string[], at: Place): Words {
  const found: Words = new Map();
  for (const word of words) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals + 1);
    if (!known.includes(name)) throw new ConfigError(`unknown parameter "${word}"`, at);
    const plain = name.replace("=", "");
    if (found.has(plain)) throw refused(`parameter "${plain}" is duplicate`, at);
    if (equals >= 0 && equals === word.length - 1) throw refused(`no value for "${plain}"`, at);
    found.set(plain, equals < 0 ? "" : word.slice(equals + 1));
  }
  return found;
}

function parseCookie([name = "", ...words]: readonly string[], at: Place, { setup }: Parsing): StickyConf {
  if (name === "") throw refused("empty cookie name", at);
  const values = valuesOf(words, ["domain=", "path=", "expires=", "httponly", "secure", "samesite="], at);
  const template = (key: string): Template | undefined => {
    const text = values.get(key);
    return text === undefined ? undefined : setup.template(text, at);
  };
  const expiresText = values.get("expires");
  const expires = expiresText === undefined || expiresText === "max" ? expiresText : parseTime(expiresText, "s");
  if (expiresText !== undefined && expires === undefined) throw refused('invalid "expires" parameter value', at);
  const samesite = template("samesite");
  if (samesite?.constant !== undefined && !isSameSite(samesite.constant))
    throw refused('invalid "samesite" parameter value', at);
  const cookie: CookieConf = {
    name,
    domain: template("domain"),
    path: values.get("path"),
    expires: expires as number | "max" | undefined,
    httponly: values.has("httponly"),
    secure: values.has("secure"),
    samesite,
  };
  return { kind: "cookie", lookup: [setup.template(`\${cookie_${name}}`, at)], cookie };
}

const isSameSite = (text: string): boolean => /^(strict|lax|none)$/i.test(text);

function parseLearn(words: readonly string[], at: Place, parsing: Parsing): StickyConf {
  const create: Template[] = [];
  const lookup: Template[] = [];
  const others: string[] = [];
  for (const word of words) {
    const [, name, text = ""] = /^(create|lookup)=(.*)$/s.exec(word) ?? [];
    if (name === undefined) others.push(word);
    else if (!text.startsWith("$")) throw refused(`missing variable in the "${name}" parameter`, at);
    else (name === "create" ? create : lookup).push(variable(text, at, parsing));
  }
  const values = valuesOf(others, ["zone=", "timeout=", "header"], at);
  if (lookup.length === 0) throw refused('"lookup" parameter is not specified', at);
  if (create.length === 0) throw refused('"create" parameter is not specified', at);
  const zone = values.get("zone");
  if (zone === undefined) throw refused('"zone" parameter is not specified', at);
  const timeout = values.get("timeout");
  const timeoutMs = timeout === undefined ? 600_000 : parseTime(timeout, "ms");
  if (timeoutMs === undefined || timeoutMs === 0) throw refused("invalid timeout", at);
  const upstream = parsing.block.statement?.args[0] ?? "";
  const parsed = zoneParameter(`zone=${zone}`, at);
  parsing.setup.zone({ ...parsed, kind: `sticky ${upstream}` }, at);
  return { kind: "learn", lookup, create, zone: parsed, upstream, timeoutMs, atHeader: values.has("header") };
}

const firstOf = (templates: readonly Template[], exchange: Exchange): string | undefined => {
  for (const each of templates) {
    const value = each.value(exchange);
    if (value !== "") return value;
  }
  return undefined;
};

const cookieKey = Symbol("sticky cookie");

/** The Set-Cookie of ours that the response gets, if any. */
export const stickyCookie = (exchange: Exchange): string | undefined => exchange.note<string>(cookieKey);

/** Keeps clients with their servers. */
export class Sticky {
  readonly #conf: StickyConf;
  readonly #sessions: Sessions | undefined;

  constructor(conf: StickyConf, runtime: Runtime) {
    this.#conf = conf;
    this.#sessions = conf.kind === "learn" ? new Sessions(conf, runtime) : undefined;
  }

  /** Whom a request is bound to. */
  find(exchange: Exchange): string | undefined {
    const id = firstOf(this.#conf.lookup, exchange);
    return id === undefined || this.#sessions === undefined ? id : this.#sessions.find(id);
  }

  /** It is asked now. */
  chosen(exchange: Exchange, sid: string): void {
    if (this.#conf.kind === "cookie") exchange.setNote(cookieKey, cookieText(exchange, this.#conf.cookie, sid));
  }

  /** Its response's head is there; or all of it. */
  answered(exchange: Exchange, sid: string, when: "header" | "end"): void {
    const conf = this.#conf;
    if (conf.kind !== "learn" || this.#sessions === undefined || conf.atHeader !== (when === "header")) return;
    const created = firstOf(conf.create, exchange);
    if (created !== undefined) this.#sessions.learn(created, sid, true);
    else {
      const known = firstOf(conf.lookup, exchange);
      if (known !== undefined) this.#sessions.learn(known, sid, false);
    }
  }
}

/** RFC 6265 4.1 */
function cookieText(exchange: Exchange, conf: CookieConf, sid: string): string {
  let text = `${conf.name}=${sid}`;
  if (conf.expires === "max") text += "; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000";
  else if (conf.expires !== undefined)
    text += `; expires=${cookieDate(Date.now() / 1000 + conf.expires)}; max-age=${conf.expires}`;
  const domain = conf.domain?.value(exchange) ?? "";
  if (domain !== "") text += `; domain=${domain}`;
  if (conf.httponly) text += "; httponly";
  if (conf.secure) text += "; secure";
  const samesite = conf.samesite?.value(exchange) ?? "";
  if (samesite !== "") text += `; samesite=${isSameSite(samesite) ? samesite : "strict"}`;
  return conf.path === undefined ? text : `${text}; path=${conf.path}`;
}

/** As browsers of old had it: dashes, and two digits of the year. */
function cookieDate(seconds: number): string {
  const [weekday, day, month, year, time] = formatHttpDate(seconds).split(" ");
  const shown = Number(year) > 2037 ? year : year?.slice(2);
  return `${weekday} ${day}-${month}-${shown} ${time} GMT`;
}
