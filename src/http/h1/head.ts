/**
 * A request's head: request line and fields, read as they come, checked as a whole (RFC 9112 3 and 5, RFC 9110 7.2).
 *
 * As in `fields.ts`, an error depends only on the bytes before it. The strings of a head are cut from one text without
 * copying: whoever keeps a single value for long (a cache key, a counter's name) should copy it, else it holds the whole head.
 */
import type { ProtocolError } from "../engine.ts";
import type { Headers } from "../headers.ts";
import type { RequestHead, Version } from "../message.ts";
import { classes, isNonAscii, isPath, isToken } from "./classes.ts";
import { FieldsReader, type Progress } from "./fields.ts";
import { requestBodyLength } from "./framing.ts";
import type { Policy } from "./policy.ts";
import { isAuthority, parseTarget } from "./target.ts";

const cr = 0x0d;
const lf = 0x0a;
const space = 0x20;
const mark = 0x3f; // "?"
const slash = 0x2f;
const hash = 0x23;
const zero = 0x30;
const nine = 0x39;

// What the line readers return instead of a position.
const more = -1;
const refused = -2;

export class HeadReader {
  /** After `read`: where the bytes begin that were not understood yet. */
  position = 0;
  error: ProtocolError | undefined;
  method = "";
  version: Version = 11;
  /** After `finish`: may the client send further requests on this connection (RFC 9112 9.3)? */
  persistent = true;

  readonly #policy: Policy;
  readonly #fields: FieldsReader;
  #hasLine = false;
  #emptyLines = 0;
  #target = "";
  /** Where the query begins in the target, behind "?"; 0: it has none. */
  #query = 0;
  /** RFC 9112 3.2.1: origin-form, and nothing more to look for in it. */
  #isPath = false;

  constructor(policy: Policy) {
    this.#policy = policy;
    this.#fields = new FieldsReader(policy, false);
  }

  /** True once a byte of the request itself has been read (empty lines before it don't count). */
  get begun(): boolean {
    return this.#hasLine;
  }

  /** Reads from `bytes[from, to)`; go on with the bytes from `position`. */
  read(bytes: Buffer, from: number, to: number): Progress {
    let at = from;
    if (!this.#hasLine) {
      at = this.#skipEmptyLines(bytes, from, to);
      const next = this.#readRequestLine(bytes, at, to);
      this.position = at;
      if (next === refused) return "refused";
      if (next === more) return "more";
      this.#hasLine = true;
      at = next;
    }
    const fields = this.#fields;
    const progress = fields.read(bytes, at, to);
    this.position = fields.position;
    if (progress === "refused") this.error = fields.error;
    return progress;
  }

  /** RFC 9112 2.2: an empty line before the request line is ignored, for clients that end a body with one too many. */
  #skipEmptyLines(bytes: Buffer, from: number, to: number): number {
    let at = from;
    while (at + 1 < to && bytes[at] === cr && bytes[at + 1] === lf && this.#emptyLines < this.#policy.emptyLinesLimit) {
      this.#emptyLines++;
      at += 2;
    }
    return at;
  }

  /** RFC 9112 3: method SP request-target SP HTTP-version CRLF, with exactly these spaces. */
  #readRequestLine(bytes: Buffer, at: number, to: number): number {
    const policy = this.#policy;
    const limit = at + policy.requestLineLimit;
    const bound = Math.min(limit, to);

    let i = at;
    if (i === to || (bytes[i] === cr && i + 1 === to && this.#emptyLines < policy.emptyLinesLimit)) return more;
    while (i < bound && (classes[bytes[i]!]! & isToken) !== 0) i++;
    if (i >= bound) return this.#cut(i, to);
    // RFC 9110 9.1: a method is a token.
    if (bytes[i] !== space || i === at) return this.#refuse("RFC 9110 9.1", "invalid method");
    const methodEnd = i;

    const start = ++i;
    const pathMask = policy.targetNonAscii ? isPath | isNonAscii : isPath;
    while (i < bound && (classes[bytes[i]!]! & pathMask) !== 0) i++;
    let query = 0;
    if (i < bound && bytes[i] === mark) {
      query = ++i - start;
      while (i < bound && ((classes[bytes[i]!]! & pathMask) !== 0 || bytes[i] === mark)) i++;
    }
    const hasFragment = policy.targetFragment && i < bound && bytes[i] === hash;
    if (hasFragment) while (i < bound && isFragmentByte(bytes[i]!, pathMask)) i++;
    if (i >= bound) return this.#cut(i, to);
    if (bytes[i] !== space || i === start) return this.#refuseTarget(bytes[i]!);
    const targetEnd = i;

    const next = this.#readVersion(bytes, i + 1, to, limit);
    if (next < 0) return next;
    this.method = methodAt(bytes, at, methodEnd);
    this.#target = bytes.latin1Slice(start, targetEnd);
    this.#query = query;
    this.#isPath = bytes[start] === slash && !hasFragment;
    return this.#checkMethod() ? next : refused;
  }

  /** RFC 9112 2.3: HTTP-version, case-sensitive, one digit each; then CRLF. Returns where the next line begins. */
  #readVersion(bytes: Buffer, from: number, to: number, limit: number): number {
    for (let k = 0; k < 10; k++) {
      const i = from + k;
      if (i >= to) return more;
      const byte = bytes[i]!;
      // CR and LF do not count as parts of the line.
      if (k < 8 && i >= limit) return this.#cut(i, to);
      const expected = versionPattern[k];
      if (expected === zero ? byte < zero || byte > nine : byte !== expected)
        return this.#refuseVersion(k, byte, i >= limit);
    }
    const major = bytes[from + 5]! - zero;
    const minor = bytes[from + 7]! - zero;
    // RFC 9110 2.5: a minor version above ours is read as the highest that we know.
    if (major === 1) {
      this.version = minor === 0 ? 10 : 11;
    } else {
      // RFC 9110 15.6.6. HTTP/2 is never spoken in text (RFC 9113 3.3).
      if (!this.#policy.unconventionalVersions) return this.#refuse("RFC 9110 15.6.6", `HTTP/${major}.${minor}`, 505);
      this.version = major === 0 ? 10 : 11;
    }
    return from + 10;
  }

  #checkMethod(): boolean {
    const policy = this.#policy;
    if (policy.foldMethodCase) this.method = this.method.toUpperCase();
    // No registered method looks otherwise (RFC 9110 16.1.1's registry); lower case is a client's mistake or a probe.
    if (policy.unconventionalMethods || isUsualMethod(this.method) || /^[^a-z#]{3,20}$/.test(this.method)) return true;
    this.#refuse("RFC 9110 9.1", "unconventional method");
    return false;
  }

  /** The head as a whole: what no line can tell by itself. Call once `read` has said "done". */
  finish(): RequestHead | ProtocolError {
    const { method, version } = this;
    const policy = this.#policy;
    const fields = this.#fields;
    const { headers } = fields;

    const bodyLength = fields.hasFraming ? requestBodyLength(headers, version, policy.passedCodings) : 0;
    if (typeof bodyLength !== "number") return bodyLength;
    const host = fields.host < 0 ? undefined : headers.values[fields.host];
    const hostError = this.#checkHost(host);
    if (hostError !== undefined) return hostError;

    const target = this.#target;
    let path = target;
    let query = "";
    let authority = host ?? "";
    if (this.#isPath) {
      if (this.#query > 0) {
        path = target.slice(0, this.#query - 1);
        query = target.slice(this.#query);
      }
    } else {
      const parsed = parseTarget(target, method, policy);
      if ("status" in parsed) return parsed;
      ({ path, query } = parsed);
      if (parsed.authority !== undefined) {
        // RFC 9112 3.2: a client must send the same; what differs is meant to be seen by some and not by others.
        if (host !== undefined && !agree(host, parsed.authority)) return badHost("target and Host differ");
        authority = parsed.authority;
      }
    }
    // RFC 9110 9.3.6, 9.3.8: no tunnels, and no loop-back that shows a client's credentials to a script.
    if (policy.refusedMethods.has(method)) return { status: 405, rule: "RFC 9110 15.5.6", detail: `method ${method}` };

    const expectation = fields.hasExpect ? this.#expectation() : false;
    if (typeof expectation !== "boolean") return expectation;
    this.persistent = fields.hasConnection ? isPersistent(headers, version) : version === 11;
    const expectsContinue = expectation && bodyLength !== 0;
    return { method, target, path, query, authority, version, headers, bodyLength, expectsContinue };
  }

  /** RFC 9112 3.2: exactly one Host in HTTP/1.1, and a valid one in any. */
  #checkHost(host: string | undefined): ProtocolError | undefined {
    if (host !== undefined) return isAuthority(host) ? undefined : badHost("invalid Host");
    if (this.version === 11 && this.#policy.hostRequired) return badHost("no Host");
    return undefined;
  }

  /** RFC 9110 10.1.1: does the client wait for 100 Continue? Any other expectation cannot be met. */
  #expectation(): boolean | ProtocolError {
    // HTTP/1.0 knows no expectations and no interim responses: they are ignored.
    if (this.version === 10) return false;
    for (const value of this.#fields.headers.all("expect")) {
      if (value.toLowerCase() !== "100-continue") {
        return { status: 417, rule: "RFC 9110 10.1.1", detail: "expectation other than 100-continue" };
      }
    }
    return true;
  }

  #cut(at: number, to: number): number {
    // RFC 9112 3: 414 for a target that is longer than anything we want to parse.
    return at >= to ? more : this.#refuse("RFC 9112 3", "request line too long", 414);
  }

  #refuseTarget(byte: number): number {
    if (byte === space) return this.#refuse("RFC 9112 3", "more than one space before the target");
    // HTTP/0.9 ends its line here.
    if (byte === cr || byte === lf) return this.#refuse("RFC 9112 3", "request line without a version");
    return this.#refuse("RFC 9112 3.2", `byte 0x${byte.toString(16).padStart(2, "0")} in the target`);
  }

  #refuseVersion(index: number, byte: number, atLimit: boolean): number {
    if (index < 8) return this.#refuse("RFC 9112 2.3", "invalid HTTP version");
    if (index === 8 && atLimit && byte !== lf) return this.#refuse("RFC 9112 3", "request line too long", 414);
    if (index === 8 && byte !== lf) return this.#refuse("RFC 9112 2.3", "bytes after the HTTP version");
    return this.#refuse("RFC 9112 2.2", index === 8 ? "bare LF in the request line" : "bare CR in the request line");
  }

  #refuse(rule: string, detail: string, status: ProtocolError["status"] = 400): number {
    this.error = { status, rule, detail };
    return refused;
  }
}

/** "HTTP/0.0\r\n"; a zero stands for any digit. */
const versionPattern = [0x48, 0x54, 0x54, 0x50, 0x2f, zero, 0x2e, zero, cr, lf];

const isFragmentByte = (byte: number, mask: number): boolean =>
  (classes[byte]! & mask) !== 0 || byte === hash || byte === mark;

/** Methods by their first bytes, so that the usual ones need no new string. */
function methodAt(bytes: Buffer, from: number, to: number): string {
  const method = usualMethods[bytes[from]! & 31];
  if (method === undefined || method.length !== to - from) return bytes.latin1Slice(from, to);
  for (let i = 0; i < method.length; i++)
    if (bytes[from + i] !== method.charCodeAt(i)) return bytes.latin1Slice(from, to);
  return method;
}

/** By the first letter's place in the alphabet: one for each letter, the most frequent. */
const usualMethods: (string | undefined)[] = new Array(32).fill(undefined);
for (const method of ["DELETE", "GET", "HEAD", "OPTIONS", "POST"]) usualMethods[method.charCodeAt(0) & 31] = method;

const isUsualMethod = (method: string): boolean => usualMethods[method.charCodeAt(0) & 31] === method;

const agree = (host: string, authority: string): boolean =>
  host === authority || host.toLowerCase() === authority.toLowerCase();

function badHost(detail: string): ProtocolError {
  return { status: 400, rule: "RFC 9112 3.2", detail };
}

/** RFC 9112 9.3: 1.1 persists unless told to close, 1.0 closes unless asked to persist; "close" wins. */
function isPersistent({ names, values }: Headers, version: Version): boolean {
  let keeps = version === 11;
  for (let i = 0; i < names.length; i++) {
    if (names[i]!.lower !== "connection") continue;
    const field = values[i]!;
    // What nearly everybody sends needs no splitting.
    if (field === "keep-alive" || field === "Keep-Alive") {
      keeps = true;
      continue;
    }
    for (const option of field.toLowerCase().split(",")) {
      const name = option.trim();
      if (name === "close") return false;
      if (name === "keep-alive") keeps = true;
    }
  }
  return keeps;
}
