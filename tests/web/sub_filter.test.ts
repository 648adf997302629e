/** ngx_http_sub_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { fieldOf, testSite } from "../support/site.ts";

const large = `${"x".repeat(200_000)}foo${"y".repeat(200_000)}FOO`;

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    sub_filter foo bar;
    location / { }
    location /all/ { alias DIR/html/; sub_filter_once off; }
    location /several/ { alias DIR/html/; sub_filter foo 1; sub_filter "A B" $arg_by; sub_filter $arg_what 3; }
    location /types/ { alias DIR/html/; sub_filter_types text/plain; }
    location /dated/ { alias DIR/html/; sub_filter_last_modified on; }
    location /text { return 200 foo; }
  }`,
  {
    "a.html": "foo a b foo, FOO A B",
    "a.txt": "foo",
    "large.html": large,
    "empty.html": "",
  },
);

const text = async (target: string, init: RequestInit = {}): Promise<string> =>
  (await fetch(site.server.url(target), init)).text();

test("the first time, or always", async () => {
  expect(await text("/a.html")).toBe("bar a b foo, FOO A B");
  expect(await text("/all/a.html")).toBe("bar a b bar, bar A B");
});

test("several texts, with variables, without regard to case", async () => {
  expect(await text("/several/a.html?by=2&what=OO,")).toBe("1 2 f3 FOO A B");
  expect(await text("/several/a.html?by=2")).toBe("1 2 foo, FOO A B");
});

test("HTML always, other types if they are named", async () => {
  expect(await text("/a.txt")).toBe("foo");
  expect(await text("/types/a.txt")).toBe("bar");
  expect(await text("/types/a.html")).toStartWith("bar");
});

test("a large file", async () => {
  expect(await text("/all/large.html")).toBe(large.replace("foo", "bar").replace("FOO", "bar"));
});

test("what was changed has another length, no date and no tag", async () => {
  const response = await site.get("/a.html");
  for (const name of ["content-length", "last-modified", "etag", "accept-ranges"])
    expect(fieldOf(response, name)).toBeUndefined();
  const dated = await site.get("/dated/a.html");
  expect(fieldOf(dated, "last-modified")).toBeDefined();
  expect(fieldOf(dated, "etag")).toStartWith('W/"');
});

test("what was not changed has all of them, and so does nothing", async () => {
  for (const target of ["/a.txt", "/empty.html"])
    for (const name of ["content-length", "last-modified", "etag"])
      expect(fieldOf(await site.get(target), name)).toBeDefined();
});

test("parts of changed contents are not to be had", async () => {
  expect(await text("/a.html", { headers: { Range: "bytes=0-2" } })).toBe("bar a b foo, FOO A B");
});

test.each([
  ['sub_filter "" x;', "empty search pattern"],
  ["sub_filter x;", 'invalid number of arguments in "sub_filter" directive'],
  ["sub_filter x y;".repeat(256), "number of search patterns exceeds 255"],
])("%#", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
