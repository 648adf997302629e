/** An upstream's response as the client gets it: fields that stay behind, redirects and cookies changed, X-Accel-* obeyed. */
import type { ReceivedHead } from "../../http/h1/client.ts";
import { Headers } from "../../http/headers.ts";
import { emptyBody, type Reply } from "../../http/message.ts";
import { charsetOverride } from "../charset_override.ts";
import type { Conf } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import type { Compiling } from "../module.ts";
import type { Jump } from "../pipeline.ts";
import { redirectTarget } from "../redirect.ts";
import { innerUri } from "../unsafe_uri.ts";
import { type CookieChanges, changedCookie } from "./cookie_rules.ts";
import { type PassingConf, passingConf } from "./passing_rows.ts";
import { type FieldRules, fieldRules } from "./proxied.ts";
import { type Destination, namedMatchOf } from "./proxy_pass.ts";
import type { proxyDirectives } from "./proxy_rows.ts";
import { changedRedirect, type RedirectRule } from "./redirect_rules.ts";

export interface ReplyPlan {
  readonly hidden: ReadonlySet<string>;
  readonly fields: FieldRules;
  /** `proxy_pass_header Server`, `… Date`: no field of ours takes their place. */
  readonly passesServer?: boolean;
  readonly passesDate?: boolean;
  readonly ignored: ReadonlySet<string>;
  readonly redirects: readonly RedirectRule[];
  /** Where the location's path begins: what "default" redirects to. */
  readonly locationPath: string | undefined;
  readonly cookies: CookieChanges | undefined;
  readonly intercepts: boolean;
  readonly forcesRanges: boolean;
}

/** Held back unless `proxy_pass_header` says otherwise: what only we are told, and what we write ourselves. */
export const usuallyHidden = [
  "x-accel-expires",
  "x-accel-redirect",
  "x-accel-limit-rate",
  "x-accel-buffering",
  "x-accel-charset",
];

/** Fields that say where the client is to go, or what it is to remember. */
const changeable = ["location", "refresh", "set-cookie"];

/** `also`: lower-case names of fields that the protocol holds back, too. */
export function replyPlan(conf: PassingConf, also: readonly string[]): ReplyPlan {
  const hidden = new Set([...also, ...usuallyHidden, ...conf.hide_header.map((name) => name.toLowerCase())]);
  for (const name of conf.pass_header) hidden.delete(name.toLowerCase());
  return {
    hidden,
    fields: fieldRules(hidden, changeable),
    ignored: conf.ignore_headers,
    redirects: [],
    locationPath: undefined,
    cookies: undefined,
    passesServer: also.includes("server") && !hidden.has("server"),
    passesDate: also.includes("date") && !hidden.has("date"),
    intercepts: conf.intercept_errors,
    forcesRanges: conf.force_ranges,
  };
}

export function proxyReplyPlan(conf: Conf<typeof proxyDirectives>, { block }: Compiling): ReplyPlan {
  const match = namedMatchOf(block);
  const cookies = { domain: conf.proxy_cookie_domain, path: conf.proxy_cookie_path, flags: conf.proxy_cookie_flags };
  return {
    ...replyPlan(passingConf("proxy", conf), ["date", "server", "x-pad"]),
    redirects: conf.proxy_redirect === "off" ? [] : (conf.proxy_redirect ?? ["default"]),
    locationPath: match !== undefined && (match.kind === "prefix" || match.kind === "exact") ? match.path : undefined,
    cookies: cookies.domain.length + cookies.path.length + cookies.flags.length > 0 ? cookies : undefined,
  };
}

/** What of an upstream's head is shown. */
type ProxiedHead = Pick<ReceivedHead, "status" | "reason" | "headers">;

/** The reply without its body, or where X-Accel-Redirect leads. */
export function proxiedReply(exchange: Exchange, plan: ReplyPlan, to: Whence, head: ProxiedHead): Reply | Jump {
  const instead = obeyAccel(exchange, head.headers, plan.ignored);
  if (instead !== undefined) return instead;
  const headers = passedFields(exchange, plan, to, head.headers);
  if (head.status !== 200 && head.status !== 206 && head.status !== 304) headers.delete("last-modified");
  const upgrade = head.headers.get("upgrade");
  if (head.status === 101 && upgrade !== undefined) headers.add("Upgrade", upgrade);
  const reply: Reply = {
    head: { status: head.status, headers },
    body: emptyBody,
    isJudged: plan.forcesRanges ? "conditions" : true,
  };
  if (head.reason !== "") reply.head.reason = head.reason;
  if (head.status !== 101 && upgrade !== undefined) reply.head.offers = upgrade;
  // Who passes on the upstream's own also passes on that it has none.
  if (plan.passesServer === true && !headers.has("server")) reply.head.server = "";
  if (plan.passesDate === true && !headers.has("date")) reply.head.undated = true;
  if (plan.forcesRanges) headers.set("Accept-Ranges", "bytes");
  if (plan.intercepts && head.status >= 300) reply.isPage = true;
  return reply;
}

type Whence = Pick<Destination, "redirectFrom">;

/** The response's fields for the client. */
function passedFields(exchange: Exchange, plan: ReplyPlan, from: Whence, { names, values }: Headers): Headers {
  const headers = new Headers();
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const rule = plan.fields.get(name.lower);
    if (rule === "drop") continue;
    headers.names.push(name);
    headers.values.push(rule === "change" ? changed(exchange, plan, from, name.lower, values[i]!) : values[i]!);
  }
  return headers;
}

function changed(exchange: Exchange, plan: ReplyPlan, { redirectFrom }: Whence, lower: string, value: string): string {
  if (lower === "set-cookie") return plan.cookies === undefined ? value : changedCookie(exchange, plan.cookies, value);
  const { locationPath } = plan;
  const byDefault =
    locationPath === undefined || redirectFrom === undefined ? undefined : { from: redirectFrom, to: locationPath };
  if (lower === "refresh") return changedRefresh(exchange, plan, byDefault, value);
  const target = changedRedirect(exchange, plan.redirects, byDefault, value);
  return target === undefined ? value : redirectTarget(exchange, target);
}

/** Does what a response's X-Accel-* fields say, apart from those that are `ignored`; where X-Accel-Redirect leads. */
export function obeyAccel(
  exchange: Exchange,
  headers: Headers,
  ignored: ReadonlySet<string>,
): Reply | Jump | undefined {
  const obeys = (lower: string): string | undefined => (ignored.has(lower) ? undefined : headers.get(lower));
  const rate = obeys("x-accel-limit-rate");
  if (rate !== undefined && /^\d+$/.test(rate)) exchange.rate = Number(rate);
  const charset = obeys("x-accel-charset");
  if (charset !== undefined) exchange.setNote(charsetOverride, charset);
  const target = obeys("x-accel-redirect");
  return target === undefined ? undefined : redirectedInside(exchange, headers, target);
}

function changedRefresh(
  exchange: Exchange,
  plan: ReplyPlan,
  byDefault: { readonly from: string; readonly to: string } | undefined,
  value: string,
): string {
  const found = /^(.*?url=)(.*)$/is.exec(value);
  if (found === null) return value;
  const changed = changedRedirect(exchange, plan.redirects, byDefault, found[2] ?? "");
  return changed === undefined ? value : `${found[1]}${changed}`;
}

/** Fields of the upstream's that go along to the client when it has sent us elsewhere. */
const goAlong = [
  "content-type",
  "set-cookie",
  "content-disposition",
  "cache-control",
  "expires",
  "accept-ranges",
  "content-language",
];

function redirectedInside(exchange: Exchange, headers: Headers, target: string): Reply | Jump {
  const kept: [string, string][] = [];
  for (const [i, name] of headers.names.entries())
    if (goAlong.includes(name.lower)) kept.push([name.raw, headers.values[i] ?? ""]);
  exchange.carriedFields = kept;
  if (target.startsWith("@")) return { to: "named", name: target.slice(1) };
  const found = innerUri(target);
  if (found === undefined) {
    exchange.log("error", `unsafe URI "${target}" was detected`);
    return errorReply(404);
  }
  if (exchange.method !== "HEAD") exchange.method = "GET";
  return { to: "uri", uri: found.uri, args: found.args };
}
