/** ngx_http_gzip_static_module */
import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  types { text/css css; }
  server {
    listen 127.0.0.1:PORT;
    gzip_static on;
    location / { }
    location /vary/ { gzip_vary on; alias DIR/html/; }
    location /always/ { gzip_static always; gunzip on; alias DIR/html/; }
    location /only/ { gzip_static always; alias DIR/html/; }
    location /old/ { gzip_http_version 1.0; gzip_disable "ancient"; alias DIR/html/; }
    location /proxied/ { gzip_proxied any; alias DIR/html/; }
  }`,
  {
    "style.css": "plain",
    "style.css.gz": gzipSync("zipped"),
    "alone.css.gz": gzipSync("alone"),
    "directory.css": "plain",
    "directory.css.gz/": "",
  },
);

const gzip = "Accept-Encoding: gzip";

test("a client that accepts it gets the file that lies ready", async () => {
  const response = await site.get("/style.css", gzip);
  expect(fieldOf(response, "content-encoding")).toBe("gzip");
  expect(fieldOf(response, "content-type")).toBe("text/css");
  expect(Buffer.from(Bun.gunzipSync(Buffer.from(bodyOf(response), "latin1"))).toString()).toBe("zipped");
  const plain = await site.get("/style.css");
  expect(fieldOf(plain, "content-encoding")).toBeUndefined();
  expect(bodyOf(plain)).toBe("plain");
  expect(bodyOf(await site.get("/style.css", "Accept-Encoding: gzip;q=0"))).toBe("plain");
});

test("the original need not be there, and a directory in its place does not count", async () => {
  expect(fieldOf(await site.get("/alone.css", gzip), "content-encoding")).toBe("gzip");
  expect(await site.get("/alone.css")).toStartWith("HTTP/1.1 404 ");
  expect(bodyOf(await site.get("/directory.css", gzip))).toBe("plain");
});

test("gzip_vary tells caches of both, where there are both", async () => {
  expect(fieldOf(await site.get("/vary/style.css", gzip), "vary")).toBe("Accept-Encoding");
  expect(fieldOf(await site.get("/vary/style.css"), "vary")).toBe("Accept-Encoding");
  expect(fieldOf(await site.get("/vary/style.css.gz"), "vary")).toBeUndefined();
  expect(fieldOf(await site.get("/style.css", gzip), "vary")).toBeUndefined();
});

test("always: everybody gets it, undone with gunzip for who does not accept it", async () => {
  expect(bodyOf(await site.get("/always/style.css"))).toContain("zipped");
  expect(fieldOf(await site.get("/only/style.css"), "content-encoding")).toBe("gzip");
});

test("gzip_http_version, gzip_disable and gzip_proxied hold here, too", async () => {
  const coding = async (path: string, ...fields: string[]) =>
    fieldOf(await site.get(path, gzip, ...fields), "content-encoding");
  expect(await coding("/old/style.css", "User-Agent: Ancient/1")).toBeUndefined();
  expect(await coding("/old/style.css", "User-Agent: new")).toBe("gzip");
  expect(await coding("/style.css", "Via: 1.1 proxy")).toBeUndefined();
  expect(await coding("/proxied/style.css", "Via: 1.1 proxy")).toBe("gzip");
});
