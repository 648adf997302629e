/** Response heads as text (RFC 9112 4 and 5). What this file lets out has no line end that it did not write itself. */
import type { FieldName, Headers } from "../headers.ts";
import type { ResponseHead } from "../message.ts";
import { classes, isTokenText, isValue } from "./classes.ts";
import { parseLength } from "./framing.ts";
import { reasons } from "./reasons.ts";

const statusLines: (string | undefined)[] = new Array(1000).fill(undefined);

/** RFC 9112 4. Always HTTP/1.1, whatever the client's version: it states what we are (RFC 9110 6.2). */
function statusLine({ status, reason }: ResponseHead): string {
  if (reason !== undefined && reason !== reasons[status]) {
    checkValue("reason phrase", reason);
    return `HTTP/1.1 ${checkStatus(status)} ${reason}`;
  }
  const known = statusLines[status];
  if (known !== undefined) return known;
  const line = `HTTP/1.1 ${checkStatus(status)} ${reasons[status] ?? ""}`;
  statusLines[status] = line;
  return line;
}

function checkStatus(status: number): number {
  if (!Number.isInteger(status) || status < 100 || status > 999) throw new Error(`invalid status ${status}`);
  return status;
}

/** A field name as it is written, behind the line before it. "engine": the engine alone decides about it, others' fields of that name are left out. */
interface OutgoingName {
  readonly raw: string;
  readonly prefix: string;
  readonly kind: "plain" | "length" | "engine";
}

// Names of responses come from applications, which could make one up per response: bounded, like names.ts.
const maxOutgoing = 1024;
const outgoing = new Map<FieldName, OutgoingName>();

// RFC 9110 7.6.1: they describe this connection, and whoever made the head does not know it.
const hopByHop = new Set(["connection", "transfer-encoding", "keep-alive", "proxy-connection", "upgrade", "te"]);

function outgoingName(name: FieldName): OutgoingName {
  const known = outgoing.get(name);
  if (known !== undefined) return known;
  if (!isTokenText(name.raw)) throw new Error(`invalid name of a response field: ${JSON.stringify(name.raw)}`);
  const kind = name.lower === "content-length" ? "length" : hopByHop.has(name.lower) ? "engine" : "plain";
  const made: OutgoingName = { raw: name.raw, prefix: `\r\n${name.raw}: `, kind };
  if (outgoing.size < maxOutgoing) outgoing.set(name, made);
  return made;
}

/**
 * A value with CR, LF or NUL would write fields, or a whole second response, for somebody else (CVE-2018-1000164).
 * Who lets it come here has a bug: it throws. Nothing above 0xFF either: it would be cut to some other byte.
 */
function checkValue(name: string, value: string): void {
  for (let i = 0; i < value.length; i++) {
    if (((classes[value.charCodeAt(i)] ?? 0) & isValue) === 0) {
      throw new Error(`invalid character in the ${name} of a response: ${JSON.stringify(value.slice(0, 80))}`);
    }
  }
}

/** Status line and fields, without the last line end. `withLength` false: a Content-Length is left out (RFC 9110 8.6). */
export function writeHead(head: ResponseHead, withLength: boolean): string {
  const { headers } = head;
  if (!withLength || !headers.shared) return statusLine(head) + writeFields(headers, withLength);
  headers.wire ??= writeFields(headers, true);
  return statusLine(head) + headers.wire;
}

/** Each begins with the end of the line before it. */
function writeFields({ names, values }: Headers, withLength: boolean): string {
  let text = "";
  for (let i = 0; i < names.length; i++) {
    const { raw, prefix, kind } = outgoingName(names[i]!);
    if (kind !== "plain" && (kind === "engine" || !withLength)) continue;
    const value = values[i]!;
    checkValue(raw, value);
    // Three parts, one piece of text: what a head costs is the number of its pieces.
    text = text + prefix + value;
  }
  return text;
}

let datedWith = "";
let datedBy = "";
let dated = "";

/**
 * The fields that an origin server adds to each response (RFC 9110 6.6.1, 10.2.4), unless the head has its own; the same
 * text for a whole second. A server without a name, `server` "", adds no Server, one without a clock, `date` "", nothing.
 */
export function writeOwnFields({ headers, undated }: ResponseHead, server: string, date: string): string {
  if (date === "") return "";
  const { names } = headers;
  let ownServer = server;
  let ownDate = undated === true ? "" : date;
  for (let i = 0; i < names.length; i++) {
    const { lower } = names[i]!;
    if (lower.length === 6 && lower === "server") ownServer = "";
    else if (lower.length === 4 && lower === "date") ownDate = "";
  }
  if (ownDate !== datedWith || ownServer !== datedBy) {
    checkValue("Server", ownServer);
    datedWith = ownDate;
    datedBy = ownServer;
    dated = ownServer === "" ? "" : `\r\nServer: ${ownServer}`;
    if (ownDate !== "") dated += `\r\nDate: ${ownDate}`;
  }
  return dated;
}

/** The protocol that a response with status 101 switches to (RFC 9110 7.8): here the head's word counts. */
export function writeUpgrade({ headers }: ResponseHead): string {
  const protocol = headers.get("upgrade");
  return protocol === undefined ? "\r\nConnection: upgrade" : writeOffer(protocol);
}

/** What could be spoken instead, a matter of this connection (RFC 9110 7.8). */
export function writeOffer(protocols: string): string {
  checkValue("Upgrade", protocols);
  return `\r\nUpgrade: ${protocols}\r\nConnection: upgrade`;
}

/** RFC 9112 7.1.2: the end of a chunked body, with its trailers. */
export const writeTrailers = (headers: Headers): string => `0${writeFields(headers, false)}\r\n\r\n`;

/** The Content-Length of a response, undefined if it has none; throws if it has two, or an invalid one. */
export function contentLength({ headers: { names, values } }: ResponseHead): number | undefined {
  let length: number | undefined;
  for (let i = 0; i < names.length; i++) {
    if (names[i]!.lower !== "content-length") continue;
    if (length !== undefined) throw new Error("repeated Content-Length in a response");
    length = parseLength(values[i]!);
    if (length === undefined) throw new Error(`invalid Content-Length in a response: ${JSON.stringify(values[i])}`);
  }
  return length;
}

/** RFC 9112 7.1: what stands before a chunk's bytes. */
export const chunkStart = (size: number): string => `${size.toString(16)}\r\n`;
export const chunkEnd = "\r\n";
export const lastChunk = "0\r\n\r\n";
