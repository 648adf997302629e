/**
 * Field names, recognised by their bytes: no string is made for a name that was seen before.
 *
 * A hash that the scanning loop computes on the way leads to the entry, a comparison of the bytes confirms it. That takes
 * half the time of cutting out a string and looking it up (bench/micro/h1.ts).
 */
import { asBuffer } from "../../base/bytes.ts";
import { type FieldName, fieldName } from "../headers.ts";

/** Why the engine itself cares for a field; "plain": it does not. */
export type Role =
  | "plain"
  | "host"
  | "framing"
  | "connection"
  | "expect"
  | "contentType"
  | "proxy"
  /** Must not be repeated, which only a loose head needs to be asked for. */
  | "single"
  | "underscored"
  /** Has other characters than letters, digits, "-" and "_". */
  | "odd";

export interface KnownName {
  readonly name: FieldName;
  readonly bytes: Uint8Array;
  readonly role: Role;
  /** RFC 9110 6.5.1: framing, routing and credentials come before the body or not at all. */
  readonly refusedAsTrailer: boolean;
  /** Nginx calls the name invalid; so may one be whose role is "underscored". */
  readonly isOdd: boolean;
}

const roles: Readonly<Record<string, Role>> = {
  host: "host",
  "content-length": "framing",
  "transfer-encoding": "framing",
  connection: "connection",
  expect: "expect",
  "content-type": "contentType",
  proxy: "proxy",
  "if-modified-since": "single",
  "if-unmodified-since": "single",
  "if-match": "single",
  "if-none-match": "single",
  "if-range": "single",
  "content-range": "single",
  authorization: "single",
  "proxy-authorization": "single",
};
const notInTrailers = new Set(["host", "content-length", "transfer-encoding", "trailer", "te", "authorization"]);

const slots = 4096; // a power of two
// Names come from clients, and so do their collisions: a bounded table, a bounded walk; what finds no place is made anew.
const maxKnown = 1024;
const maxProbes = 4;
const table: (KnownName | undefined)[] = new Array(slots).fill(undefined);
let known = 0;

/** One step of the hash that `nameAt` expects; start with 0. */
export const hashStep = (hash: number, byte: number): number => (Math.imul(hash, 31) + byte) | 0;

/** The name that stands in `bytes[from, to)`: a valid token, whose hash is `hash`. */
export function nameAt(bytes: Buffer, from: number, to: number, hash: number): KnownName {
  const first = (hash ^ (hash >>> 12)) & (slots - 1);
  for (let probe = 0; probe < maxProbes; probe++) {
    const entry = table[(first + probe) & (slots - 1)];
    if (entry === undefined) break;
    if (isAt(entry.bytes, bytes, from, to)) return entry;
  }
  return learn(bytes, from, to, first);
}

function isAt(name: Uint8Array, bytes: Buffer, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}

function learn(bytes: Buffer, from: number, to: number, first: number): KnownName {
  const name = fieldName(bytes.latin1Slice(from, to));
  const isOdd = /[^a-z0-9_-]/.test(name.lower);
  const entry: KnownName = {
    name,
    bytes: Uint8Array.prototype.slice.call(bytes, from, to),
    role: roles[name.lower] ?? (name.lower.includes("_") ? "underscored" : isOdd ? "odd" : "plain"),
    isOdd,
    refusedAsTrailer: notInTrailers.has(name.lower),
  };
  if (known >= maxKnown) return entry;
  for (let probe = 0; probe < maxProbes; probe++) {
    const slot = (first + probe) & (slots - 1);
    if (table[slot] !== undefined) continue;
    table[slot] = entry;
    known++;
    break;
  }
  return entry;
}

// Browsers' and tools' own spellings keep their places, whatever clients send first.
for (const raw of [
  "Host",
  "User-Agent",
  "Accept",
  "Accept-Language",
  "Accept-Encoding",
  "Connection",
  "Content-Type",
  "Content-Length",
  "Transfer-Encoding",
  "Expect",
  "Cookie",
  "Referer",
  "Origin",
  "Authorization",
  "Cache-Control",
  "Pragma",
  "Range",
  "If-None-Match",
  "If-Modified-Since",
  "Upgrade",
  "Upgrade-Insecure-Requests",
  "DNT",
  "Priority",
  "TE",
  "Via",
  "Sec-Fetch-Dest",
  "Sec-Fetch-Mode",
  "Sec-Fetch-Site",
  "Sec-Fetch-User",
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "X-Forwarded-Host",
  "X-Real-IP",
  "X-Requested-With",
  "host",
  "user-agent",
  "accept",
  "accept-language",
  "accept-encoding",
  "connection",
  "content-type",
  "content-length",
  "transfer-encoding",
  "expect",
  "cookie",
  "referer",
]) {
  const bytes = asBuffer(new TextEncoder().encode(raw));
  let hash = 0;
  for (const byte of bytes) hash = hashStep(hash, byte);
  nameAt(bytes, 0, bytes.length, hash);
}
