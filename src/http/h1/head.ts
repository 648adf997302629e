/**
 * A request's head: request line and fields, read as they come, checked as a whole (RFC 9112 3 and 5, RFC 9110 7.2).
 *
 * As in `fields.ts`, an error depends only on the bytes before it. The strings of a head are cut from one text without
 * copying: whoever keeps a single value for long (a cache key, a counter's name) should copy it, else it holds the whole head.
 */
import type { ProtocolError } from "../engine.ts";
import type { RequestHead, Version } from "../message.ts";
import { CheckedRequest } from "../request.ts";
import { classes, isNonAscii, isPath, isToken } from "./classes.ts";
import { FieldsReader, type Progress } from "./fields.ts";
import { looseBodyLength, refusedMethod } from "./loose_field.ts";
import { type LooseLine, readLooseLine } from "./loose_line.ts";
import { isUsualMethod, methodAt } from "./methods.ts";
import type { Policy } from "./policy.ts";
import { agree, awaitsContinue, badHost, isPersistent, strictBodyLength } from "./section_checks.ts";
import { type KnownSections, sectionsOf, sectionText } from "./sections.ts";
import { parseTarget } from "./target.ts";

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
  readonly #sections: KnownSections;
  /** Of the section that is read, or was known already. */
  #section: FieldsReader | undefined = undefined;
  #hasLine = false;
  #emptyLines = 0;
  #target = "";
  /** Where the query begins in the target, behind "?"; 0: it has none. */
  #query = 0;
  /** RFC 9112 3.2.1: origin-form, and nothing more to look for in it. */
  #isPath = false;
  /** What was read as Nginx reads it, because the strict reading had refused it. */
  #loose: LooseLine | undefined = undefined;
  /** The request line, where it is not what method, target and version say. */
  #line: string | undefined = undefined;
  #lineLength = 0;

  /** `sections`: what is known of field sections read by this policy. */
  constructor(policy: Policy, sections = sectionsOf(policy)) {
    this.#policy = policy;
    this.#sections = sections;
  }

  get #fields(): FieldsReader {
    this.#section ??= new FieldsReader(this.#policy, false);
    return this.#section;
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
      let next = this.#readRequestLine(bytes, at, to);
      if (next === refused && this.#policy.looseHead) next = this.#readLoosely(bytes, at, to);
      this.position = at;
      if (next === more) return "more";
      if (next === refused) {
        this.#line = lineAt(bytes, at, to);
        return "refused";
      }
      this.#hasLine = true;
      this.#lineLength = next - at;
      at = next;
      if (this.version === 9) {
        this.position = at;
        return "done";
      }
      const text = this.#loose === undefined ? sectionText(bytes, at, to) : undefined;
      if (text !== undefined) return this.#recall(text, bytes, at, to);
      this.#countLine();
    }
    return this.#readFields(bytes, at, to);
  }

  /** The section may be one that was read before: `text` is that of `bytes[at, to)`, which ends as one does. */
  #recall(text: string, bytes: Buffer, at: number, to: number): Progress {
    const { looseHead, fieldsLimit } = this.#policy;
    const line = looseHead ? this.#lineLength : 0;
    const known = text.length + line <= fieldsLimit ? this.#sections.find(text) : undefined;
    if (known !== undefined) {
      this.#section = known;
      this.position = to;
      return "done";
    }
    this.#countLine();
    const progress = this.#readFields(bytes, at, to);
    const fields = this.#fields;
    if (progress === "done" && this.position === to && fields.loose === undefined) {
      fields.length -= line;
      this.#lineLength += line;
      fields.headers.shared = true;
      this.#sections.add(text, fields);
    }
    return progress;
  }

  /** Nginx's limit is one for the whole head. */
  #countLine(): void {
    if (!this.#policy.looseHead) return;
    this.#fields.length = this.#lineLength;
    this.#lineLength = 0;
  }

  #readFields(bytes: Buffer, at: number, to: number): Progress {
    const fields = this.#fields;
    const progress = fields.read(bytes, at, to);
    this.position = fields.position;
    if (progress === "refused") this.error = fields.error;
    return progress;
  }

  /** RFC 9112 2.2: an empty line before the request line is ignored, for clients that end a body with one too many. */
  #skipEmptyLines(bytes: Buffer, from: number, to: number): number {
    let at = from;
    if (this.#policy.looseHead) {
      while (at < to && (bytes[at] === cr || bytes[at] === lf)) at++;
      return at;
    }
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
    // HTTP/1.2 and its like.
    if (bytes[next - 3]! > zero + 1 || bytes[next - 5] !== zero + 1) this.#line = bytes.latin1Slice(at, next - 2);
    if (policy.looseHead && !this.#isPath) return refused;
    return this.#checkMethod() ? next : refused;
  }

  /** The line that #readRequestLine has refused, once more; see `loose_line.ts`. */
  #readLoosely(bytes: Buffer, at: number, to: number): number {
    this.error = undefined;
    const found = readLooseLine(bytes, at, to, this.#policy.requestLineLimit + 2);
    if (found === undefined) return more;
    if ("status" in found) {
      this.error = found;
      return refused;
    }
    this.#loose = found;
    this.#line = found.text;
    this.#target = found.target;
    this.#isPath = false;
    this.method = found.method;
    this.version = found.version;
    if (found.authority !== undefined) this.#fields.adoptHost(found.authority);
    return at + found.length;
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
    if (policy.foldMethodCase) this.#foldMethod();
    // CONNECT has a target of its own kind, which `loose_line.ts` reads.
    if (policy.looseHead) return isUsualMethod(this.method) || /^(?!CONNECT$)[A-Z_-]+$/.test(this.method);
    // No registered method looks otherwise (RFC 9110 16.1.1's registry); lower case is a client's mistake or a probe.
    if (policy.unconventionalMethods || isUsualMethod(this.method) || /^[^a-z#]{3,20}$/.test(this.method)) return true;
    this.#refuse("RFC 9110 9.1", "unconventional method");
    return false;
  }

  #foldMethod(): void {
    const { method } = this;
    this.method = method.toUpperCase();
    if (this.method !== method) this.#line ??= `${method} ${this.#target} HTTP/1.${this.version - 10}`;
  }

  /** The head as a whole: what no line can tell by itself. Call once `read` has said "done". */
  finish(): RequestHead | ProtocolError {
    const { method } = this;
    const fields = this.#fields;
    const { policy } = fields;
    const bodyLength =
      fields.isSound && method !== "CONNECT"
        ? 0
        : policy.looseHead
          ? looseBodyLength(fields, method, this.version)
          : strictBodyLength(fields, this.version, this.#policy);
    if (typeof bodyLength !== "number") return bodyLength;
    // What was asked of these fields once need not be asked again, whatever the line before them says.
    fields.isSound = fields.host >= 0 && !fields.hasFraming;
    const request = new CheckedRequest(method, this.#target, this.version, fields.headers);
    const error = this.#aim(request);
    if (error !== undefined) return error;
    // RFC 9110 9.3.6, 9.3.8: no tunnels, and no loop-back that shows a client's credentials to a script.
    if (policy.refusedMethods.has(method)) return this.#refusedMethod();

    const expectation = fields.hasExpect ? awaitsContinue(fields.headers, this.version, this.#policy) : false;
    if (typeof expectation !== "boolean") return expectation;
    this.persistent = fields.hasConnection ? isPersistent(fields.headers, this.version) : this.version === 11;
    request.bodyLength = bodyLength;
    request.expectsContinue = expectation && bodyLength !== 0;
    return request;
  }

  /** What was understood of a head that was refused, or has not come to its end: for logs. */
  partial(): RequestHead {
    const request = new CheckedRequest(this.method, this.#target, this.version, this.#fields.headers);
    // A target that is wrong is not taken apart; the rest is as good as it was.
    this.#aim(request);
    return request;
  }

  #host(): string | undefined {
    const { host, headers } = this.#fields;
    return host < 0 ? undefined : headers.values[host];
  }

  /** Says where the request goes: the target taken apart, and the authority that it or Host names. */
  #aim(request: CheckedRequest): ProtocolError | undefined {
    const fields = this.#fields;
    const target = this.#target;
    const host = this.#host();
    request.authority = host ?? "";
    request.headLength = this.#lineLength + fields.length;
    if (this.#line !== undefined || fields.loose !== undefined || !this.#isPath) {
      request.odd = { line: this.#line, uri: this.#uri(), ignoredLines: fields.loose?.ignored };
    }
    if (this.#isPath) {
      if (this.#query === 0) {
        request.path = target;
      } else {
        request.path = target.slice(0, this.#query - 1);
        request.query = target.slice(this.#query);
      }
      return undefined;
    }
    if (target === "") return undefined;
    const parsed = this.#loose ?? parseTarget(target, this.method, this.#policy);
    if ("status" in parsed) return parsed;
    request.path = parsed.path;
    request.query = parsed.query;
    if (parsed.authority === undefined) return undefined;
    // RFC 9112 3.2: a client must send the same; what differs is meant to be seen by some and not by others.
    if (this.#loose === undefined && host !== undefined && !agree(host, parsed.authority)) {
      return badHost("target and Host differ");
    }
    request.authority = parsed.authority;
    return undefined;
  }

  #uri(): string | undefined {
    if (this.#isPath) return undefined;
    if (this.#loose !== undefined) return this.#loose.uri;
    const rest = /^[a-z]+:\/\/[^/?]*(.*)$/i.exec(this.#target)?.[1];
    return rest === "" ? "/" : rest;
  }

  #refusedMethod(): ProtocolError {
    const { method } = this;
    if (this.#policy.looseHead) return refusedMethod(method);
    return { status: 405, rule: "RFC 9110 15.5.6", detail: `method ${method}` };
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

/** What stands in the first line, as far as it has come. */
function lineAt(bytes: Buffer, from: number, to: number): string {
  let end = from;
  while (end < to && bytes[end] !== cr && bytes[end] !== lf) end++;
  return bytes.latin1Slice(from, end);
}
