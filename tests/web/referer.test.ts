/** ngx_http_referer_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    server_name localhost www.here.example *.own.example "~^re\\d+\\.example$";
    valid_referers ~//unused;
    location / { return 200 "<$invalid_referer>"; }
    location /none { valid_referers none blocked a.example; return 200 "<$invalid_referer>"; }
    location /hosts { valid_referers a.example *.b.example c.* .d.example e.example/dir/ ~\\.search\\.; return 200 "<$invalid_referer>"; }
    location /own { valid_referers server_names; return 200 "<$invalid_referer>"; }
    location /if { valid_referers a.example; if ($invalid_referer) { return 403; } return 200 good; }
    location /set { valid_referers a.example; set $invalid_referer x; return 200 "<$invalid_referer>"; }
  }`,
);

const verdict = async (path: string, referer?: string): Promise<string> =>
  bodyOf(await site.get(path, ...(referer === undefined ? [] : [`Referer: ${referer}`])));

test.each([
  ["/none", undefined, true],
  ["/none", "a text", true],
  ["/none", "http://a.example/x", true],
  ["/none", "http://b.example/x", false],
  ["/hosts", undefined, false],
  ["/hosts", "a text", false],
  ["/hosts", "https://A.example:8080/x", true],
  ["/hosts", "http://x.a.example/", false],
  ["/hosts", "http://x.b.example/", true],
  ["/hosts", "http://b.example/", false],
  ["/hosts", "http://c.org/", true],
  ["/hosts", "http://d.example/", true],
  ["/hosts", "http://x.d.example/", true],
  ["/hosts", "http://e.example/dir/file", true],
  ["/hosts", "http://e.example/", false],
  ["/hosts", "http://www.Search.org/", true],
  ["/hosts", `http://${"a".repeat(300)}.example/`, false],
  ["/own", "http://www.here.example/", true],
  ["/own", "http://x.own.example/", true],
  ["/own", "http://re42.example/", true],
  ["/own", "http://rex.example/", false],
])("%s from %s", async (path, referer, valid) => {
  expect(await verdict(path, referer)).toBe(valid ? "<>" : "<1>");
});

test("as a condition, and set by hand", async () => {
  expect(await verdict("/if", "http://a.example/")).toBe("good");
  expect(await site.get("/if")).toStartWith("HTTP/1.1 403 ");
  expect(await verdict("/set")).toBe("<x>");
});

test.each([
  [
    "valid_referers none;",
    'the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer',
  ],
  ["valid_referers a..b;", 'invalid hostname or wildcard "a..b"'],
  ["valid_referers a*b;", 'invalid hostname or wildcard "a*b"'],
  ["valid_referers a.b A.B/x;", 'conflicting parameter "A.B"'],
  ["valid_referers ~;", 'empty regex in "~"'],
  ['valid_referers "";', 'invalid referer ""'],
  ["referer_hash_max_size 1024; referer_hash_bucket_size 64;", undefined],
])("%s", (server, fault) => {
  expect(faultOf(`server { ${server} }`)).toBe(fault);
});
