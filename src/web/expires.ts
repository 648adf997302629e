/** `expires`: how long a response may be kept, from the directive's words to the two fields that say so (RFC 9111 5.2, 5.3). */
import { formatHttpDate, parseHttpDate } from "../base/date.ts";
import { parseTime } from "../config/values.ts";

export type Expires =
  | { readonly kind: "off" | "epoch" | "max" }
  /** Seconds from now, from the content's last change, or behind midnight (local time). */
  | { readonly kind: "access" | "modified" | "daily"; readonly seconds: number };

export const noExpires: Expires = { kind: "off" };

const daySeconds = 24 * 60 * 60;

/** Reads the directive's last word; `modified`: that word stands before it. A string says what is wrong. */
export function parseExpires(text: string, modified: boolean): Expires | string {
  if (!modified && (text === "epoch" || text === "max" || text === "off")) return { kind: text };
  const isDaily = text.startsWith("@");
  if (isDaily && modified) return 'daily time cannot be used with "modified" parameter';
  const seconds = parseTime(/^[@+-]/.test(text) ? text.slice(1) : text, "s");
  if (seconds === undefined) return "invalid value";
  if (isDaily && seconds > daySeconds) return "daily time value must be less than 24 hours";
  if (isDaily) return { kind: "daily", seconds };
  return { kind: modified ? "modified" : "access", seconds: text.startsWith("-") ? -seconds : seconds };
}

export interface ExpiresFields {
  readonly expires: string;
  readonly cacheControl: string;
}

/** `lastModified`: the response's field; `now`: seconds since 1970. undefined: nothing is to be said. */
export function expiresFields(rule: Expires, lastModified: string | undefined, now: number): ExpiresFields | undefined {
  switch (rule.kind) {
    case "off":
      return undefined;
    case "epoch":
      return { expires: "Thu, 01 Jan 1970 00:00:01 GMT", cacheControl: "no-cache" };
    case "max":
      return { expires: "Thu, 31 Dec 2037 23:55:55 GMT", cacheControl: "max-age=315360000" };
    default: {
      // Nothing added to a date in the past is "no longer than now", whatever that date is.
      const at = rule.seconds === 0 && rule.kind !== "daily" ? now : expiry(rule.kind, rule.seconds, lastModified, now);
      const age = at - now;
      const isOver = age < 0 || (rule.kind !== "daily" && rule.seconds < 0);
      return { expires: formatHttpDate(at), cacheControl: isOver ? "no-cache" : `max-age=${age}` };
    }
  }
}

function expiry(kind: "access" | "modified" | "daily", seconds: number, lastModified: string | undefined, now: number) {
  if (kind === "daily") return nextTimeOfDay(seconds, now);
  const changed = kind === "modified" && lastModified !== undefined ? parseHttpDate(lastModified) : undefined;
  return (changed ?? now) + seconds;
}

/** The next moment that is `seconds` behind a midnight. */
function nextTimeOfDay(seconds: number, now: number): number {
  const day = new Date(now * 1000);
  const on = (offset: number): number =>
    new Date(day.getFullYear(), day.getMonth(), day.getDate() + offset, 0, 0, seconds).getTime() / 1000;
  const today = on(0);
  return today > now ? today : on(1);
}
