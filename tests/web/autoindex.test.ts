/** ngx_http_autoindex_module, ngx_http_random_index_module */
import { expect, test } from "bun:test";
import { symlinkSync, utimesSync } from "node:fs";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    autoindex on;
    location /rounded/ { alias DIR/html/list/; autoindex_exact_size off; }
    location /xml/ { alias DIR/html/list/; autoindex_format xml; }
    location /json/ { alias DIR/html/list/; autoindex_format json; }
    location /jsonp/ { alias DIR/html/list/; autoindex_format jsonp; }
    location /random/ { random_index on; autoindex off; }
  }`,
  {
    "list/a:b%?.txt": "x".repeat(12_345),
    'list/<&>".txt': "",
    "list/zz/": "",
    "list/\xd1\x84\xe2\x82\xac": "utf-8",
    "list/long/": "",
    [`list/long/${"n".repeat(60)}`]: "",
    [`list/long/${"\xd1\x84".repeat(60)}`]: "",
    [`list/long/${"\xff".repeat(60)}`]: "",
    "list/.hidden": "",
    "list/0/index.html": "an index comes first",
    "random/a": "a",
    "random/b": "b",
    "random/.c": "c",
    "random/d/": "",
  },
);

test("a page: directories first, names as links that lead there, times and sizes", async () => {
  utimesSync(site.path("list/a:b%?.txt"), 0, 86_399);
  const response = await site.get("/list/");
  expect(fieldOf(response, "content-type")).toBe("text/html");
  const page = bodyOf(response);
  expect([...page.matchAll(/href="(.*?)"/g)].map(([, link]) => link)).toEqual([
    "../",
    "0/",
    "long/",
    "zz/",
    "%3C%26%3E%22.txt",
    "a%3Ab%25%3F.txt",
    "%D1%84%E2%82%AC",
  ]);
  expect(page).toContain(">&lt;&amp;&gt;&quot;.txt</a>");
  expect(page).toContain("<td>01-Jan-1970 23:59</td><td>12345</td>");
  expect(page).toContain("<title>Index of /list/</title>");
  expect(bodyOf(await site.get("/rounded/"))).toContain("<td>12K</td>");
});

test("long names are cut, UTF-8 between its characters", async () => {
  const page = bodyOf(await site.get("/list/long/"));
  expect(page).toContain(`>${"n".repeat(47)}..&gt;</a>`);
  expect(page).toContain(`>${"\xd1\x84".repeat(47)}..&gt;</a>`);
  expect(page).toContain(`>${"\xff".repeat(47)}..&gt;</a>`);
});

test("JSON, with or without a function around it", async () => {
  const response = await site.get("/json/");
  expect(fieldOf(response, "content-type")).toBe("application/json");
  const entries = JSON.parse(bodyOf(response)) as { name: string; type: string; size?: number; mtime: string }[];
  expect(entries.map(({ name, type, size }) => [name, type, size])).toEqual([
    ["0", "directory", undefined],
    ["long", "directory", undefined],
    ["zz", "directory", undefined],
    ['<&>".txt', "file", 0],
    ["a:b%?.txt", "file", 12_345],
    ["\xd1\x84\xe2\x82\xac", "file", 5],
  ]);
  const script = await site.get("/jsonp/zz/?callback=my.list");
  expect(fieldOf(script, "content-type")).toBe("application/javascript");
  expect(bodyOf(script)).toEndWith("my.list([\r\n]);");
  expect(fieldOf(await site.get("/jsonp/zz/"), "content-type")).toBe("application/json");
  expect(await site.get("/jsonp/zz/?callback=alert(1)")).toStartWith("HTTP/1.1 400 ");
});

test("XML", async () => {
  const response = await site.get("/xml/");
  expect(fieldOf(response, "content-type")).toBe("text/xml; charset=utf-8");
  const text = bodyOf(response);
  expect(text).toMatch(/<file mtime="[-\d]+T[:\d]+Z" size="0">&lt;&amp;&gt;&quot;\.txt<\/file>/);
  expect(text).toMatch(/<directory mtime="[-\d]+T[:\d]+Z">zz<\/directory>/);
});

test("an index stands above the list; a link that leads nowhere is listed, too", async () => {
  expect(bodyOf(await site.get("/list/0/"))).toBe("an index comes first");
  symlinkSync("nowhere", site.path("list/zz/dead"));
  expect(bodyOf(await site.get("/list/zz/"))).toContain('href="dead"');
});

test("what is no directory is missing", async () => {
  expect(await site.get("/none/")).toStartWith("HTTP/1.1 404 ");
});

test("random_index: one of the files", async () => {
  const found = new Set<string>();
  for (let i = 0; i < 60; i++) found.add(bodyOf(await site.get("/random/")));
  expect([...found].sort()).toEqual(["a", "b"]);
});
