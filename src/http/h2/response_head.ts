/** From a header block's fields to a response: what RFC 9113 8.2 and 8.3.2 ask of them, each by itself and all together. */
import type { ResponseError } from "../client_engine.ts";
import { parseLength } from "../h1/framing.ts";
import { Headers } from "../headers.ts";
import { type Field, role } from "./field.ts";

/** What a block has become. */
export interface AssembledResponse {
  readonly status: number;
  readonly headers: Headers;
  /** What Content-Length says; -1: nothing. */
  readonly length: number;
}

const statusField = ":status";
const colon = 0x3a;

export function assembleResponse(fields: readonly Field[]): AssembledResponse | ResponseError {
  const headers = new Headers();
  let status = 0;
  let length = -1;
  for (const field of fields) {
    const { name, value } = field;
    if (name.text.charCodeAt(0) === colon) {
      if (name.text !== statusField)
        return bad("RFC 9113 8.3.2", `upstream sent unknown pseudo-header "${show(name.text)}"`);
      if (status !== 0) return bad("RFC 9113 8.3.2", "upstream sent duplicate :status header");
      if (headers.size > 0) return bad("RFC 9113 8.3", "upstream sent out of order pseudo-headers");
      if (!/^[1-9]\d\d$/.test(value)) return bad("RFC 9113 8.3.2", `upstream sent invalid :status "${show(value)}"`);
      status = Number(value);
      continue;
    }
    const wrong = wrongWith(field);
    if (wrong !== undefined) return wrong;
    if (name.role === role.contentLength) {
      const said = length < 0 ? parseLength(value) : undefined;
      if (said === undefined) return bad("RFC 9110 8.6", 'upstream sent invalid or duplicate "Content-Length" header');
      length = said;
    }
    headers.names.push(name.name);
    headers.values.push(value);
  }
  if (status === 0) return bad("RFC 9113 8.3.2", "upstream sent no :status header");
  // RFC 9113 8.6: there is nothing to switch to.
  if (status === 101) return bad("RFC 9113 8.6", "upstream switched protocols without being asked");
  return { status, headers, length };
}

/** The fields behind a body (RFC 9113 8.1). */
export function assembleResponseTrailers(fields: readonly Field[]): Headers | ResponseError {
  const trailers = new Headers();
  for (const field of fields) {
    const { name, value } = field;
    if (name.text.charCodeAt(0) === colon)
      return bad("RFC 9113 8.1", "upstream sent a pseudo-header among the trailers");
    const wrong = wrongWith(field);
    if (wrong !== undefined) return wrong;
    if (name.refusedAsTrailer) continue;
    trailers.names.push(name.name);
    trailers.values.push(value);
  }
  return trailers;
}

/** RFC 9113 8.2.1, 8.2.2 */
function wrongWith({ name, value, fault }: Field): ResponseError | undefined {
  if (name.role === role.invalid)
    return bad("RFC 9113 8.2.1", `upstream sent invalid header name: "${show(name.text)}"`);
  if (fault !== undefined)
    return bad("RFC 9113 8.2.1", `upstream sent header "${show(name.text)}" with invalid value: "${show(value)}"`);
  if (name.role === role.connection)
    return bad("RFC 9113 8.2.2", `upstream sent connection-specific header "${name.text}"`);
  return undefined;
}

const bad = (rule: string, detail: string): ResponseError => ({ rule, detail });
/** A line of the log has room for about this much of an upstream's text, and for no control characters. */
const show = (text: string): string => text.slice(0, 400).replace(/[\x00-\x1f\x7f]/g, "?");
