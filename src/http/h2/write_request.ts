/** Request heads into header blocks (RFC 9113 8.3.1). */
import type { ClientHead } from "../client_engine.ts";
import { isBlank, isTokenText, isValueText, withoutControls } from "../h1/classes.ts";
import type { PassedFields } from "../h1/write_request.ts";
import type { Headers } from "../headers.ts";
import { fieldOverhead, type HpackEncoder, outName } from "./hpack_encoder.ts";

/** A request for an upstream. Fields that HTTP/2 has no place for are left out, whoever names them (RFC 9113 8.2.2). */
export interface H2RequestHead extends ClientHead {
  readonly scheme: "http" | "https";
  /** "": there is none; Host may say it. */
  readonly authority: string;
  readonly path: string;
  /** Sent in this order; Content-Length is left out, because `bodyLength` decides about it. */
  readonly headers: Headers;
  /** Behind them: those of a client's list that are passed on. */
  readonly passed?: PassedFields | undefined;
}

/** Pseudo-headers' names, a Content-Length, and changes of the table's size. */
const fixedRoom = 160;

const roomOf = ({ names, values }: Headers): number => {
  let room = 0;
  for (let i = 0; i < names.length; i++) room += names[i]!.raw.length + values[i]!.length + fieldOverhead;
  return room;
};

/** What its block takes at most, bytes. */
export function requestRoom({ method, authority, path, headers, passed }: H2RequestHead): number {
  const room = fixedRoom + method.length + authority.length + path.length + roomOf(headers);
  return passed === undefined ? room : room + roomOf(passed.headers);
}

/** Throws where a method, path or field cannot be sent; variables in a configuration can lead to that. */
export function encodeRequest(encoder: HpackEncoder, head: H2RequestHead): void {
  const { method, scheme, authority, path, headers, passed, bodyLength } = head;
  if (!isTokenText(method)) throw new Error(`invalid method of a request: ${JSON.stringify(method.slice(0, 80))}`);
  if (path === "" || !isValueText(path) || path.includes("\t"))
    throw new Error(`invalid target of a request: ${JSON.stringify(path.slice(0, 80))}`);
  encoder.pseudo("method", method);
  encoder.pseudo("scheme", scheme);
  encoder.pseudo("path", path);
  if (authority !== "") encoder.pseudo("authority", authority);
  if (bodyLength !== undefined && bodyLength >= 0) encoder.field(contentLength, String(bodyLength));
  encodeFields(encoder, headers, noNames, asItIs);
  if (passed !== undefined) encodeFields(encoder, passed.headers, passed.hidden, withoutControls);
}

const contentLength = outName({ raw: "content-length", lower: "content-length", key: "", listed: "" });
const noNames: ReadonlySet<string> = new Set();

const asItIs = (value: string): string => value;

function encodeFields(
  encoder: HpackEncoder,
  { names, values }: Headers,
  hidden: ReadonlySet<string>,
  cleaned: (value: string) => string,
): void {
  for (let i = 0; i < names.length; i++) {
    const { lower } = names[i]!;
    if (lower === "content-length" || hidden.has(lower)) continue;
    const value = trimmed(cleaned(values[i]!));
    // RFC 9113 8.2.2
    if (lower === "te" && value.toLowerCase() !== "trailers") continue;
    encoder.field(outName(names[i]!), value);
  }
}

/** RFC 9113 8.2.1: no white space around a value. */
function trimmed(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && isBlank(value.charCodeAt(from))) from++;
  while (to > from && isBlank(value.charCodeAt(to - 1))) to--;
  return from === 0 && to === value.length ? value : value.slice(from, to);
}
