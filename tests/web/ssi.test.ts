/** ngx_http_ssi_module */
import { afterAll, expect, test } from "bun:test";
import { fieldOf, testSite } from "../support/site.ts";

const failed = "[an error occurred while processing the directive]";

/** Pages by name, and what they become. */
const pages: Readonly<Record<string, readonly [page: string, expected: string]>> = {
  echo: [
    '<!--#echo var="http_a" -->|<!--#echo var="arg_c" default="d" -->|<!--#echo var="none" -->',
    "&lt;&gt;|d|(none)",
  ],
  // An encoding holds for those that follow.
  encoding: [
    '<!--#echo var="http_a" encoding="url" -->|<!--#echo var="http_a" -->|<!--#echo var="http_a" encoding="none" -->',
    "%3C%3E|%3C%3E|<>",
  ],
  set: ['<!--#set var="x" value="[$http_a]\\$x" --><!--#echo var="x" encoding="none" -->', "[<>]$x"],
  include: ['a<!--#include virtual="/part.html?x=1" -->b<!--#include file="part.html" -->c', "a(part 1)b(part )c"],
  relative: ['<!--#include virtual="part.html" -->', "(part )"],
  escaped: ['<!--#include virtual="/pa%72t.html" -->', "(part )"],
  missing: ['a<!--#include virtual="/none" -->b', "asorryb"],
  unsafe: ['<!--#include virtual="/a/../part.html" -->', failed],
  wait: ['<!--#include virtual="/part.html" wait="yes" --><!--#echo var="inside" -->', "(part )seen"],
  into: ['<!--#include virtual="/text?x=5" set="v" -->v=<!--#echo var="v" -->', "v=text 5"],
  failed: ['<!--#include virtual="/none" set="v" -->v=<!--#echo var="v" -->', "v="],
  if: [
    '<!--#if expr="$http_a" -->yes<!--#else -->no<!--#endif -->' +
      '<!--#if expr="$arg_b" -->yes<!--#elif expr="$http_a = <>" -->elif<!--#else -->no<!--#endif -->' +
      '<!--#if expr="$http_a != x" -->yes<!--#endif -->',
    "yeselifyes",
  ],
  nested: [
    '<!--#if expr="$arg_b" -->1<!--#if expr="$http_a" -->2<!--#else -->3<!--#endif -->4<!--#else -->5' +
      '<!--#if expr="$http_a" -->6<!--#else -->7<!--#endif -->8<!--#endif -->9',
    "5689",
  ],
  regex: [
    '<!--#if expr="$uri = /^.(r)(?P<rest>.*)\\.html\\$/" --><!--#echo var="1" --> <!--#echo var="rest" --><!--#endif -->',
    "r egex",
  ],
  stub: [
    '<!--#block name="b" --><b><!--#echo var="arg_x" --></b><!--#endblock -->' +
      '<!--#include virtual="/none?x=3" stub="b" --><!--#include virtual="/empty.html" stub="b" -->' +
      '<!--#include virtual="/part.html" stub="b" -->',
    "<b>3</b><b>(none)</b>(part )",
  ],
  errmsg: ['<!--#config errmsg="oops" --><!--#nothing -->', "oops"],
  timefmt: ['<!--#config timefmt="%Y%%" --><!--#echo var="date_gmt" -->', `${new Date().getUTCFullYear()}%`],
  broken: [
    '<!--#echo var=x -->|<!--#echo -->|<!--#echo var="x" var="y" -->|<!--#endif -->',
    Array(4).fill(failed).join("|"),
  ],
  unfinished: ["a<!--#echo", "a"],
  cycle: ['.<!--#include virtual="/cycle.html" -->', ".".repeat(51) + failed],
  silent: ["a<!--#nothing -->b", "ab"],
};

/** /second lets /first be answered. */
let secondAsked = Promise.withResolvers<void>();
const asked: string[] = [];
const upstream = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch({ url }) {
    const { pathname } = new URL(url);
    asked.push(pathname);
    if (pathname === "/second") secondAsked.resolve();
    if (pathname === "/first") await secondAsked.promise;
    return new Response(pathname);
  },
});
afterAll(() => upstream.stop(true));

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    ssi on;
    ssi_value_length 255;
    error_page 404 /sorry;
    location / { }
    location /part.html { default_type text/html; return 200 '(part $arg_x)<!--#set var="inside" value="seen" -->'; }
    location /text { return 200 "text $arg_x"; }
    location /sorry { return 200 sorry; }
    location /silent.html { ssi_silent_errors on; }
    location /types/ { alias DIR/html/; ssi_types text/plain; }
    location /dated/ { alias DIR/html/; ssi_last_modified on; }
    location /up/ { proxy_pass http://127.0.0.1:${upstream.port}/; }
    location /small { subrequest_output_buffer_size 10; return 200 "eleven char"; }
    location /date { default_type text/plain; add_header X-Date $date_gmt; return 200 x; }
  }`,
  {
    ...Object.fromEntries(Object.entries(pages).map(([name, [page]]) => [`${name}.html`, page])),
    "empty.html": "",
    "page.txt": '<!--#echo var="none" -->',
    "plain.html": "plain",
    "large.html": `${"x".repeat(100_000)}<!--#include virtual="/plain.html" -->`.repeat(5),
    "many.html": '<!--#include virtual="/plain.html" -->'.repeat(500),
    "together.html": '<!--#include virtual="/up/first" -->|<!--#include virtual="/up/second" -->',
    "in_turn.html": '<!--#include virtual="/up/a" wait="yes" -->|<!--#include virtual="/up/b" -->',
    "big.html": 'a<!--#include virtual="/small" set="v" -->',
  },
);

const text = async (target: string): Promise<string> =>
  (await fetch(site.server.url(target), { headers: { A: "<>" } })).text();

for (const [name, [, expected]] of Object.entries(pages))
  test(name, async () => {
    expect(await text(`/${name}.html?b=`)).toBe(expected);
  });

test("HTML always, other types if they are named", async () => {
  expect(await text("/page.txt")).toStartWith("<!--#");
  expect(await text("/types/page.txt")).toBe("(none)");
});

test("pages of many pieces, and of many includes", async () => {
  expect(await text("/large.html")).toBe(`${"x".repeat(100_000)}plain`.repeat(5));
  expect(await text("/many.html")).toBe("plain".repeat(500));
});

test("responses that nothing waits for are asked for together, and shown in order", async () => {
  secondAsked = Promise.withResolvers();
  expect(await text("/together.html")).toBe("/first|/second");
});

test("… others in turn", async () => {
  asked.length = 0;
  expect(await text("/in_turn.html")).toBe("/a|/b");
  expect(asked).toEqual(["/a", "/b"]);
});

test("a page has no length, no date and no tag, unless it keeps the date", async () => {
  const response = await site.get("/plain.html");
  for (const name of ["content-length", "last-modified", "etag", "accept-ranges"])
    expect(fieldOf(response, name)).toBeUndefined();
  const dated = await site.get("/dated/plain.html");
  expect(fieldOf(dated, "last-modified")).toBeDefined();
  expect(fieldOf(dated, "etag")).toStartWith('W/"');
});

test("what is too large for a variable fails the whole page", async () => {
  expect(await site.get("/big.html")).toBe("");
  await site.server.logged(/too big subrequest response: 11/);
});

test("dates outside of pages", async () => {
  expect(fieldOf(await site.get("/date"), "x-date")).toMatch(/^[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d{4} [\d:]{8} GMT$/);
});
