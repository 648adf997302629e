/** ngx_http_try_files_module */
import { expect, test } from "bun:test";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    location / { try_files $uri $uri/ /fallback?from=$uri; }
    location /files/ { try_files $uri /none.html /page.html =404; }
    location /directory/ { try_files /sub/ =404; }
    location /code/ { try_files $uri =410; }
    location /named/ { try_files $uri @named; }
    location /alias/ { alias DIR/html/sub/; try_files $uri other.html =404; }
    location ~ ^/regex/(.*)$ { alias DIR/html/; try_files $1 sub/$1 =404; }
    location = /fallback { return 200 "fallback $args"; }
    location @named { return 200 "named $uri"; }
    location /inner/ { try_files $uri =404; location /inner/free/ { return 200 "not inherited"; } }
  }
  server {
    listen 127.0.0.1:PORT;
    server_name other;
    try_files /page.html =404;
  }`,
  { "page.html": "a page", "sub/index.html": "an index", "sub/other.html": "other" },
);

test("the first file that is there", async () => {
  expect(bodyOf(await site.get("/page.html"))).toBe("a page");
  expect(bodyOf(await site.get("/files/x"))).toBe("a page");
});

test("a directory is meant by a slash, and nothing else by a name without one", async () => {
  expect(bodyOf(await site.get("/sub/"))).toBe("an index");
  expect(fieldOf(await site.get("/sub"), "location")).toEndWith("/sub/");
  expect(fieldOf(await site.get("/directory/"), "location")).toEndWith("/sub/");
});

test("else: another path with its arguments, a status, a named location", async () => {
  expect(bodyOf(await site.get("/missing?a"))).toBe("fallback from=/missing");
  expect(await site.get("/code/missing")).toStartWith("HTTP/1.1 410 ");
  expect(bodyOf(await site.get("/named/missing"))).toBe("named /named/missing");
});

test("with an alias the location's path is taken off", async () => {
  expect(bodyOf(await site.get("/alias/index.html"))).toBe("an index");
  expect(bodyOf(await site.get("/alias/missing"))).toBe("other");
  expect(bodyOf(await site.get("/regex/other.html"))).toBe("other");
  expect(await site.get("/regex/missing")).toStartWith("HTTP/1.1 404 ");
});

test("locations inside have their own; a server's holds outside of its locations", async () => {
  expect(bodyOf(await site.get("/inner/free/x"))).toBe("not inherited");
  const { port } = site.server;
  const response = await fetch(`http://127.0.0.1:${port}/x`, { headers: { Host: "other" } });
  expect(await response.text()).toBe("a page");
});
