/** What is known of a request's way through a cache: $upstream_cache_status and its kin. */
import { formatHttpDate, parseHttpDate } from "../../base/date.ts";
import type { Exchange } from "../exchange.ts";
import type { VariableTable } from "../variables.ts";
import type { EntryHead } from "./entry.ts";

/**
 * MISS: it was not there · BYPASS: it was not looked for · EXPIRED: it was too old · STALE: so it was, and was used all the same ·
 * UPDATING: the same, because somebody renews it already · REVALIDATED: the origin says that it is still good · HIT
 */
export type CacheStatus = "MISS" | "BYPASS" | "EXPIRED" | "STALE" | "UPDATING" | "REVALIDATED" | "HIT";

export interface CacheState {
  readonly key: string;
  status: CacheStatus;
  /** What was found, however old. */
  found: EntryHead | undefined;
  /** The origin is to be asked whether that is still good. */
  revalidates: boolean;
}

const stateKey = Symbol("cache state");

export const cacheState = (exchange: Exchange): CacheState | undefined => exchange.note<CacheState>(stateKey);
export const setCacheState = (exchange: Exchange, state: CacheState): void => exchange.setNote(stateKey, state);

/** A field of what was found, if the origin knows it by that. */
const validator = (exchange: Exchange, name: string): string | undefined => {
  const state = cacheState(exchange);
  if (state?.found === undefined || !state.revalidates) return undefined;
  if (state.found.status !== 200 && state.found.status !== 206) return undefined;
  return state.found.fields.find(([each]) => each.toLowerCase() === name)?.[1];
};

/** What "If-Modified-Since" and "If-None-Match" ask with. */
export function lastModifiedOf(exchange: Exchange): string | undefined {
  const seconds = parseHttpDate(validator(exchange, "last-modified") ?? "");
  return seconds === undefined ? undefined : formatHttpDate(seconds);
}
export const etagOf = (exchange: Exchange): string | undefined => validator(exchange, "etag");

/** RFC 9111 4.2.3, in whole seconds. */
export const ageOf = ({ age, date }: EntryHead, now: number): number => Math.max(0, Math.floor(age + now - date));

export const cacheVariables: VariableTable = {
  upstream_cache_status: {
    summary: "What became of the request in the cache: MISS, BYPASS, EXPIRED, STALE, UPDATING, REVALIDATED or HIT.",
    get: (exchange) => cacheState(exchange)?.status,
  },
  upstream_cache_last_modified: {
    summary: "The Last-Modified that the origin is asked about.",
    get: lastModifiedOf,
  },
  upstream_cache_etag: { summary: "The ETag that the origin is asked about.", get: etagOf },
  upstream_cache_key: { summary: "The key in the cache.", get: (exchange) => cacheState(exchange)?.key },
  upstream_cache_age: {
    summary: "How old what was found in the cache is, s.",
    get: (exchange) => {
      const found = cacheState(exchange)?.found;
      return found === undefined ? undefined : String(ageOf(found, Date.now() / 1000));
    },
  },
};
