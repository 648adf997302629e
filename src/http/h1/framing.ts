/** Where a message ends (RFC 9112 6.3). Nobody else decides it, neither for requests nor for responses. */
import type { ProtocolError } from "../engine.ts";
import type { Headers } from "../headers.ts";
import type { Version } from "../message.ts";
import { isBlank, isTokenText } from "./classes.ts";

/** The bytes of a request's body: 0 for none, -1 for chunked. */
export function requestBodyLength(
  headers: Headers,
  version: Version,
  passedCodings: ReadonlySet<string>,
): number | ProtocolError {
  const { names, values } = headers;
  let lengths = 0;
  let lengthText = "";
  let codings: string | undefined;
  for (let i = 0; i < names.length; i++) {
    const { lower } = names[i]!;
    if (lower === "content-length") {
      lengths++;
      lengthText = values[i]!;
    } else if (lower === "transfer-encoding") {
      // RFC 9110 5.3: several lines are one list.
      codings = codings === undefined ? values[i]! : `${codings},${values[i]}`;
    }
  }
  if (codings !== undefined) {
    // RFC 9112 6.1: a 1.0 client that names a coding has its framing from elsewhere, or wants somebody to think so.
    if (version < 11) return bad("RFC 9112 6.1", "Transfer-Encoding in an HTTP/1.0 request");
    const chunked = endsChunked(codings, passedCodings);
    if (typeof chunked !== "boolean") return chunked;
    // RFC 9112 6.1, 6.3 rule 3: both lengths at once is how requests are smuggled past whoever reads the other one.
    if (chunked && lengths > 0) return bad("RFC 9112 6.3", "both Transfer-Encoding and Content-Length");
    if (chunked) return -1;
  }
  // RFC 9112 6.3 rule 7: neither of both, no body.
  if (lengths === 0) return 0;
  // RFC 9112 6.3 rule 5. It would allow equal values; a client that sends two has a reason we don't want to know.
  if (lengths > 1) return bad("RFC 9112 6.3", `repeated field "Content-Length"`);
  return parseLength(lengthText) ?? bad("RFC 9112 6.3", "invalid Content-Length");
}

/**
 * Is the body chunked? RFC 9112 6.3 rule 4: "chunked" must come last, once, and without parameters (7.1). False, if only
 * "identity" was named, which stands for nothing.
 */
function endsChunked(list: string, passedCodings: ReadonlySet<string>): boolean | ProtocolError {
  let last = "";
  for (const element of list.split(",")) {
    // Exactly SP and HTAB, never String.trim: it takes VT, FF, NEL and NBSP for white space, and other readers don't.
    const coding = trimBlanks(element).toLowerCase();
    if (last === "chunked") return bad("RFC 9112 6.1", "a transfer coding after chunked");
    if (!isTokenText(coding)) return bad("RFC 9112 6.1", "invalid Transfer-Encoding");
    // RFC 9112 6.1: 501 for a coding that the server does not know.
    if (coding !== "chunked" && !passedCodings.has(coding)) {
      return { status: 501, rule: "RFC 9112 6.1", detail: `transfer coding "${coding.slice(0, 40)}"` };
    }
    if (coding !== "identity") last = coding;
  }
  if (last === "chunked" || last === "") return last === "chunked";
  return bad("RFC 9112 6.3", "the final transfer coding is not chunked");
}

function trimBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** RFC 9110 8.6: 1*DIGIT and nothing else; undefined for what is none, or more than a number holds exactly (2^53 - 1). */
export function parseLength(text: string): number | undefined {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return text === "" ? undefined : length;
}

/**
 * How a response's body is delimited. "none": there is none, whatever its fields say. "tunnel": it is none, the connection
 * has left HTTP.
 */
export type ResponseFraming = "none" | "length" | "chunked" | "close" | "tunnel";

/**
 * RFC 9112 6.3, from the side that sends. `toHead`: the request was HEAD; `length`: the response's
 * Content-Length, if it has one.
 */
export function responseFraming(
  toHead: boolean,
  version: Version,
  status: number,
  length: number | undefined,
): ResponseFraming {
  // Rule 1.
  if (toHead || status === 204 || status === 304 || status < 200) return "none";
  if (length !== undefined) return "length";
  // RFC 9112 6.1: no coding towards a client that is not known to understand it.
  return version < 11 ? "close" : "chunked";
}

/** How a response that we receive ends. */
export interface ReceivedFraming {
  readonly framing: "none" | "length" | "chunked" | "close";
  /** Bytes of the body; -1: nobody knows before its end. */
  readonly length: number;
}

/**
 * RFC 9112 6.3, from the side that receives. Both lengths at once, or one of them twice, are an upstream that was made to
 * say what another upstream, or its client, wants: refused in any response. Returns what is wrong in Nginx's words.
 */
export function receivedFraming(headers: Headers, toHead: boolean, status: number): ReceivedFraming | string {
  const { names, values } = headers;
  let length = -1;
  let isChunked = false;
  let first = -1;
  for (let i = 0; i < names.length; i++) {
    const { lower } = names[i]!;
    if (lower !== "content-length" && lower !== "transfer-encoding") continue;
    if (first >= 0) return doubleFraming(headers, first, i);
    first = i;
    const value = values[i]!;
    if (lower === "content-length") {
      length = parseLength(value) ?? -1;
      if (length < 0) return `upstream sent invalid "Content-Length" header: "${show(headers, i)}"`;
    } else {
      // Other codings would have to be undone to see where the body ends (rule 4).
      if (value.toLowerCase() !== "chunked") return `upstream sent unknown "Transfer-Encoding": "${cut(value)}"`;
      isChunked = true;
    }
  }
  // Rule 1.
  if (toHead || status === 204 || status === 304) return { framing: "none", length: 0 };
  if (isChunked) return { framing: "chunked", length: -1 };
  return length < 0 ? untilClose : { framing: "length", length };
}

const untilClose: ReceivedFraming = { framing: "close", length: -1 };

function doubleFraming(headers: Headers, first: number, second: number): string {
  if (headers.names[first]!.lower !== headers.names[second]!.lower) {
    return 'upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time';
  }
  const previous = show(headers, first);
  return `upstream sent duplicate header line: "${show(headers, second)}", previous value: "${previous}"`;
}

const show = ({ names, values }: Headers, at: number): string => cut(`${names[at]!.raw}: ${values[at]}`);
// A line of the log has room for about this much of an upstream's text.
const cut = (text: string): string => text.slice(0, 800);

function bad(rule: string, detail: string): ProtocolError {
  return { status: 400, rule, detail };
}
