/** ngx_http_range_filter: parts of a content (RFC 9110 14). For replies whose maker offers it: they have `Accept-Ranges: bytes`. */
import { parseHttpDate } from "../../base/date.ts";
import type { Headers } from "../../http/headers.ts";
import { type Body, ownHeaders, type Reply } from "../../http/message.ts";
import { type ByteRange, contentRange, lengthOf, multipartBody, type SliceableBody, sliceBody } from "../byteranges.ts";
import { everywhere, number } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { type Filter, filter as filterAgain } from "../pipeline.ts";
import { replaceReply, setStatus } from "../reply.ts";

/** `maxRanges`: how many parts a request may have; undefined: as many as are less work than the whole. */
export function ranges(maxRanges: number | undefined): Filter {
  return (exchange, reply) => {
    const { request, parent } = exchange;
    const { head } = reply;
    if (parent !== undefined || reply.isJudged === true || head.headers.get("accept-ranges") !== "bytes") return;
    // Nobody may ask for parts of an error's page.
    if (head.status !== 200 || maxRanges === 0) ownHeaders(head).delete("accept-ranges");
    else if (request.method === "GET" && isCurrent(request.headers, head.headers))
      sendRanges(exchange, reply, maxRanges);
  };
}

/** RFC 9110 14.2: for GET alone, and where the whole would be the answer. */
function sendRanges(exchange: Exchange, reply: Reply, maxRanges: number | undefined): void {
  const asked = exchange.request.headers.get("range");
  const size = sizeOf(reply);
  const { body } = reply;
  if (asked === undefined || size === undefined || body.kind === "empty") return;
  const found = parseRanges(asked, size, maxRanges);
  if (found === "whole") return;
  const [first, second] = found;
  if (first === undefined) refuse(exchange, reply, size);
  else if (second === undefined) sendPart(reply, body, first, size);
  else if (body.kind !== "stream") sendParts(reply, body, found, size);
}

/** Bytes of the whole; undefined: nobody knows. */
function sizeOf({ head, body }: Reply): number | undefined {
  if (body.kind === "bytes") return body.bytes.length;
  if (body.kind === "file") return body.length;
  const given = head.headers.get("content-length");
  return given === undefined ? undefined : Number(given);
}

/** Its page passes the filters anew: what they have done to the whole is gone with it. */
function refuse(exchange: Exchange, reply: Reply, size: number): void {
  replaceReply(reply, errorReply(416, ["Content-Range", `bytes */${size}`]));
  delete reply.trailers;
  delete reply.head.chunked;
  filterAgain(exchange, reply);
}

function sendPart(reply: Reply, body: Exclude<Body, { kind: "empty" }>, part: ByteRange, size: number): void {
  setStatus(reply.head, 206);
  const headers = ownHeaders(reply.head);
  headers.set("Content-Length", String(lengthOf(part)));
  headers.set("Content-Range", contentRange(part, size));
  headers.delete("accept-ranges");
  reply.body = sliceBody(body, part);
}

function sendParts(reply: Reply, body: SliceableBody, parts: readonly ByteRange[], size: number): void {
  setStatus(reply.head, 206);
  const headers = ownHeaders(reply.head);
  const made = multipartBody(body, parts, { size, type: headers.get("content-type") });
  headers.set("Content-Length", String(made.length));
  headers.set("Content-Type", `multipart/byteranges; boundary=${made.boundary}`);
  headers.delete("content-range");
  headers.delete("accept-ranges");
  reply.body = made.body;
}

/** If-Range (RFC 9110 13.1.5): the client has other parts of this very content. A weak tag does not prove it. */
function isCurrent(asked: Headers, has: Headers): boolean {
  const validator = asked.get("if-range");
  if (validator === undefined) return true;
  if (validator.startsWith('"')) return validator === has.get("etag");
  const date = has.get("last-modified");
  if (date === undefined) return false;
  if (validator === date) return true;
  const seconds = parseHttpDate(validator);
  return seconds !== undefined && seconds === parseHttpDate(date);
}

const form = /^bytes=(.+)$/i;
const intRange = /^(\d+)-(\d*)$/;
const suffixRange = /^-(\d+)$/;

/** What a part costs besides its bytes, and how much of it is no matter. */
const partBytes = 256;
const freeBytes = 4096;

/**
 * The parts that a Range field names of a content of `size` bytes, as they were asked for; none: 416 (also for what is no
 * range at all, as Nginx answers). "whole": an unknown unit, more than `most` parts, or a request that is cheaper to answer so
 * (RFC 9110 14.2; CVE-2011-3192).
 */
export function parseRanges(text: string, size: number, most?: number): readonly ByteRange[] | "whole" {
  const set = form.exec(text)?.[1];
  if (set === undefined || size === 0) return "whole";
  const found: ByteRange[] = [];
  let total = 0;
  for (const spec of set.split(",")) {
    const trimmed = spec.trim();
    // RFC 9110 5.6.1.2: empty elements do not count.
    if (trimmed === "") continue;
    const part = parseRange(trimmed, size);
    if (part === "invalid") return [];
    if (part === undefined) continue;
    if (found.length === most) return "whole";
    found.push(part);
    total += lengthOf(part);
  }
  if (found.length < 2) return found;
  if (total > size || (most === undefined && total + found.length * partBytes > size + freeBytes)) return "whole";
  return found;
}

/** undefined: beyond the end. */
function parseRange(spec: string, size: number): ByteRange | undefined | "invalid" {
  const suffix = suffixRange.exec(spec)?.[1];
  if (suffix !== undefined) {
    const length = Number(suffix);
    return length === 0 ? undefined : { first: Math.max(size - length, 0), last: size - 1 };
  }
  const [, from, to] = intRange.exec(spec) ?? [];
  if (from === undefined) return "invalid";
  const first = Number(from);
  const last = to === undefined || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < first) return "invalid";
  return first >= size ? undefined : { first, last };
}

/** Without a limit of the configuration's. */
export const range: Filter = ranges(undefined);

export const rangeModule = defineModule({
  name: "range",
  directives: {
    max_ranges: number({
      contexts: everywhere,
      initial: undefined,
      summary:
        "How many parts of a content a request may ask for; 0: none. Without it, as many as cost less than the whole.",
    }),
  },
  compile: ({ max_ranges }) => ({ fileFilter: max_ranges === undefined ? range : ranges(max_ranges) }),
});
