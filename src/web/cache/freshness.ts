/**
 * How long a response may be used again: RFC 9111 4.2, and what Nginx adds to it (X-Accel-Expires, proxy_cache_valid). Pure: all
 * times are seconds since 1970, and come as arguments.
 */
import { parseHttpDate } from "../../base/date.ts";
import type { Headers } from "../../http/headers.ts";
import { type CacheControl, parseCacheControl, seconds } from "./cache_control.ts";

/** One part of proxy_cache_valid; status 0: any. */
export interface ValidRule {
  readonly status: number;
  readonly seconds: number;
}

export interface FreshnessRules {
  /** Lower-case names of fields that are not obeyed (proxy_ignore_headers). */
  readonly ignored: ReadonlySet<string>;
  /** What counts where the response itself says nothing. */
  readonly valid: readonly ValidRule[];
}

/** What is asked about a response. */
export interface Judged {
  readonly status: number;
  readonly headers: Headers;
  /** The request had an Authorization that the key does not tell apart (RFC 9111 3.5). */
  readonly isAuthorized: boolean;
  readonly now: number;
}

/** How long it may be used. */
export interface Freshness {
  /** Until then without asking. */
  readonly validUntil: number;
  /** … and after that, while it is being renewed (stale-while-revalidate), or the origin is broken (stale-if-error). */
  readonly updatingUntil: number;
  readonly errorUntil: number;
  /** Its age when it came (RFC 9111 4.2.3). */
  readonly age: number;
  /** Not even an operator may have it served stale (must-revalidate, proxy-revalidate). */
  readonly mustRevalidate: boolean;
  /** Names of the request's fields that it depends on, as the response has them; "": none. */
  readonly vary: string;
}

/** A Vary that names more than this is not worth it. */
const maxVary = 512;

/** undefined: it must not be stored. */
export function freshness(response: Judged, rules: FreshnessRules): Freshness | undefined {
  const { headers } = response;
  const { ignored } = rules;
  if (headers.has("set-cookie") && !ignored.has("set-cookie")) return undefined;
  const vary = varyOf(headers, ignored);
  const control = parseCacheControl(ignored.has("cache-control") ? [] : headers.all("cache-control"));
  if (vary === undefined || isBarred(response, control)) return undefined;
  const until = validUntil(response, control, rules);
  const updating = seconds(control, "stale-while-revalidate");
  const error = seconds(control, "stale-if-error");
  if (until === undefined || updating === "invalid" || error === "invalid") return undefined;
  const mustRevalidate = control.has("must-revalidate") || control.has("proxy-revalidate");
  const extra = (more: number | undefined): number => until + (mustRevalidate ? 0 : (more ?? 0));
  return {
    validUntil: until,
    updatingUntil: extra(updating),
    errorUntil: extra(error ?? updating),
    age: ageOf(headers) ?? 0,
    mustRevalidate,
    vary,
  };
}

/** undefined: it depends on everything, or on too much. */
function varyOf(headers: Headers, ignored: ReadonlySet<string>): string | undefined {
  if (ignored.has("vary")) return "";
  const names = headers
    .all("vary")
    .join(",")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((name) => name !== "");
  const vary = names.join(",");
  return names.includes("*") || vary.length > maxVary ? undefined : vary;
}

/** Statuses that we know the meaning of (must-understand, RFC 9111 5.2.2.3). */
const understood = new Set([200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]);

/** RFC 9111 3 and 3.5. */
function isBarred({ status, isAuthorized, headers }: Judged, control: CacheControl): boolean {
  if (status < 200 || status === 304) return true;
  if (control.has("must-understand") && !understood.has(status)) return true;
  if (!isAuthorized || headers.has("x-accel-expires")) return false;
  return !control.has("public") && !control.has("s-maxage") && !control.has("must-revalidate");
}

/** X-Accel-Expires before Cache-Control before Expires before proxy_cache_valid. undefined: not to be stored. */
function validUntil(response: Judged, control: CacheControl, { ignored, valid }: FreshnessRules): number | undefined {
  const { headers, now, status } = response;
  const told = ignored.has("x-accel-expires") ? undefined : accelExpires(headers.get("x-accel-expires"), now);
  if (told === "never") return undefined;
  if (told !== undefined) return told;
  if (control.has("no-cache") || control.has("no-store") || control.has("private")) return undefined;
  const age = ageOf(headers);
  const lifetime = seconds(control, "s-maxage") ?? seconds(control, "max-age");
  if (lifetime === "invalid" || lifetime === 0) return undefined;
  if (lifetime !== undefined) return age === undefined ? undefined : now + lifetime - age;
  const expires = ignored.has("expires") ? undefined : headers.get("expires");
  if (expires !== undefined) return expiresAt(expires, headers, now, age);
  const byRule = validFor(valid, status);
  return byRule === 0 ? undefined : now + byRule;
}

/** Seconds from now, or `@` and a time; what is neither is not there. */
function accelExpires(value: string | undefined, now: number): number | "never" | undefined {
  const found = /^(@?)(\d{1,15})$/.exec(value ?? "");
  if (found === null) return undefined;
  const given = Number(found[2]);
  if (found[1] === "@") return given;
  return given === 0 ? "never" : now + given;
}

/** RFC 9111 4.2.1, 5.3: from the origin's Date on; what is no date is past. */
function expiresAt(value: string, headers: Headers, now: number, age: number | undefined): number | undefined {
  const expires = parseHttpDate(value);
  if (expires === undefined || age === undefined) return undefined;
  const lifetime = expires - (parseHttpDate(headers.get("date") ?? "") ?? now);
  return lifetime <= 0 ? undefined : now + lifetime - age;
}

/** What proxy_cache_valid says about a status, in seconds; 0: nothing. */
export function validFor(rules: readonly ValidRule[], status: number): number {
  return rules.find((rule) => rule.status === 0 || rule.status === status)?.seconds ?? 0;
}

/** The Age that came with it; undefined: anything but one number, from which nothing can be told (RFC 9111 5.1). */
function ageOf(headers: Headers): number | undefined {
  const lines = headers.all("age");
  if (lines.length === 0) return 0;
  const [only = ""] = lines;
  return lines.length === 1 && /^\d{1,15}$/.test(only) ? Number(only) : undefined;
}
