import { expect, test } from "bun:test";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const { get } = testSite(
  `server {
    listen 127.0.0.1:PORT;
    add_header X-Always 1 always;
    location / { }
    location /two/ { alias DIR/html/; max_ranges 2; }
    location /none/ { alias DIR/html/; max_ranges 0; }
    location /ims-off/ { alias DIR/html/; if_modified_since off; }
    location /ims-before/ { alias DIR/html/; if_modified_since before; }
    location /error { error_page 404 /letters; return 404; }
  }`,
  { letters: "abcdefghijklmnopqrstuvwxyz" },
);

const status = async (target: string, ...fields: string[]): Promise<number> =>
  Number((await get(target, ...fields)).slice(9, 12));

test("one part, several, none", async () => {
  const one = await get("/letters", "Range: bytes=2-4");
  expect(one).toStartWith("HTTP/1.1 206");
  expect(fieldOf(one, "Content-Range")).toBe("bytes 2-4/26");
  expect(bodyOf(one)).toBe("cde");
  const two = await get("/letters", "Range: bytes=0-0,-1");
  expect(fieldOf(two, "Content-Type")).toStartWith("multipart/byteranges; boundary=");
  expect(Number(fieldOf(two, "Content-Length"))).toBe(bodyOf(two).length);
  const none = await get("/letters", "Range: bytes=26-");
  expect(none).toStartWith("HTTP/1.1 416");
  expect(fieldOf(none, "Content-Range")).toBe("bytes */26");
  // The page is one of an error: with what every page has.
  expect(fieldOf(none, "X-Always")).toBe("1");
});

test("max_ranges", async () => {
  expect(await status("/two/letters", "Range: bytes=0-0,2-2")).toBe(206);
  expect(await status("/two/letters", "Range: bytes=0-0,2-2,99-")).toBe(206);
  expect(await status("/two/letters", "Range: bytes=0-0,2-2,4-4")).toBe(200);
  const none = await get("/none/letters", "Range: bytes=0-0");
  expect(none).toStartWith("HTTP/1.1 200");
  expect(fieldOf(none, "Accept-Ranges")).toBeUndefined();
});

test("an error's page has no parts", async () => {
  const found = await get("/error", "Range: bytes=0-0");
  expect(found).toStartWith("HTTP/1.1 404");
  expect(fieldOf(found, "Accept-Ranges")).toBeUndefined();
});

test("if_modified_since: exact, before, off", async () => {
  const date = fieldOf(await get("/letters"), "Last-Modified") ?? "";
  const same = `If-Modified-Since: ${date}`;
  const later = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
  expect(await status("/letters", same)).toBe(304);
  expect(await status("/letters", later)).toBe(200);
  expect(await status("/ims-before/letters", later)).toBe(304);
  expect(await status("/ims-off/letters", same)).toBe(200);
});
