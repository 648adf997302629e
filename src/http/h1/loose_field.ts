/**
 * Field lines as Nginx reads them, for those that the strict reading has refused: ended by a bare LF, without a colon, with
 * odd names, with control characters in their values. And what Nginx asks of the fields as a whole.
 */
import type { ProtocolError } from "../engine.ts";
import type { Headers } from "../headers.ts";
import type { Version } from "../message.ts";
import { isBlank } from "./classes.ts";
import { requestBodyLength } from "./framing.ts";
import { isLooseAuthority } from "./target.ts";

export interface LooseField {
  readonly nameEnd: number;
  /** The value, without the white space around it. */
  readonly start: number;
  readonly end: number;
  /** Where the next line begins. */
  readonly next: number;
  /** Its line end is LF alone. */
  readonly bareLf: boolean;
}

const cr = 0x0d;
const lf = 0x0a;
const space = 0x20;
const colon = 0x3a;

export const invalidChunkedBody = "client sent invalid chunked body";
export const inHeaders = " while reading client request headers";

/** The line from `at` on; undefined: `bound` comes before its end; a number: where the byte is that no line can have. */
export function scanField(bytes: Buffer, at: number, bound: number): LooseField | number | undefined {
  let i = at;
  for (; i < bound; i++) {
    const byte = bytes[i]!;
    if ((byte === colon || byte === cr || byte === lf) && i > at) break;
    if (byte <= space || byte === 0x7f || byte === colon) return i;
  }
  const nameEnd = i;
  // A line without a colon is a field without a value.
  if (i < bound && bytes[i] === colon) i++;
  while (i < bound && isBlank(bytes[i]!)) i++;
  const start = i;
  while (i < bound && bytes[i] !== cr && bytes[i] !== lf && bytes[i] !== 0) i++;
  const stop = i;
  let end = i;
  while (end > start && isBlank(bytes[end - 1]!)) end--;
  while (i < bound && bytes[i] === cr) i++;
  if (i >= bound) return undefined;
  if (bytes[i] !== lf) return stop;
  return { nameEnd, start, end, next: i + 1, bareLf: bytes[i - 1] !== cr };
}

/** The line as far as it was understood, and the byte that was not. */
export function invalidLine(bytes: Buffer, at: number, badAt: number): string {
  const byte = (bytes[badAt] ?? 0).toString(16).padStart(2, "0");
  return `client sent invalid header line: "${cut(bytes.latin1Slice(at, badAt))}\\x${byte}..."${inHeaders}`;
}

export const longLine = (bytes: Buffer, at: number, to: number): string =>
  `client sent too long header line: "${cut(bytes.latin1Slice(at, Math.max(at, to)).replace(/\r+$/, ""))}..."${inHeaders}`;

// A line of the log has room for about this much of a client's text.
const cut = (text: string): string => text.slice(0, 1748);

/** What can be asked once all lines are here. `host`: an index into `headers`, or -1; `repeated`: the same. */
export interface LooseFields {
  readonly headers: Headers;
  readonly host: number;
  readonly loose: { readonly repeated: number } | undefined;
  readonly hasFraming: boolean;
}

/** The bytes of the request's body, or what is wrong with its fields. RFC 9112 3.2, 6.3. */
export function looseBodyLength(fields: LooseFields, method: string, version: Version): number | ProtocolError {
  const { headers, host, loose } = fields;
  if (loose !== undefined && loose.repeated >= 0) return repeatedField(headers, loose.repeated);
  if (host >= 0 && !isLooseAuthority(headers.values[host]!))
    return bad("RFC 9112 3.2", "client sent invalid host header");
  if (host < 0 && version === 11) return bad("RFC 9112 3.2", `client sent HTTP/1.1 request without "Host" header`);
  const length = fields.hasFraming ? requestBodyLength(headers, version, noCodings) : 0;
  if (typeof length !== "number") return wordedFraming(length, headers, version);
  if (method === "CONNECT" && version < 11) return refusedMethod(method);
  if (method === "CONNECT" && length !== 0) return bad("RFC 9110 9.3.6", "client sent CONNECT request with body");
  return length;
}

const noCodings: ReadonlySet<string> = new Set();

function repeatedField({ names, values }: Headers, at: number): ProtocolError {
  const { lower } = names[at]!;
  const first = names.findIndex((name) => name.lower === lower);
  const show = (i: number) => cut(`${names[i]!.raw}: ${values[i]}`);
  const kind = lower === "host" ? "host header" : "header line";
  return bad("RFC 9110 5.3", `client sent duplicate ${kind}: "${show(at)}", previous value: "${show(first)}"`);
}

/** The same error in Nginx's words; every coding but "chunked" alone is 501 (RFC 9112 6.1). */
function wordedFraming({ rule }: ProtocolError, headers: Headers, version: Version): ProtocolError {
  const coding = headers.get("transfer-encoding");
  if (coding === undefined) return bad(rule, `client sent invalid "Content-Length" header`);
  if (version < 11) return bad(rule, `client sent HTTP/1.0 request with "Transfer-Encoding" header`);
  if (coding.toLowerCase() !== "chunked") {
    return { ...bad(rule, `client sent unknown "Transfer-Encoding": "${cut(coding)}"`), status: 501 };
  }
  return bad(rule, `client sent "Content-Length" and "Transfer-Encoding" headers at the same time`);
}

function bad(rule: string, words: string): ProtocolError {
  return { status: 400, rule, detail: words + inHeaders };
}

/** RFC 9110 9.3.6, 9.3.8 */
export function refusedMethod(method: string): ProtocolError {
  return { status: 405, rule: "RFC 9110 15.5.6", detail: `client sent ${method} method${inHeaders}` };
}
