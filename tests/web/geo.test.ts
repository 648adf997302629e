/** ngx_http_geo_module */
import { expect, test } from "bun:test";
import { faultOf, warningsOf } from "../support/configuration.ts";
import { bodyOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  geo $client { default other; 127.0.0.0/8 loopback; }
  geo $arg_ip $network {
    default other;
    192.0.2.0/24 wide;
    192.0.2.128/25 narrow;
    192.0.2.200 one;
    198.51.100.0/24 gone;
    delete 198.51.100.0/24;
    2001:db8::/32 six;
    255.255.255.255 nobody;
  }
  geo $arg_ip $unset { 192.0.2.1 x; }
  geo $arg_ip $range {
    ranges;
    default other;
    192.0.2.0-192.0.2.255 wide;
    192.0.2.10-192.0.2.20 narrow;
    10.0.0.0-10.255.255.255 gone;
    delete 10.0.0.0-10.255.255.255;
  }
  geo $forwarded { default other; proxy 127.0.0.1; 192.0.2.1 one; 192.0.2.2 two; }
  geo $recursive { default other; proxy 127.0.0.1; proxy 192.0.2.2; proxy_recursive; 192.0.2.1 one; 192.0.2.2 two; }
  server {
    listen 127.0.0.1:PORT;
    location /client { return 200 $client; }
    location /network { return 200 $network; }
    location /unset { return 200 "<$unset>"; }
    location /range { return 200 $range; }
    location /forwarded { return 200 "$forwarded $recursive"; }
  }`,
);

const answer = async (target: string, ...fields: string[]): Promise<string> =>
  bodyOf(await site.get(target, ...fields));

test("the client's address", async () => {
  expect(await answer("/client")).toBe("loopback");
});

test.each([
  ["192.0.2.1", "wide"],
  ["192.0.2.129", "narrow"],
  ["192.0.2.200", "one"],
  ["192.0.3.1", "other"],
  ["198.51.100.1", "other"],
  ["2001:db8::1", "six"],
  ["::ffff:192.0.2.200", "one"],
  ["2001:db9::1", "other"],
  ["nonsense", "nobody"],
  ["", "nobody"],
])("the narrowest network of an address in a variable: %s", async (ip, value) => {
  expect(await answer(`/network?ip=${ip}`)).toBe(value);
});

test("without a default the value is empty", async () => {
  expect(await answer("/unset?ip=192.0.2.2")).toBe("<>");
});

test.each([
  ["192.0.2.9", "wide"],
  ["192.0.2.10", "narrow"],
  ["192.0.2.20", "narrow"],
  ["192.0.2.21", "wide"],
  ["10.1.2.3", "other"],
  ["2001:db8::1", "other"],
])("ranges: %s", async (ip, value) => {
  expect(await answer(`/range?ip=${ip}`)).toBe(value);
});

test("who a trusted proxy forwards for", async () => {
  expect(await answer("/forwarded")).toBe("other other");
  expect(await answer("/forwarded", "X-Forwarded-For: 192.0.2.1")).toBe("one one");
  expect(await answer("/forwarded", "X-Forwarded-For: 192.0.2.1, 192.0.2.2")).toBe("two one");
  expect(await answer("/forwarded", "X-Forwarded-For: 192.0.2.1:80", "X-Forwarded-For: 192.0.2.2")).toBe("two one");
  expect(await answer("/forwarded", "X-Forwarded-For: 192.0.2.1, unknown, 192.0.2.2")).toBe("two two");
});

test.each([
  ["geo x { }", 'invalid variable name "x"'],
  ["geo $x { a b c; }", "invalid number of the geo parameters"],
  ["geo $x { a b; }", 'invalid network "a"'],
  ["geo $x { proxy a; }", 'invalid network "a"'],
  ["geo $x { default 1; ranges; }", 'the "ranges" directive must be the first directive inside "geo" block'],
  ["geo $x { ranges; 192.0.2.1 1; }", 'invalid range "192.0.2.1"'],
  [
    "geo $x { ranges; 192.0.2.0-192.0.2.9 1; 192.0.2.5-192.0.2.20 2; }",
    'range "192.0.2.5-192.0.2.20" overlaps "192.0.2.0-192.0.2.9"',
  ],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});

test.each([
  ["geo $x { 192.0.2.1/24 1; }", "low address bits of 192.0.2.1/24 are meaningless"],
  ["geo $x { 192.0.2.1 1; 192.0.2.1 2; }", 'duplicate network "192.0.2.1", value: "2", old value: "1"'],
  ["geo $x { delete 192.0.2.1; }", 'no network "192.0.2.1" to delete'],
  ["geo $x { ranges; default 1; default 2; }", 'duplicate default geo range value: "2", old value: "1"'],
  ["geo $x { ranges; delete 192.0.2.1-192.0.2.2; }", 'no address range "192.0.2.1-192.0.2.2" to delete'],
])("a warning: %s", (http, warning) => {
  expect(warningsOf(http)).toEqual([warning]);
});
