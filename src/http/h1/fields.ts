/**
 * Field lines up to the empty line: those of a head and those after a chunked body (RFC 9112 5 and 7.1.2).
 *
 * One pass over the bytes finds names, values and every forbidden byte. Lines are understood one at a time and never read
 * twice, but for a last, unfinished one. An error depends only on the bytes before it, so that it is the same however the
 * bytes were split: each limit is checked at the byte that passes it.
 */
import type { ProtocolError } from "../engine.ts";
import { Headers } from "../headers.ts";
import { hostOf } from "../request.ts";
import { classes, isBlank, isToken, isValue } from "./classes.ts";
import { inHeaders, invalidChunkedBody, invalidLine, longLine, scanField } from "./loose_field.ts";
import { hashStep, type KnownName, nameAt } from "./names.ts";
import type { Policy } from "./policy.ts";
import { isLooseAuthority } from "./target.ts";
import { noteValue, takeValues } from "./value_spans.ts";

/** "more": the bytes end before the section does. */
export type Progress = "more" | "done" | "refused";

const cr = 0x0d;
const lf = 0x0a;
const colon = 0x3a;

// What #readLine returns instead of a position.
const more = -1;
const refused = -2;

/** Found while a loose head is read, and for its end. */
export interface LooseNotes {
  /** An index into `headers`: the second field of a name that may stand there once; -1: none. */
  repeated: number;
  /** Lines that were left out for their names. */
  readonly ignored: string[];
}

export class FieldsReader {
  readonly headers = new Headers();
  /** After `read`: where the bytes begin that were not understood yet. */
  position = 0;
  error: ProtocolError | undefined;
  /** What the section has of the fields that the engine cares for; `host` is an index into `headers`, -1: none. */
  host = -1;
  hasContentType = false;
  hasFraming = false;
  hasConnection = false;
  hasExpect = false;
  /** Nothing is wrong with the section as a whole, and no body follows it. */
  isSound = false;
  /** What a loose head has and others cannot. */
  loose: LooseNotes | undefined = undefined;
  /** What the rest is read by; a host's own policy may replace it. */
  policy: Policy;

  readonly #inTrailers: boolean;
  #lines = 0;
  /** Bytes of the lines so far, that of the empty one included. */
  length = 0;
  #folded = false;
  /** No further value can be noted before those found are taken. */
  #isFull = false;

  constructor(policy: Policy, inTrailers: boolean) {
    this.policy = policy;
    this.#inTrailers = inTrailers;
  }

  /** Goes on with the policy of the virtual server that `authority` names. */
  adoptHost(authority: string): void {
    const { hostPolicy } = this.policy;
    if (hostPolicy !== undefined && isLooseAuthority(authority)) this.policy = hostPolicy(hostOf(authority));
  }

  /** Reads lines from `bytes[from, to)`; go on with the bytes from `position`. */
  read(bytes: Buffer, from: number, to: number): Progress {
    let at = from;
    for (;;) {
      if (at === to) break;
      const first = bytes[at]!;
      if (first === cr) {
        if (at + 1 === to) break;
        this.position = at + 2;
        this.#takeValues(bytes);
        if (bytes[at + 1] === lf) return this.#end(2);
        if (this.policy.looseHead) return this.#refuseLoose(invalidLine(bytes, at, at));
        return this.#refuse("RFC 9112 2.2", "bare CR at the beginning of a line");
      }
      if (first === lf && this.policy.looseHead && !this.#inTrailers) {
        this.position = at + 1;
        this.#takeValues(bytes);
        return this.#end(1);
      }
      if (this.#isFull) this.#takeValues(bytes);
      let next = this.#readLine(bytes, at, to, first);
      if (next === refused && this.policy.looseHead) next = this.#readLoosely(bytes, at, to);
      if (next === more) break;
      if (next === refused) {
        this.#takeValues(bytes);
        return "refused";
      }
      at = next;
    }
    this.#takeValues(bytes);
    this.position = at;
    return "more";
  }

  /** One line from `at` on: where the next one begins, or `more` or `refused`. */
  #readLine(bytes: Buffer, at: number, to: number, first: number): number {
    const { policy } = this;
    if (this.#lines >= policy.fieldCountLimit) return this.#tooMuch("too many fields");
    if (isBlank(first)) return this.#refuseFold();
    const limit = at + Math.min(policy.fieldLimit, policy.fieldsLimit - this.length) - 2;
    const bound = Math.min(limit, to);

    let i = at;
    let hash = 0;
    while (i < bound) {
      const byte = bytes[i]!;
      if ((classes[byte]! & isToken) === 0) break;
      hash = hashStep(hash, byte);
      i++;
    }
    const nameEnd = i;
    if (i < bound && policy.spaceBeforeColon && i > at) while (i < bound && isBlank(bytes[i]!)) i++;
    if (i >= bound) return i >= to ? more : this.#tooMuch("field line too long");
    if (bytes[i] !== colon || nameEnd === at) return this.#refuseName(bytes[i]!, nameEnd === at);
    i++;
    while (i < bound && isBlank(bytes[i]!)) i++;
    const start = i;

    let end = start;
    for (;;) {
      i = valueEnd(bytes, i, bound);
      if (i >= to) return more;
      if (bytes[i] !== cr) return i >= limit ? this.#tooMuch("field line too long") : this.#refuseValue(bytes[i]!);
      if (i + 1 === to) return more;
      if (bytes[i + 1] !== lf) return this.#refuseValue(cr);
      end = i;
      i += 2;
      if (!policy.obsoleteFolding) break;
      if (i === to) return more; // the next byte tells whether the field goes on
      if (!isBlank(bytes[i]!)) break;
      if (i >= limit) return this.#tooMuch("folded field too long");
      this.#folded = true;
    }
    while (end > start && isBlank(bytes[end - 1]!)) end--;
    this.#lines++;
    this.length += i - at;
    if (this.#takeLine(bytes, nameAt(bytes, at, nameEnd, hash), start, end)) return i;
    if (this.error !== undefined) return refused;
    if (policy.looseHead) this.#noteIgnored(bytes, at, end);
    return i;
  }

  /** The same line, as Nginx reads it: what #readLine has found wrong with it is not the last word. */
  #readLoosely(bytes: Buffer, at: number, to: number): number {
    this.error = undefined;
    const { policy } = this;
    const limit = at + Math.min(policy.fieldLimit, policy.fieldsLimit - this.length);
    const line = scanField(bytes, at, Math.min(to, limit));
    if (line === undefined) return to < limit ? more : this.#refuseLooseLine(longLine(bytes, at, limit), 494);
    if (typeof line === "number") return this.#refuseLooseLine(invalidLine(bytes, at, line));
    const { nameEnd, start, end, next } = line;
    if (line.bareLf && this.#inTrailers) return this.#refuseLooseLine("");
    this.length += next - at;
    let hash = 0;
    for (let i = at; i < nameEnd; i++) {
      const byte = bytes[i]!;
      if ((classes[byte]! & isToken) === 0) return this.#takeOddLine(bytes, at, end) ? next : refused;
      hash = hashStep(hash, byte);
    }
    this.#lines++;
    const taken = this.#takeLine(bytes, nameAt(bytes, at, nameEnd, hash), start, end);
    if (this.error !== undefined) return refused;
    if (!taken) this.#noteIgnored(bytes, at, end);
    else if (this.#lines > this.policy.fieldCountLimit) {
      return this.#refuseLooseLine(`client sent too many header lines${inHeaders}`, 494);
    }
    return next;
  }

  /** A name that is no token could not be passed on to anybody. False: it is refused. */
  #takeOddLine(bytes: Buffer, at: number, end: number): boolean {
    this.#lines++;
    this.#noteIgnored(bytes, at, end);
    if (this.#inTrailers || this.policy.ignoreInvalidHeaders === "ignore") return true;
    this.#refuseLoose(`client sent invalid header line: "${bytes.latin1Slice(at, end)}"${inHeaders}`);
    return false;
  }

  /** A line that counts for nothing. */
  #noteIgnored(bytes: Buffer, at: number, end: number): void {
    this.#lines--;
    if (this.#inTrailers) return;
    this.loose ??= { repeated: -1, ignored: [] };
    this.loose.ignored.push(bytes.latin1Slice(at, end));
  }

  /** Keeps or drops a whole line; false if it is dropped, or refused (then `error` is set). */
  #takeLine(bytes: Buffer, known: KnownName, start: number, end: number): boolean {
    if (this.#inTrailers) {
      if (known.refusedAsTrailer) return this.#takeBadTrailer(known);
      if (known.role !== "plain" && !this.#passes(known)) return false;
    } else if (known.role !== "plain" && !this.#takeSpecial(bytes, known, start, end)) {
      return false;
    }
    this.headers.names.push(known.name);
    this.#isFull = !noteValue(start, end);
    return true;
  }

  /** RFC 9110 6.5.1: such a trailer can only be an attempt to change what the head has settled. */
  #takeBadTrailer({ name }: KnownName): false {
    if (!this.policy.looseHead) this.#refuseLine("RFC 9110 6.5.1", `trailer "${name.raw}"`);
    return false;
  }

  /** Notes a field that the engine cares for; false if it is dropped, or refused (then `error` is set). */
  #takeSpecial(bytes: Buffer, known: KnownName, start: number, end: number): boolean {
    const { looseHead, hostPolicy } = this.policy;
    switch (known.role) {
      case "host":
        if (this.host < 0) this.host = this.headers.names.length;
        // RFC 9112 3.2
        else if (!looseHead) return this.#refuseLine("RFC 9112 3.2", `repeated field "Host"`);
        else this.#noteSingle(known);
        if (hostPolicy !== undefined) this.adoptHost(bytes.latin1Slice(start, end));
        return true;
      case "contentType":
        // RFC 9110 5.3: not a list, so it must not be repeated; each reader would take another one.
        if (this.hasContentType && !looseHead) return this.#refuseLine("RFC 9110 5.3", `repeated field "Content-Type"`);
        this.hasContentType = true;
        return true;
      case "framing":
        this.hasFraming = true;
        if (looseHead) this.#noteSingle(known);
        return true;
      case "connection":
        this.hasConnection = true;
        return true;
      case "expect":
        this.hasExpect = true;
        if (looseHead) this.#noteSingle(known);
        return true;
      case "single":
        if (looseHead) this.#noteSingle(known);
        return true;
      default:
        return this.#passes(known);
    }
  }

  /** A field that must not be repeated: the first one that is will be refused, once its value is there to be shown. */
  #noteSingle({ name: { lower } }: KnownName): void {
    const { names } = this.headers;
    if (!names.some((each) => each.lower === lower)) return;
    this.loose ??= { repeated: -1, ignored: [] };
    if (this.loose.repeated < 0) this.loose.repeated = names.length;
  }

  /** False: the field is dropped, or refused (then `error` is set). */
  #passes({ role, name, isOdd }: KnownName): boolean {
    const { policy } = this;
    if (role === "proxy") return policy.proxyField;
    if (policy.looseHead && policy.ignoreInvalidHeaders === "refuse") return true;
    if (role !== "underscored" || policy.underscores === "keep" || policy.trustedNames.has(name.lower)) {
      return !(policy.looseHead && isOdd);
    }
    if (policy.underscores === "refuse") this.#refuseLine("RFC 3875 4.1.18", `"_" in the name of field "${name.raw}"`);
    return false;
  }

  /** Makes the values found since last time. */
  #takeValues(bytes: Buffer): void {
    const { values } = this.headers;
    const count = takeValues(bytes, values);
    this.#isFull = false;
    if (!this.#folded) return;
    this.#folded = false;
    // RFC 9112 5.2: obs-fold becomes a space before anybody interprets the value.
    for (let i = values.length - count; i < values.length; i++) {
      values[i] = values[i]!.replaceAll(/[ \t]*\r\n[ \t]+/g, " ").trim();
    }
  }

  #refuse(rule: string, detail: string, status: ProtocolError["status"] = 400): "refused" {
    this.error = { status, rule, detail };
    return "refused";
  }

  #refuseLine(rule: string, detail: string): false {
    this.#refuse(rule, detail);
    return false;
  }

  #end(lineEnd: number): "done" {
    this.length += lineEnd;
    return "done";
  }

  #refuseLoose(detail: string, status: ProtocolError["status"] = 400): "refused" {
    if (this.#inTrailers) return this.#refuse("RFC 9112 7.1.2", invalidChunkedBody);
    return this.#refuse(status === 400 ? "RFC 9112 5" : "RFC 6585 5", detail, status);
  }

  #tooMuch(detail: string): number {
    this.#refuse("RFC 6585 5", detail, 431);
    return refused;
  }

  #refuseLooseLine(detail: string, status?: ProtocolError["status"]): number {
    this.#refuseLoose(detail, status);
    return refused;
  }

  #refuseFold(): number {
    // RFC 9112 2.2: white space before the first field; 5.2: line folding.
    if (this.#lines === 0) this.#refuse("RFC 9112 2.2", "white space before the first field");
    else this.#refuse("RFC 9112 5.2", "obsolete line folding");
    return refused;
  }

  /** RFC 9112 5 and 5.1: a field line is a token, directly followed by a colon. */
  #refuseName(byte: number, isFirst: boolean): number {
    if (byte === colon) this.#refuse("RFC 9112 5", "field without a name");
    else if (isBlank(byte) && !isFirst)
      this.#refuse("RFC 9112 5.1", "white space between a field's name and its colon");
    else if (byte === cr || byte === lf) this.#refuse("RFC 9112 5", "field line without a colon");
    else this.#refuse("RFC 9110 5.1", `byte 0x${hex(byte)} in a field name`);
    return refused;
  }

  #refuseValue(byte: number): number {
    // RFC 9112 2.2: neither CR nor LF alone ends a line; what one reader takes for a line end, another takes for text.
    if (byte === cr) this.#refuse("RFC 9112 2.2", "bare CR in a field line");
    else if (byte === lf) this.#refuse("RFC 9112 2.2", "bare LF in a field line");
    else this.#refuse("RFC 9110 5.5", `byte 0x${hex(byte)} in a field value`);
    return refused;
  }
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

/** The first position at or after `at` whose byte cannot be part of a field value, at most `bound`. */
export function valueEnd(bytes: Buffer, at: number, bound: number): number {
  let i = at;
  // Four bytes per turn take half the time of one, and values are most of a head (bench/micro/h1.ts).
  for (const last = bound - 4; i <= last; i += 4) {
    const all = classes[bytes[i]!]! & classes[bytes[i + 1]!]! & classes[bytes[i + 2]!]! & classes[bytes[i + 3]!]!;
    if ((all & isValue) === 0) break;
  }
  while (i < bound && (classes[bytes[i]!]! & isValue) !== 0) i++;
  return i;
}
