/** From a response to what is kept of it, and back. */
import { formatHttpDate } from "../../base/date.ts";
import { Headers } from "../../http/headers.ts";
import type { EntryHead } from "./entry.ts";
import type { Freshness } from "./freshness.ts";
import type { Hash } from "./key.ts";
import type { OriginHead } from "./origin.ts";
import { ageOf } from "./state.ts";

/** What belongs to a connection, or to the message's form (RFC 9111 3.1); Age is told anew each time. */
const notStored = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "age",
]);

export interface StoredAs {
  readonly key: string;
  readonly variant: Hash | "";
  readonly family: string;
  readonly isHead: boolean;
  readonly now: number;
}

export function entryHead({ status, reason, headers }: OriginHead, fresh: Freshness, as: StoredAs): EntryHead {
  const { key, variant, family, isHead, now } = as;
  return { key, status, reason, fields: storedFields(headers, isHead), date: now, variant, family, isHead, ...fresh };
}

function storedFields(headers: Headers, keepsLength: boolean): [string, string][] {
  const own = new Set(
    headers
      .all("connection")
      .join(",")
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
  const fields: [string, string][] = [];
  for (const [i, { lower, raw }] of headers.names.entries()) {
    if (notStored.has(lower) || own.has(lower) || (lower === "content-length" && !keepsLength)) continue;
    fields.push([raw, headers.values[i] ?? ""]);
  }
  return fields;
}

/** About the content, which a 304 does not have (RFC 9111 3.2). */
const notUpdated = new Set(["content-encoding", "content-length", "content-md5", "content-range", "etag"]);

/** The head that an entry has after a 304 (RFC 9111 3.2): its fields, replaced by those that came. */
export function updatedFields(before: EntryHead, { headers }: OriginHead): Headers {
  const came = storedFields(headers, false).filter(([name]) => !notUpdated.has(name.toLowerCase()));
  const names = new Set(came.map(([name]) => name.toLowerCase()));
  const kept = before.fields.filter(([name]) => !names.has(name.toLowerCase()));
  return Headers.of(...kept, ...came);
}

/** The response that is kept, as it came. */
export function originHead({ status, reason, fields }: EntryHead): OriginHead {
  return { status, reason, headers: Headers.of(...fields) };
}

/** RFC 9111 4: how old it is, and when it was made. */
export function addAge(headers: Headers, head: EntryHead, now: number): void {
  headers.set("Age", String(ageOf(head, now)));
  if (!headers.has("date")) headers.add("Date", formatHttpDate(head.date));
}
