/** ngx_http_split_clients_module */
import { expect, test } from "bun:test";
import { murmurHash2 } from "../../src/base/murmur_hash.ts";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  split_clients $arg_a $half { 50% low; * high; }
  split_clients $arg_a $some { 0.05% rare; 12.5% some; }
  server { listen 127.0.0.1:PORT; return 200 "$half <$some>"; }`,
);

const largest = 0xffffffff;

test("the hash of a string decides, share by share", async () => {
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) {
    const hash = murmurHash2(`client ${i}`.replace(" ", "-"));
    const half = hash < Math.floor(largest / 2) ? "low" : "high";
    const some = hash < largest * 0.0005 ? "rare" : hash < largest * 0.1255 ? "some" : "";
    expect(bodyOf(await site.get(`/?a=client-${i}`))).toBe(`${half} <${some}>`);
    seen.add(half).add(some);
  }
  expect([...seen].sort()).toEqual(["", "high", "low", "some"]);
});

test.each([
  ["split_clients $uri x { * 1; }", 'invalid variable name "x"'],
  ["split_clients $uri $x { 60% 1; 50% 2; }", "percent total is greater than 100%"],
  ["split_clients $uri $x { 100% 1; * 2; }", undefined],
  ["split_clients $uri $x { 0% 1; }", 'invalid percent value "0%"'],
  ["split_clients $uri $x { 1.234% 1; }", 'invalid percent value "1.234%"'],
  ["split_clients $uri $x { ten 1; }", 'invalid percent value "ten"'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
