/** The status line of a response (RFC 9112 4), as generously as Nginx reads it. */
import { classes, isValue } from "./classes.ts";
import { reasons } from "./reasons.ts";

export interface StatusLine {
  readonly status: number;
  /** "" if there is none, or one that cannot be written again. */
  readonly reason: string;
  /** What is above 1.1 is read as 1.1, what is below as 1.0. */
  readonly version: 10 | 11;
  /** Where the next line begins. */
  readonly next: number;
}

const cr = 0x0d;
const lf = 0x0a;
const space = 0x20;
const dot = 0x2e;
const slash = 0x2f;
const zero = 0x30;
const prefix = [0x48, 0x54, 0x54, 0x50, slash]; // "HTTP/"

/** The line in `bytes[at, to)`; undefined: more bytes are needed; "invalid": no bytes could make it one. */
export function readStatusLine(bytes: Buffer, at: number, to: number): StatusLine | "invalid" | undefined {
  let i = at;
  for (const byte of prefix) {
    if (i === to) return undefined;
    if (bytes[i++] !== byte) return "invalid";
  }
  let version: StatusLine["version"] = 11;
  if (isUsualVersion(bytes, i, to)) {
    if (bytes[i + 2] === zero) version = 10;
    i += 4;
  } else {
    const major = readNumber(bytes, i, to, [dot, 1]);
    if (typeof major !== "object") return major;
    const minor = readNumber(bytes, major.next, to, [space, 0]);
    if (typeof minor !== "object") return minor;
    if (major.value <= 1 && (major.value < 1 || minor.value === 0)) version = 10;
    i = minor.next;
  }
  while (i < to && bytes[i] === space) i++;

  let status = 0;
  for (let k = 0; k < 3; k++, i++) {
    if (i === to) return undefined;
    const digit = bytes[i]! - zero;
    // No status has one digit or two: below 100 nobody could say what it means.
    if (digit < (k === 0 ? 1 : 0) || digit > 9) return "invalid";
    status = status * 10 + digit;
  }
  if (i === to) return undefined;
  const after = bytes[i]!;
  // ".": a sub-status, as in "403.1".
  if (after !== space && after !== dot && after !== cr && after !== lf) return "invalid";
  const start = after === space ? i + 1 : i;
  while (i < to && bytes[i] !== cr && bytes[i] !== lf) i++;
  if (i === to) return undefined;
  const end = i;
  if (bytes[i] === cr) {
    if (++i === to) return undefined;
    if (bytes[i] !== lf) return "invalid";
  }
  const reason = after === dot ? "" : reasonIn(bytes, Math.min(start, end), end, reasons[status]);
  return { status, reason, version, next: i + 1 };
}

/** Digits up to `stop`, the first of them at least `least`; up to three, as Nginx counts them. */
function readNumber(
  bytes: Buffer,
  from: number,
  to: number,
  [stop, least]: readonly [stop: number, least: number],
): { readonly value: number; readonly next: number } | "invalid" | undefined {
  let value = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte === stop && i > from) return { value, next: i + 1 };
    const digit = byte - zero;
    if (digit < 0 || digit > 9 || value > 99 || (i === from && digit < least)) return "invalid";
    value = value * 10 + digit;
  }
  return undefined;
}

/** "1.1 " or "1.0 " */
const isUsualVersion = (bytes: Buffer, at: number, to: number): boolean =>
  at + 4 <= to &&
  bytes[at] === zero + 1 &&
  bytes[at + 1] === dot &&
  (bytes[at + 2] === zero + 1 || bytes[at + 2] === zero) &&
  bytes[at + 3] === space;

/** `usual`: what most servers say, for which no text has to be made. */
function reasonIn(bytes: Buffer, from: number, to: number, usual: string | undefined): string {
  if (usual !== undefined && usual.length === to - from) {
    let i = 0;
    while (i < usual.length && bytes[from + i] === usual.charCodeAt(i)) i++;
    if (i === usual.length) return usual;
  }
  for (let i = from; i < to; i++) if ((classes[bytes[i]!]! & isValue) === 0) return "";
  return bytes.latin1Slice(from, to);
}
