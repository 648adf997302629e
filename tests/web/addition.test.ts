/** ngx_http_addition_module */
import { expect, test } from "bun:test";
import { fieldOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    add_before_body /before;
    add_after_body /after.html;
    location / { }
    location /before { default_type text/html; return 200 "$uri "; }
    location /types/ { alias DIR/html/; addition_types text/plain; }
    location /after_only/ { alias DIR/html/; add_before_body ""; }
    location /missing/ { alias DIR/html/; add_after_body /none; error_page 404 /sorry; }
    location /none { error_page 404 =200 /sorry; return 404; }
    location /sorry { return 200 sorry; }
    location /other { default_type text/html; return 202 x; }
    location /filtered/ { alias DIR/html/; sub_filter e E; sub_filter_once off; }
  }`,
  { "a.html": "the page", "a.txt": "text", "after.html": " after" },
);

const text = async (target: string): Promise<string> => (await fetch(site.server.url(target))).text();

test("before and behind, of HTML unless other types are named", async () => {
  expect(await text("/a.html")).toBe("/before the page after");
  expect(await text("/after_only/a.html")).toBe("the page after");
  expect(await text("/a.txt")).toBe("text");
  expect(await text("/types/a.txt")).toBe("/before text after");
});

test("only to what is 200", async () => {
  expect(await text("/other")).toBe("x");
});

test("error pages of additions are their own locations' matter", async () => {
  expect(await text("/missing/a.html")).toBe("/before the pagesorry");
});

test("filters of the page do not see what is added", async () => {
  expect(await text("/filtered/a.html")).toBe("/before thE pagE after");
});

test("the length is not known, the tag is weak", async () => {
  const response = await site.get("/a.html");
  expect(fieldOf(response, "content-length")).toBeUndefined();
  expect(fieldOf(response, "etag")).toStartWith('W/"');
  expect(fieldOf(response, "last-modified")).toBeDefined();
});

test("a HEAD request is answered without additions", async () => {
  expect(await site.request("HEAD", "/a.html")).toEndWith("\r\n\r\n");
});
