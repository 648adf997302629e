import { describe, expect, test } from "bun:test";
import { exchangeFor } from "../../tests/support/exchange.ts";
import { compileRegex } from "../config/regex.ts";
import { Headers } from "../http/headers.ts";
import { acceptsGzip, addVary, type GzipAcceptConf, namesGzip } from "./gzip_accept.ts";

const usual: GzipAcceptConf = {
  gzip_http_version: 11,
  gzip_proxied: ["off"],
  gzip_disable: { patterns: [], msie6: false },
  gzip_vary: false,
};

const asked = (headers: Record<string, string> = {}) =>
  exchangeFor("/", { headers: { "Accept-Encoding": "gzip", ...headers } });

describe("Accept-Encoding names gzip", () => {
  const yes = [
    "gzip",
    "GZIP",
    "gzip,deflate",
    "deflate, gzip",
    "br;q=1.0, gzip;q=0.8",
    "gzip;q=1",
    "gzip ; q=0.001",
    "gzip;",
  ];
  const no = [
    "",
    "deflate",
    "xgzip",
    "gzipx",
    "gzip;q=0",
    "gzip;q=0.000",
    "gzip;q=2",
    "gzip;q=0.1234",
    "gzip;x=1",
    "*",
  ];
  for (const value of yes) test(`yes: ${value}`, () => expect(namesGzip(value)).toBe(true));
  for (const value of no) test(`no: "${value}"`, () => expect(namesGzip(value)).toBe(false));
});

describe("gzip_proxied", () => {
  const via = asked({ Via: "1.1 proxy" });
  const allows = (rules: GzipAcceptConf["gzip_proxied"], ...fields: (readonly [string, string])[]) =>
    acceptsGzip(via, { ...usual, gzip_proxied: rules }, Headers.of(...fields));

  test("off is the default, any allows all", () => {
    expect(acceptsGzip(asked(), usual)).toBe(true);
    expect(acceptsGzip(via, usual)).toBe(false);
    expect(allows(["any"])).toBe(true);
  });

  test("by what the response says of caching", () => {
    expect(allows(["expired"], ["Expires", "Thu, 01 Jan 1970 00:00:01 GMT"])).toBe(true);
    expect(allows(["expired"], ["Expires", "Fri, 31 Dec 9999 23:59:59 GMT"])).toBe(false);
    expect(allows(["no-store"], ["Expires", "Thu, 01 Jan 1970 00:00:01 GMT"])).toBe(false);
    expect(allows(["no-cache"], ["Cache-Control", "max-age=1, No-Cache"])).toBe(true);
    expect(allows(["no-cache"], ["Cache-Control", "private"])).toBe(false);
    expect(allows(["no_last_modified"], ["Last-Modified", "x"])).toBe(false);
    expect(allows(["no_last_modified"], ["ETag", '"x"'])).toBe(true);
    expect(allows(["no_etag"], ["ETag", '"x"'])).toBe(false);
  });
});

test("gzip_disable", () => {
  const pattern = compileRegex("ancient/\\d", true);
  if (typeof pattern === "string") throw new Error(pattern);
  const conf: GzipAcceptConf = { ...usual, gzip_disable: { patterns: [pattern], msie6: true } };
  const accepts = (agent: string) => acceptsGzip(asked({ "User-Agent": agent }), conf);
  expect(accepts("Ancient/1")).toBe(false);
  expect(accepts("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)")).toBe(false);
  expect(accepts("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)")).toBe(true);
  expect(accepts("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.0)")).toBe(true);
  expect(accepts("Mozilla/5.0")).toBe(true);
});

test("Vary is said once, and only with gzip_vary", () => {
  const head = { status: 200, headers: Headers.of(["Vary", "Origin"]) };
  const reply = { head, body: { kind: "empty" } as const };
  addVary(reply, { gzip_vary: false });
  expect(head.headers.all("vary")).toEqual(["Origin"]);
  addVary(reply, { gzip_vary: true });
  addVary(reply, { gzip_vary: true });
  expect(head.headers.all("vary")).toEqual(["Origin", "Accept-Encoding"]);
});
