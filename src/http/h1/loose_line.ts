/**
 * Request lines as Nginx reads them, for those that the strict reading has refused: several spaces, HTTP/0.9, HTTP/1.10,
 * any scheme, any byte but controls in the target.
 *
 * Read from left to right and given up at the first byte that cannot be part of any, so that the answer is the same however
 * the bytes arrive. Such lines are rare: clarity goes before speed.
 */
import type { ProtocolError } from "../engine.ts";
import { isLooseAuthority } from "./target.ts";

export interface LooseLine {
  readonly method: string;
  readonly target: string;
  /** See `RequestHead.uri`; "/" for CONNECT, whose target names no path. */
  readonly uri: string;
  readonly path: string;
  readonly query: string;
  /** Named by the target, with its port; undefined: it names none. */
  readonly authority: string | undefined;
  readonly version: 9 | 10 | 11;
  /** The line without its end, and its bytes with it. */
  readonly text: string;
  readonly length: number;
}

const inLine = " while reading client request line";

/** What ends the reading early: more bytes are needed, or no bytes would help. */
type Stop = "cut" | ProtocolError;

/** One request line that begins at `from`; undefined: `to` comes before its end. `limit`: its most bytes, line end included. */
export function readLooseLine(
  bytes: Buffer,
  from: number,
  to: number,
  limit: number,
): LooseLine | ProtocolError | undefined {
  const found = parse(bytes.latin1Slice(from, Math.min(to, from + limit)));
  if (found !== "cut") return found;
  if (to - from < limit) return undefined;
  return { status: 414, rule: "RFC 9112 3", detail: `client sent too long URI${inLine}` };
}

/** A place in the text that moves on. */
interface Cursor {
  readonly text: string;
  at: number;
}

function parse(text: string): LooseLine | Stop {
  const cursor = { text, at: 0 };
  const method = take(cursor, /[A-Z_-]*/y);
  const afterMethod = next(cursor);
  if (afterMethod === "") return "cut";
  if (afterMethod !== " " || method === "") return bad("client sent invalid method", "RFC 9110 9.1");
  take(cursor, / */y);
  const targetFrom = cursor.at;
  const authority = method === "CONNECT" ? takeEnd(cursor) : takeAuthority(cursor);
  if (typeof authority === "object") return authority.stop;
  const uriFrom = cursor.at;
  if (method !== "CONNECT") take(cursor, /[^\0- \x7f]*/y);
  const targetEnd = cursor.at;
  const version = takeVersion(cursor);
  if (typeof version !== "number") return version;

  if (version === 9 && method !== "GET") return bad("client sent invalid method in HTTP/0.9 request", "RFC 1945 5");
  if (authority !== undefined && !isLooseAuthority(authority)) return bad("client sent invalid host in request line");
  const uri = text.slice(uriFrom, targetEnd) || "/";
  return {
    method,
    target: text.slice(targetFrom, targetEnd),
    uri,
    ...splitUri(uri),
    authority,
    version,
    text: text.slice(0, cursor.at).replace(/\r?\n$/, ""),
    length: cursor.at,
  };
}

/** What of the text fits from the cursor on; `pattern` is sticky, and may fit nothing. */
function take(cursor: Cursor, pattern: RegExp): string {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text)?.[0] ?? "";
  cursor.at += found.length;
  return found;
}

/** The character at the cursor; "" where the text ends. */
const next = ({ text, at }: Cursor): string => text[at] ?? "";

/** True: exactly this comes next, and is passed. */
function takeExactly(cursor: Cursor, expected: string): true | Stop {
  for (const character of expected) {
    const found = next(cursor);
    if (found !== character) return found === "" ? "cut" : badRequest;
    cursor.at++;
  }
  return true;
}

/** Scheme, "://" and authority of an absolute target (RFC 9112 3.2.2); undefined: the target is a path. */
function takeAuthority(cursor: Cursor): string | undefined | { stop: Stop } {
  const first = next(cursor);
  if (first === "/") return undefined;
  if (take(cursor, /[A-Za-z][A-Za-z0-9+.-]*/y) === "") return { stop: first === "" ? "cut" : badRequest };
  const separated = takeExactly(cursor, "://");
  if (separated !== true) return { stop: separated };
  const from = cursor.at;
  const stop = takeHost(cursor);
  if (stop !== undefined) return { stop };
  if (next(cursor) === ":") {
    cursor.at++;
    take(cursor, /[0-9]*/y);
  }
  const after = next(cursor);
  if (after === "/" || after === "?" || after === " ") return cursor.text.slice(from, cursor.at);
  return { stop: after === "" ? "cut" : badRequest };
}

/** CONNECT's target, host and port (RFC 9112 3.2.3). */
function takeEnd(cursor: Cursor): string | { stop: Stop } {
  const from = cursor.at;
  const stop = takeHost(cursor);
  if (stop !== undefined) return { stop };
  const colon = takeExactly(cursor, ":");
  if (colon !== true) return { stop: colon };
  const port = take(cursor, /[0-9]*/y);
  const after = next(cursor);
  if (after === " " && port !== "") return cursor.text.slice(from, cursor.at);
  return { stop: after === "" ? "cut" : badRequest };
}

function takeHost(cursor: Cursor): Stop | undefined {
  if (next(cursor) !== "[") {
    take(cursor, /[A-Za-z0-9.-]*/y);
    return undefined;
  }
  take(cursor, /\[[A-Za-z0-9:._~!$&'()*+,;=-]*/y);
  const closed = takeExactly(cursor, "]");
  return closed === true ? undefined : closed;
}

/** What follows the target, up to and with the line end. */
function takeVersion(cursor: Cursor): 9 | 10 | 11 | Stop {
  const first = next(cursor);
  if (first !== " " && first !== "\r" && first !== "\n") return first === "" ? "cut" : badRequest;
  take(cursor, / */y);
  let version: 9 | 10 | 11 = 9;
  if (next(cursor) === "H") {
    const named = takeExactly(cursor, "HTTP/");
    if (named !== true) return named;
    const digits = takeDigits(cursor);
    if (typeof digits !== "number") return digits;
    version = digits;
    take(cursor, / */y);
  }
  if (next(cursor) === "\r") cursor.at++;
  const ended = takeExactly(cursor, "\n");
  return ended === true ? version : ended;
}

/** "1.1" and its like. RFC 9110 2.5: a minor version above ours is read as the highest that we know. */
function takeDigits(cursor: Cursor): 10 | 11 | Stop {
  const major = next(cursor);
  if (major === "") return "cut";
  if (major < "1" || major > "9") return badRequest;
  cursor.at++;
  const after = next(cursor);
  // RFC 9110 15.6.6: whatever is above 1, however many digits it has.
  if (major > "1" || (after >= "0" && after <= "9")) return { ...bad("client sent invalid version"), status: 505 };
  const dot = takeExactly(cursor, ".");
  if (dot !== true) return dot;
  const minor = take(cursor, /[0-9]{0,3}/y);
  const end = next(cursor);
  if (end === "") return "cut";
  if (minor === "" || (end !== " " && end !== "\r" && end !== "\n")) return badRequest;
  return Number(minor) === 0 ? 10 : 11;
}

/** A fragment belongs to neither path nor query, though no client should send one (RFC 9112 3.2). */
function splitUri(uri: string): { path: string; query: string } {
  const fragment = uri.indexOf("#");
  const whole = fragment < 0 ? uri : uri.slice(0, fragment);
  const mark = whole.indexOf("?");
  if (mark < 0) return { path: whole, query: "" };
  return { path: whole.slice(0, mark) || "/", query: whole.slice(mark + 1) };
}

function bad(words: string, rule = "RFC 9112 3"): ProtocolError {
  return { status: 400, rule, detail: words + inLine };
}

const badRequest = bad("client sent invalid request");
