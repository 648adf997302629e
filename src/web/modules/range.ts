/** Filter: parts of a content (RFC 9110 14). For replies whose maker offers it: they have `Accept-Ranges: bytes`. */
import { parseHttpDate } from "../../base/date.ts";
import type { Headers } from "../../http/headers.ts";
import { ownHeaders, type Reply } from "../../http/message.ts";
import { type ByteRange, contentRange, lengthOf, multipartBody, type SliceableBody, sliceBody } from "../byteranges.ts";
import { errorReply } from "../error_page.ts";
import { defineModule } from "../module.ts";
import type { Filter } from "../pipeline.ts";
import { replaceReply } from "../reply.ts";

// Readers of PDF files ask for a few dozen parts at once. More are more work than the whole (CVE-2011-3192).
const maxRanges = 64;

export const range: Filter = ({ request, parent }, reply) => {
  if (parent !== undefined) return;
  const asked = request.headers.get("range");
  if (asked === undefined) return;
  const { head, body } = reply;
  // RFC 9110 14.2: for GET alone, and where the whole would be the answer.
  if (request.method !== "GET" || head.status !== 200 || head.headers.get("accept-ranges") !== "bytes") return;
  if ((body.kind !== "bytes" && body.kind !== "file") || !isCurrent(request.headers, head.headers)) return;
  const size = body.kind === "bytes" ? body.bytes.length : body.length;
  const ranges = parseRanges(asked, size);
  if (ranges === "whole") return;
  const [first, second] = ranges;
  if (first === undefined) replaceReply(reply, errorReply(416, ["Content-Range", `bytes */${size}`]));
  else if (second === undefined) sendPart(reply, body, first, size);
  else sendParts(reply, body, ranges, size);
};

function sendPart(reply: Reply, body: SliceableBody, part: ByteRange, size: number): void {
  reply.head.status = 206;
  const headers = ownHeaders(reply.head);
  headers.set("Content-Length", String(lengthOf(part)));
  headers.add("Content-Range", contentRange(part, size));
  reply.body = sliceBody(body, part);
}

function sendParts(reply: Reply, body: SliceableBody, ranges: readonly ByteRange[], size: number): void {
  reply.head.status = 206;
  const headers = ownHeaders(reply.head);
  const parts = multipartBody(body, ranges, { size, type: headers.get("content-type") });
  headers.set("Content-Length", String(parts.length));
  headers.set("Content-Type", `multipart/byteranges; boundary=${parts.boundary}`);
  reply.body = parts.body;
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

const form = /^bytes=(.*)$/i;
const intRange = /^(\d+)-(\d*)$/;
const suffixRange = /^-(\d+)$/;

/**
 * The parts that a Range field names of a content of `size` bytes, as they were asked for; none: 416 (also for what is no
 * range at all, as Nginx answers). "whole": an unknown unit, or a request that is cheaper to answer so (RFC 9110 14.2).
 */
export function parseRanges(text: string, size: number): readonly ByteRange[] | "whole" {
  const set = form.exec(text)?.[1];
  if (set === undefined || size === 0) return "whole";
  const specs = set.split(",", 2 * maxRanges);
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const trimmed = spec.trim();
    // RFC 9110 5.6.1.2: empty elements do not count.
    if (trimmed === "") continue;
    const found = parseRange(trimmed, size);
    if (found === "invalid") return [];
    if (found !== undefined) ranges.push(found);
  }
  return ranges.length > maxRanges || specs.length === 2 * maxRanges || overlap(ranges) ? "whole" : ranges;
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

// Without overlap all parts together are no more than the whole.
function overlap(ranges: readonly ByteRange[]): boolean {
  if (ranges.length < 2) return false;
  const sorted = [...ranges].sort((a, b) => a.first - b.first);
  return sorted.some(({ first }, i) => first <= (sorted[i - 1]?.last ?? -1));
}

export const rangeModule = defineModule({ name: "range", directives: {}, compile: () => ({ filter: range }) });
