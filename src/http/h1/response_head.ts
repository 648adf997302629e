/**
 * A response's head as an upstream sends it: status line and fields, with Nginx's leniencies towards upstreams (bare LF,
 * a missing reason phrase, a line without a colon, a repeated status line) and its wordings of what is wrong.
 *
 * As in `head.ts`, an error depends only on the bytes before it, so that it is the same however the bytes were split.
 */
import type { ResponseError } from "../client_engine.ts";
import { Headers } from "../headers.ts";
import { classes, isBlank, isToken, isTokenText, isValueText } from "./classes.ts";
import { type Progress, valueEnd } from "./fields.ts";
import { hashStep, type KnownName, nameAt } from "./names.ts";
import { readStatusLine } from "./status_line.ts";
import { noteValue, takeValues } from "./value_spans.ts";

const cr = 0x0d;
const lf = 0x0a;
const colon = 0x3a;
const space = 0x20;

// What #readLine returns instead of a position.
const more = -1;
const refused = -2;

// A line of the log has room for about this much of an upstream's text.
const shown = 1748;

/**
 * What bytes are that do not begin with a status line: no response, the body of a response without a head, or the fields of one
 * (RFC 3875 6). "fields only": there is never a status line.
 */
export type WithoutLine = "refuse" | "body" | "fields" | "fields only";

export class ResponseHeadReader {
  /** 0: no status line came. */
  status = 0;
  reason = "";
  /** 9: no status line came, the bytes are a body without a head (HTTP/0.9); of a gateway's head it says nothing. */
  version: 9 | 10 | 11 = 11;
  readonly headers = new Headers();
  /** After `read`: where the bytes begin that were not understood yet. */
  position = 0;
  error: ResponseError | undefined;
  /** Lines that cannot be passed on to anybody, as sent. */
  ignoredLines: string[] | undefined;
  hasFraming = false;
  hasConnection = false;

  readonly #limit: number;
  readonly #without: WithoutLine;
  #used = 0;
  #hasLine = false;
  #ends = false;

  /** `limit`: most bytes of the whole head. */
  constructor(limit: number, without: WithoutLine) {
    this.#limit = limit;
    this.#without = without;
    this.#hasLine = without === "fields only";
  }

  /** Bytes of the head, once `read` has said "done". */
  get length(): number {
    return this.#used;
  }

  /** Reads from `bytes[from, to)`; go on with the bytes from `position`. */
  read(bytes: Buffer, from: number, to: number): Progress {
    const bound = Math.min(to, from + this.#limit - this.#used);
    let at = from;
    while (at < bound) {
      const next = this.#hasLine ? this.#readLine(bytes, at, bound) : this.#readStatus(bytes, at, bound);
      if (next === more) break;
      if (next === refused) {
        takeValues(bytes, this.headers.values);
        this.position = at;
        return "refused";
      }
      this.#used += next - at;
      at = next;
      if (this.#ends) {
        takeValues(bytes, this.headers.values);
        this.position = at;
        return "done";
      }
    }
    takeValues(bytes, this.headers.values);
    this.position = at;
    if (this.#used + (bound - at) < this.#limit) return "more";
    this.#refuse("RFC 9110 5.4", "upstream sent too big header");
    return "refused";
  }

  #readStatus(bytes: Buffer, at: number, to: number): number {
    const line = readStatusLine(bytes, at, to);
    if (line === undefined) return more;
    if (line === "invalid") {
      if (this.#without === "fields") {
        this.#hasLine = true;
        return at;
      }
      if (this.#without === "refuse") return this.#refuse("RFC 9112 4", "upstream sent no valid HTTP/1.0 header");
      this.status = 200;
      this.version = 9;
      this.#ends = true;
      return at;
    }
    this.#hasLine = true;
    this.status = line.status;
    this.reason = line.reason;
    this.version = line.version;
    return line.next;
  }

  /** One line from `at` on: where the next one begins, or `more` or `refused`. */
  #readLine(bytes: Buffer, at: number, to: number): number {
    const first = bytes[at]!;
    if (first === cr || first === lf) return this.#readEmpty(bytes, at, to);
    let i = at;
    let hash = 0;
    while (i < to) {
      const byte = bytes[i]!;
      if ((classes[byte]! & isToken) === 0) break;
      hash = hashStep(hash, byte);
      i++;
    }
    if (i === to) return more;
    if (bytes[i] !== colon || i === at) return this.#readOdd(bytes, at, i, to);
    const nameEnd = i++;
    while (i < to && isBlank(bytes[i]!)) i++;
    const start = i;
    i = valueEnd(bytes, i, to);
    if (i === to) return more;
    const ended = bytes[i] === lf ? i + 1 : bytes[i] === cr && i + 1 < to && bytes[i + 1] === lf ? i + 2 : 0;
    if (ended === 0) return this.#readOdd(bytes, at, nameEnd, to);
    while (i > start && isBlank(bytes[i - 1]!)) i--;
    this.#take(nameAt(bytes, at, nameEnd, hash));
    if (!noteValue(start, i)) takeValues(bytes, this.headers.values);
    return ended;
  }

  #readEmpty(bytes: Buffer, at: number, to: number): number {
    if (bytes[at] === cr) {
      if (at + 1 === to) return more;
      if (bytes[at + 1] !== lf) return this.#refuseLine(bytes, at, at);
    }
    this.#ends = true;
    return bytes[at] === cr ? at + 2 : at + 1;
  }

  /** A line that is not `token: value CRLF`; its name is one up to `nameEnd`. */
  #readOdd(bytes: Buffer, at: number, nameEnd: number, to: number): number {
    let i = nameEnd;
    // Names may have any character but controls, space and colon; such a line is read over below.
    for (; i < to && bytes[i] !== colon && bytes[i] !== cr && bytes[i] !== lf; i++) {
      const byte = bytes[i]!;
      if (byte === 0x2f && i === at + 4 && bytes.latin1Slice(at, i) === "HTTP") return skipLine(bytes, i, to);
      if (byte <= space || byte === 0x7f) return this.#refuseLine(bytes, at, i);
    }
    if (i === to) return more;
    if (i === at) return this.#refuseLine(bytes, at, i);
    const end = i;
    if (bytes[i] === colon) i++;
    while (i < to && isBlank(bytes[i]!)) i++;
    const start = i;
    for (; i < to && bytes[i] !== cr && bytes[i] !== lf; i++) if (bytes[i] === 0) return this.#refuseLine(bytes, at, i);
    const lineEnd = i;
    while (i < to && bytes[i] === cr) i++;
    if (i === to) return more;
    if (bytes[i] !== lf) return this.#refuseLine(bytes, at, lineEnd);
    let valueAt = lineEnd;
    while (valueAt > start && isBlank(bytes[valueAt - 1]!)) valueAt--;
    takeValues(bytes, this.headers.values);
    this.#takeOdd(bytes.latin1Slice(at, end), bytes.latin1Slice(start, valueAt));
    return i + 1;
  }

  /** What can be written again is kept; a name that is no token or a value with control characters cannot. */
  #takeOdd(name: string, value: string): void {
    if (isTokenText(name) && isValueText(value)) {
      const bytes = Buffer.from(name, "latin1");
      this.#take(nameAt(bytes, 0, bytes.length, bytes.reduce(hashStep, 0)));
      this.headers.values.push(value);
      return;
    }
    this.ignoredLines ??= [];
    this.ignoredLines.push(`${name}: ${value}`.slice(0, shown));
  }

  /** Its value follows. */
  #take({ name, role }: KnownName): void {
    if (role === "framing") this.hasFraming = true;
    else if (role === "connection") this.hasConnection = true;
    this.headers.names.push(name);
  }

  /** The line as far as it was understood, and the byte that was not. */
  #refuseLine(bytes: Buffer, at: number, badAt: number): number {
    const byte = (bytes[badAt] ?? 0).toString(16).padStart(2, "0");
    const text = bytes.latin1Slice(at, Math.min(badAt, at + shown));
    return this.#refuse("RFC 9112 5", `upstream sent invalid header: "${text}\\x${byte}..."`);
  }

  #refuse(rule: string, detail: string): number {
    this.error = { rule, detail };
    return refused;
  }
}

/** Some servers repeat their status line between the fields. */
function skipLine(bytes: Buffer, from: number, to: number): number {
  for (let i = from; i < to; i++) if (bytes[i] === lf) return i + 1;
  return more;
}
