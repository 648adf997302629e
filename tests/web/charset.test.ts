/** ngx_http_charset_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const privet = "\xd0\xd2\xc9\xd7\xc5\xd4"; // in KOI8-R
const utf8 = "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82";

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

const site = testSite(
  `
  types { text/html html; text/css css; }
  charset_map koi8-r utf-8 { d0 d0bf; d2 d180; c9 d0b8; d7 d0b2; c5 d0b5; d4 d182; }
  charset_map koi8-r windows-1251 { d0 ef; d2 f0; c9 e8; d7 e2; c5 e5; d4 f2; }
  server {
    listen 127.0.0.1:PORT;
    location / { charset utf-8; }
    location /types/ { alias DIR/html/; charset utf-8; charset_types text/css; }
    location /variable/ { alias DIR/html/; charset $arg_c; }
    location /utf8/ { alias DIR/html/; source_charset koi8-r; charset utf-8; ssi on; }
    location /windows/ { alias DIR/html/; source_charset koi8-r; charset windows-1251; }
    location /koi/ { alias DIR/html/utf8/; source_charset UTF-8; charset KOI8-R; }
    location /unmapped/ { alias DIR/html/; source_charset $arg_from; charset utf-8; }
    location /redirect { charset utf-8; override_charset on; return 302 /; }
    location /included/ { alias DIR/html/utf8/; source_charset utf-8; }
    location /asks { default_type text/html; add_header X-Accel-Charset koi8-r; return 200 x; }
    location /asked { source_charset utf-8; proxy_pass http://127.0.0.1:PORT/asks; }
    location /page/ { alias DIR/html/; source_charset koi8-r; charset koi8-r; ssi on; }
  }`,
  {
    "a.html": bytes(privet),
    "a.css": "",
    "utf8/a.html": bytes(`${utf8} \xe2\x82\xac`),
    "page.html": bytes(`<!--#include virtual="/included/a.html" -->|${privet}`),
    "large.html": bytes(privet.repeat(100_000)),
  },
);

const typeOf = async (target: string): Promise<string | undefined> => fieldOf(await site.get(target), "content-type");
const content = async (target: string): Promise<string> =>
  Buffer.from(await (await fetch(site.server.url(target))).arrayBuffer()).toString("latin1");

test("the type names it, for the types that have one", async () => {
  expect(await typeOf("/a.html")).toBe("text/html; charset=utf-8");
  expect(await typeOf("/a.css")).toBe("text/css");
  expect(await typeOf("/types/a.css")).toBe("text/css; charset=utf-8");
  expect(await typeOf("/variable/a.html?c=koi8-r")).toBe("text/html; charset=koi8-r");
  expect(await typeOf("/variable/a.html")).toBe("text/html");
});

test("redirects have none", async () => {
  expect(await typeOf("/redirect")).toBe("text/html");
});

test("recoding to UTF-8 and from it", async () => {
  expect(await content("/utf8/a.html")).toBe(utf8);
  expect(await content("/utf8/large.html")).toBe(utf8.repeat(100_000));
  expect(await content("/koi/a.html")).toBe(`${privet} &#8364;`);
  expect(await typeOf("/koi/a.html")).toBe("text/html; charset=KOI8-R");
});

test("byte by byte: the length stays, parts are to be had", async () => {
  const response = await site.get("/windows/a.html", "Range: bytes=1-2");
  expect(bodyOf(response)).toBe("\xf0\xe8");
  expect(fieldOf(response, "content-range")).toBe("bytes 1-2/6");
  const large = await site.get("/windows/large.html", "Range: bytes=599999-");
  expect(bodyOf(large)).toBe("\xf2");
});

test("an included response is recoded to the page's", async () => {
  expect(await content("/page/page.html")).toBe(`${privet} &#8364;|${privet}`);
});

test("an upstream may ask for one", async () => {
  const response = await site.get("/asked");
  expect(fieldOf(response, "content-type")).toBe("text/html; charset=koi8-r");
  expect(fieldOf(response, "x-accel-charset")).toBeUndefined();
});

test("what no map is for stays as it is", async () => {
  expect(await content("/unmapped/a.html?from=none")).toBe(privet);
  expect(await typeOf("/unmapped/a.html?from=none")).toBe("text/html");
  await site.server.logged(/no "charset_map" between the charsets "none" and "utf-8"/);
});

test.each([
  ["charset_map a A { }", '"charset_map" between the same charsets "a" and "A"'],
  ["charset_map utf-8 a { }", '"charset_map" with "utf-8" charset should be given in the second column'],
  ["charset_map a b { } charset_map b a { }", 'duplicate "charset_map" between "b" and "a"'],
  ["charset_map a b { 100 1; }", 'invalid value "100"'],
  ["charset_map a utf-8 { 80 ff; }", 'invalid value "ff"'],
  ["charset_map a b { 80; }", "invalid parameters number"],
  ["charset a; source_charset b;", 'no "charset_map" between the charsets "b" and "a"'],
  ["charset a; charset b;", '"charset" directive is duplicate'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
