import { expect, test } from "bun:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const lines = (count: number): string => Array.from({ length: count }, (_, i) => `line ${i}\n`).join("");
const small = lines(100);
const large = lines(100_000);
const packed = gzipSync(small);

const { get, request } = testSite(
  `types { text/html html; text/css css; application/json json; }
  gzip on;
  gzip_vary on;
  server {
    listen 127.0.0.1:PORT;
    location / { }
    location /types/ { alias DIR/html/; gzip_types text/css; }
    location /all/ { alias DIR/html/; gzip_types *; gzip_min_length 0; gzip_comp_level 9; }
    location /off/ { alias DIR/html/; gzip off; }
    location /ratio { return 200 "${"x".repeat(1000)}"; default_type text/html; add_trailer Ratio $gzip_ratio; }
    location /plain { return 200 "some text that is longer than twenty bytes"; default_type text/plain; }
    location /gone { return 404; }
    location /packed/ {
      alias DIR/html/;
      gzip off;
      gunzip on;
      add_header Content-Encoding gzip;
    }
  }`,
  {
    "small.html": small,
    "large.html": large,
    "small.css": small,
    "short.html": "short",
    "packed.bin": packed,
    "broken.bin": packed.subarray(0, packed.length - 20),
    "wrong.bin": "no gzip at all",
  },
);

const gzip = "Accept-Encoding: gzip";
const unzipped = (response: string): string => gunzipSync(Buffer.from(bodyOf(response), "latin1")).toString();

/** The content of chunks. */
function unchunked(response: string): string {
  let text = "";
  for (let rest = bodyOf(response); ; ) {
    const [line = ""] = rest.split("\r\n", 1);
    const size = Number.parseInt(line, 16);
    if (!(size > 0)) return text;
    text += rest.substr(line.length + 2, size);
    rest = rest.slice(line.length + 2 + size + 2);
  }
}

test("what is small is gzipped at once: with a length, a weak tag, without ranges", async () => {
  // Three times: the third comes from what is kept.
  for (let i = 0; i < 3; i++) {
    const found = await get("/small.html", gzip);
    expect(fieldOf(found, "Content-Encoding")).toBe("gzip");
    expect(fieldOf(found, "Vary")).toBe("Accept-Encoding");
    expect(fieldOf(found, "ETag")).toStartWith('W/"');
    expect(fieldOf(found, "Accept-Ranges")).toBeUndefined();
    expect(Number(fieldOf(found, "Content-Length"))).toBe(bodyOf(found).length);
    expect(unzipped(found)).toBe(small);
  }
});

test("what is large leaves in chunks", async () => {
  const found = await get("/large.html", gzip);
  expect(fieldOf(found, "Transfer-Encoding")).toBe("chunked");
  expect(gunzipSync(Buffer.from(unchunked(found), "latin1")).toString()).toBe(large);
});

test("a client that does not ask for it gets the original, and the word that there is another", async () => {
  const found = await get("/small.html");
  expect(fieldOf(found, "Content-Encoding")).toBeUndefined();
  expect(fieldOf(found, "Vary")).toBe("Accept-Encoding");
  expect(bodyOf(found)).toBe(small);
});

test("HEAD gets the fields", async () => {
  const found = await request("HEAD", "/small.html", gzip);
  expect(fieldOf(found, "Content-Encoding")).toBe("gzip");
  expect(bodyOf(found)).toBe("");
});

test("gzip_types, gzip_min_length, gzip off", async () => {
  const coding = async (path: string) => fieldOf(await get(path, gzip), "Content-Encoding");
  expect(await coding("/small.css")).toBeUndefined();
  expect(await coding("/types/small.css")).toBe("gzip");
  expect(await coding("/types/small.html")).toBe("gzip");
  expect(await coding("/short.html")).toBeUndefined();
  expect(await coding("/all/short.html")).toBe("gzip");
  expect(await coding("/plain")).toBeUndefined();
  expect(await coding("/off/small.html")).toBeUndefined();
});

test("pages of errors are gzipped, too", async () => {
  const found = await get("/gone", gzip);
  expect(found).toStartWith("HTTP/1.1 404");
  expect(unzipped(found)).toContain("Not Found");
});

test("$gzip_ratio", async () => {
  expect(Number(/Ratio: (\S+)/.exec(await get("/ratio", gzip))?.[1])).toBeGreaterThan(10);
  expect(await get("/ratio")).not.toContain("Ratio:");
});

test("gunzip: for who cannot", async () => {
  const found = await get("/packed/packed.bin");
  expect(fieldOf(found, "Content-Encoding")).toBeUndefined();
  expect(fieldOf(found, "Content-Length")).toBeUndefined();
  expect(fieldOf(found, "ETag")).toStartWith('W/"');
  expect(unchunked(found)).toBe(small);
  const packedStill = await get("/packed/packed.bin", gzip);
  expect(fieldOf(packedStill, "Content-Encoding")).toBe("gzip");
  expect(unzipped(packedStill)).toBe(small);
});

test("gunzip: what breaks off, or is no gzip, does not look complete", async () => {
  for (const name of ["broken.bin", "wrong.bin"]) {
    const found = await get(`/packed/${name}`);
    expect(found).not.toEndWith("0\r\n\r\n");
  }
});
