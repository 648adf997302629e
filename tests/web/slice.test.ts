/** ngx_http_slice_module */
import { expect, test } from "bun:test";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const content = "0123456789abcdef";

const site = testSite(
  `
  map $http_range $range { ~bytes=(.+) "bytes $1"; }
  server {
    listen 127.0.0.1:PORT;
    location / { slice 4; proxy_pass http://unix:DIR/upstream.sock:/; proxy_set_header Range $slice_range; }
    location /plain/ { alias DIR/html/; slice 4; add_header X-Slice "[$slice_range]"; }
    location /filtered/ {
      slice 4; proxy_pass http://unix:DIR/upstream.sock:/; proxy_set_header Range $slice_range;
      sub_filter_types *; sub_filter 3456 x;
    }
  }
  server {
    listen unix:DIR/upstream.sock;
    location /whole { return 200 whole; }
    location /length { add_header Content-Range "bytes 0-3/*"; return 206 0123; }
    location /range { add_header Content-Range "bytes 4-7/16"; return 206 4567; }
    location /tag { add_header Content-Range "$range/8"; add_header ETag '"$http_range"'; return 206 0123; }
  }`,
  { file: content },
);

test("the whole", async () => {
  const response = await site.get("/file");
  expect(response).toStartWith("HTTP/1.1 200 OK");
  expect(bodyOf(response)).toBe(content);
  expect(fieldOf(response, "content-length")).toBe("16");
  expect(fieldOf(response, "accept-ranges")).toBe("bytes");
  expect(fieldOf(response, "content-range")).toBeUndefined();
});

test.each([
  ["bytes=5-6", "56", "bytes 5-6/16"],
  ["bytes=3-8", "345678", "bytes 3-8/16"],
  ["bytes=12-", "cdef", "bytes 12-15/16"],
  ["bytes=-2", "ef", "bytes 14-15/16"],
])("the part %s", async (range, body, contentRange) => {
  const response = await site.get("/file", `Range: ${range}`);
  expect(response).toStartWith("HTTP/1.1 206 Partial Content");
  expect(bodyOf(response)).toBe(body);
  expect(fieldOf(response, "content-range")).toBe(contentRange);
});

test("several parts are the whole, one beyond the end is none", async () => {
  expect(bodyOf(await site.get("/file", "Range: bytes=0-0,5-5"))).toBe(content);
  expect(await site.get("/file", "Range: bytes=99-")).toStartWith("HTTP/1.1 416");
});

test("conditions are answered for the whole", async () => {
  const tag = fieldOf(await site.get("/file"), "etag");
  expect(await site.get("/file", `If-None-Match: ${tag}`)).toStartWith("HTTP/1.1 304");
  expect(bodyOf(await site.get("/file", `If-Range: ${tag}`, "Range: bytes=9-9"))).toBe("9");
  expect(bodyOf(await site.get("/file", 'If-Range: "x"', "Range: bytes=9-9"))).toBe(content);
});

test("filters see the whole, not the slices", async () => {
  expect(await (await fetch(site.server.url("/filtered/file"))).text()).toBe("012x789abcdef");
});

test("an upstream that sends no slices", async () => {
  expect(bodyOf(await site.get("/whole"))).toBe("whole");
  expect(await site.get("/none")).toStartWith("HTTP/1.1 404");
});

test.each([
  ["/length", /no complete length in slice response/],
  ["/range", /unexpected range in slice response: 4-8, expected: 0-4/],
  ["/tag", /etag mismatch in slice response/],
])("a slice that is none, %s, is answered by nothing", async (target, logged) => {
  expect(await site.get(target)).toBe("");
  await site.server.logged(logged);
});

test("the variable is there where slices are asked for", async () => {
  expect(fieldOf(await site.get("/plain/file"), "x-slice")).toBe("[]");
});
