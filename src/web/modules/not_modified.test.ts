import { describe, expect, test } from "bun:test";
import { exchangeFor } from "../../../tests/support/exchange.ts";
import { Headers } from "../../http/headers.ts";
import type { Body, Reply } from "../../http/message.ts";
import { notModified, preconditions } from "./not_modified.ts";

const tag = '"6632176e-6"';
const date = "Wed, 01 May 2024 10:20:30 GMT";
const earlier = "Wed, 01 May 2024 10:20:29 GMT";
const later = "Wed, 01 May 2024 10:20:31 GMT";

const fields: Readonly<Record<string, string>> = {
  "Content-Type": "text/css; charset=utf-8",
  "Content-Length": "6",
  "Content-Encoding": "br",
  "Last-Modified": date,
  ETag: tag,
  Vary: "Accept-Encoding",
  "Cache-Control": "max-age=60",
  "Accept-Ranges": "bytes",
};

function replyOf({
  without,
  ...changed
}: {
  without?: string;
  etag?: string;
  status?: number;
  body?: Body;
} = {}): Reply {
  const headers = Headers.of(...Object.entries(fields));
  headers.shared = true;
  const own = headers.copy();
  if (without !== undefined) own.delete(without);
  if (changed.etag !== undefined) own.set("ETag", changed.etag);
  return {
    head: { status: changed.status ?? 200, headers: own },
    body: changed.body ?? { kind: "bytes", bytes: Buffer.from("body{}") },
  };
}

function statusFor(headers: Record<string, string>, reply = replyOf(), filter = notModified, method = "GET"): number {
  expect(filter(exchangeFor("/x", { method, headers }), reply)).toBeUndefined();
  return reply.head.status;
}

describe("If-None-Match (RFC 9110 13.1.2)", () => {
  test.each([
    [tag, 304],
    [`W/${tag}`, 304],
    ["*", 304],
    [`"a", ${tag}`, 304],
    [`"a,b" ,W/${tag},"c"`, 304],
    ['"6632176e-7"', 200],
    ["6632176e-6", 200],
    [`"x${tag.slice(1)}`, 200],
    ["", 200],
    ['"', 200],
  ])("%p gets %d", (list, status) => {
    expect(statusFor({ "If-None-Match": list })).toBe(status);
    expect(statusFor({ "If-None-Match": list }, replyOf(), notModified, "HEAD")).toBe(status);
  });

  test("compares weak tags", () => {
    expect(statusFor({ "If-None-Match": '"a"' }, replyOf({ etag: 'W/"a"' }))).toBe(304);
    expect(statusFor({ "If-None-Match": 'W/"a"' }, replyOf({ etag: 'W/"a"' }))).toBe(304);
  });

  test("makes If-Modified-Since not count", () => {
    expect(statusFor({ "If-None-Match": '"other"', "If-Modified-Since": date })).toBe(200);
    expect(statusFor({ "If-None-Match": tag, "If-Modified-Since": earlier })).toBe(304);
  });
});

describe("If-Modified-Since (RFC 9110 13.1.3)", () => {
  test.each([
    [date, 304, 304],
    ["Wednesday, 01-May-24 10:20:30 GMT", 304, 304],
    ["Wed May  1 10:20:30 2024", 304, 304],
    [later, 200, 304],
    [earlier, 200, 200],
    ["yesterday", 200, 200],
    ["", 200, 200],
  ])("%p gets %d if exact, %d if before", (since, exact, before) => {
    expect(statusFor({ "If-Modified-Since": since })).toBe(exact);
    expect(statusFor({ "If-Modified-Since": since }, replyOf(), preconditions("before"))).toBe(before);
  });

  test("means nothing to a reply without a date", () => {
    expect(statusFor({ "If-Modified-Since": date }, replyOf({ without: "last-modified" }))).toBe(200);
  });
});

describe("If-Match (RFC 9110 13.1.1)", () => {
  test.each([
    [tag, 200],
    ["*", 200],
    [`"a", ${tag}`, 200],
    [`W/${tag}`, 412],
    ['"other"', 412],
    ["nonsense", 412],
  ])("%p gets %d", (list, status) => {
    expect(statusFor({ "If-Match": list })).toBe(status);
  });

  test("never matches a weak tag, nor none", () => {
    expect(statusFor({ "If-Match": 'W/"a"' }, replyOf({ etag: 'W/"a"' }))).toBe(412);
    expect(statusFor({ "If-Match": tag }, replyOf({ without: "etag" }))).toBe(412);
  });

  test("comes first, and makes If-Unmodified-Since not count (13.2.2)", () => {
    expect(statusFor({ "If-Match": tag, "If-Unmodified-Since": earlier })).toBe(200);
    expect(statusFor({ "If-Match": '"other"', "If-None-Match": tag })).toBe(412);
    expect(statusFor({ "If-Match": tag, "If-None-Match": tag })).toBe(304);
  });
});

test.each([
  [date, 200],
  [later, 200],
  [earlier, 412],
  ["nonsense", 200],
])("If-Unmodified-Since %p gets %d (RFC 9110 13.1.4)", (since, status) => {
  expect(statusFor({ "If-Unmodified-Since": since })).toBe(status);
});

test("a 304 has the fields that a cache needs and no content (RFC 9110 15.4.5)", () => {
  const reply = replyOf();
  const before = reply.head.headers;
  statusFor({ "If-None-Match": tag }, reply);
  expect(reply.body).toEqual({ kind: "empty" });
  expect(reply.head.headers.names.map(({ raw }) => raw)).toEqual(["Last-Modified", "ETag", "Vary", "Cache-Control"]);
  expect(before.size).toBe(Object.keys(fields).length);
});

test("a file that is not sent is released", () => {
  let released = 0;
  const file = { fd: -1, release: () => void released++ };
  for (const headers of [{ "If-None-Match": tag }, { "If-Match": '"other"' }])
    statusFor(headers, replyOf({ body: { kind: "file", file, offset: 0, length: 6 } }));
  expect(released).toBe(2);
});

test("other replies and methods pass", () => {
  expect(statusFor({ "If-None-Match": "*" }, replyOf({ status: 404 }))).toBe(404);
  expect(statusFor({ "If-None-Match": tag }, replyOf(), notModified, "POST")).toBe(200);
  expect(statusFor({ "If-Match": '"other"' }, replyOf(), notModified, "PUT")).toBe(200);
  const source = { pull: () => {}, cancel: () => {} };
  expect(statusFor({ "If-None-Match": tag }, replyOf({ body: { kind: "stream", source } }))).toBe(304);
  expect(statusFor({ "If-None-Match": tag }, { ...replyOf(), isJudged: true })).toBe(200);
  const streamed = replyOf({ body: { kind: "stream", source } });
  streamed.head.headers = streamed.head.headers.copy();
  streamed.head.headers.delete("accept-ranges");
  expect(statusFor({ "If-None-Match": tag }, streamed)).toBe(200);
  expect(statusFor({ Accept: "*/*", Referer: "x", If: "x" })).toBe(200);
});
