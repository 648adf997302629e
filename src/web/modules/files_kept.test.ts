import { describe, expect, setSystemTime, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { bodyBytes, bodyText, directoryOf, type RequestOptions } from "../../../tests/support/exchange.ts";
import { field, openBelow, serve } from "../../../tests/support/static.ts";
import { FileCache, standardLimits } from "../file_cache.ts";
import { dropBody } from "../reply.ts";

const settledDate = new Date("2024-05-01T10:20:30.750Z");
const big = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef");

describe("precompressed siblings", () => {
  const files = {
    "app.js": "original",
    "app.js.br": "BR",
    "app.js.zst": "ZST",
    "app.js.gz": "GZ",
    "b.js": "b",
    "b.js.gz": "GZ",
  };
  const accept = (value: string): RequestOptions => ({ headers: { "Accept-Encoding": value } });

  test.each([
    ["gzip, deflate, br, zstd", "br", "BR"],
    ["gzip, deflate, zstd", "zstd", "ZST"],
    ["gzip", "gzip", "GZ"],
    ["x-gzip", "gzip", "GZ"],
    ["GZip", "gzip", "GZ"],
    ["gzip;q=1.0, br;q=0.5", "gzip", "GZ"],
    ["br;q=0, *", "zstd", "ZST"],
    ["*;q=0.1", "br", "BR"],
    ["gzip;q=0", undefined, "original"],
    ["identity;q=1, gzip;q=0.5", undefined, "original"],
    ["deflate", undefined, "original"],
    ["", undefined, "original"],
    ["gzip;q=2", undefined, "original"],
  ])("Accept-Encoding %p gets %p", async (value, coding, content) => {
    using dir = directoryOf(files);
    const reply = serve(dir.path).get("/static/app.js", accept(value));
    expect(await bodyText(reply)).toBe(content);
    expect(field(reply, "content-encoding")).toBe(coding as string);
    expect(field(reply, "content-type")).toBe("text/javascript; charset=utf-8");
    expect(field(reply, "content-length")).toBe(String(content.length));
    expect(field(reply, "vary")).toBe("Accept-Encoding");
  });

  test("each has a tag of its own, whatever its size and date", () => {
    using dir = directoryOf({ x: "same", "x.br": "same", "x.gz": "same", "x.zst": "same" });
    for (const name of ["x", "x.br", "x.gz", "x.zst"]) utimesSync(`${dir.path}/${name}`, settledDate, settledDate);
    const { get } = serve(dir.path);
    const tag = (value: string) => field(get("/static/x", accept(value)), "etag");
    expect(new Set(["", "br", "gzip", "zstd"].map(tag)).size).toBe(4);
    expect(tag("br")).toBe('"6632176e-4-br"');
  });

  test("are used only where they are, and not when older than the original", async () => {
    using dir = directoryOf({ ...files, lonely: "" });
    const { get } = serve(dir.path);
    expect(await bodyText(get("/static/b.js", accept("br")))).toBe("b");
    expect(await bodyText(get("/static/b.js", accept("br, gzip")))).toBe("GZ");
    expect(field(get("/static/lonely"), "vary")).toBeUndefined();
    utimesSync(`${dir.path}/b.js.gz`, settledDate, settledDate);
    expect(await bodyText(get("/static/b.js", { ...accept("gzip"), at: performance.now() + 1000 }))).toBe("b");
    expect(await bodyText(serve(dir.path, { precompressed: false }).get("/static/app.js", accept("br")))).toBe(
      "original",
    );
  });

  test.each([
    ["small", "BR", "another"],
    ["large", big.toString(), `${big}!`],
  ])("that changed between the look and the opening are looked at again: %s", async (_, before, after) => {
    using dir = directoryOf({ x: "plain", "x.br": before });
    const { get } = serve(dir.path);
    get("/static/x", { at: 0 });
    writeFileSync(`${dir.path}/x.br`, after);
    const reply = get("/static/x", { ...accept("br"), at: 1 });
    expect((await bodyText(reply)) === after).toBe(true);
    expect(field(reply, "content-length")).toBe(String(after.length));
  });

  test("that come or go are noticed", async () => {
    using dir = directoryOf({ x: "plain" });
    const { get } = serve(dir.path);
    expect(await bodyText(get("/static/x", { ...accept("br"), at: 0 }))).toBe("plain");
    writeFileSync(`${dir.path}/x.br`, "BR");
    expect(await bodyText(get("/static/x", { ...accept("br"), at: 1000 }))).toBe("BR");
    rmSync(`${dir.path}/x.br`);
    expect(await bodyText(get("/static/x", { ...accept("br"), at: 2000 }))).toBe("plain");
  });
});

describe("what is kept", () => {
  test("is served without a look at the disk for a second, then only if unchanged", async () => {
    using dir = directoryOf({ x: "old" });
    const { get, cache } = serve(dir.path);
    const first = get("/static/x", { at: 0 });
    writeFileSync(`${dir.path}/x`, "newer");
    const second = get("/static/x", { at: 999 });
    expect(second.body).toBe(first.body);
    expect(second.head.headers).toBe(first.head.headers);
    expect(second.head).not.toBe(first.head);
    const third = get("/static/x", { at: 1000 });
    expect(await bodyText(third)).toBe("newer");
    expect(field(third, "content-length")).toBe("5");
    expect(field(third, "etag")).not.toBe(field(first, "etag") as string);
    rmSync(`${dir.path}/x`);
    expect(get("/static/x", { at: 2000 }).head.status).toBe(404);
    expect(cache.usage).toEqual({ entries: 0, bytes: 0, descriptors: 0 });
  });

  test("is not read again while it is unchanged", () => {
    using dir = directoryOf({ x: "x" });
    try {
      setSystemTime(new Date(Date.now() + 10_000)); // So that the file is old enough to be trusted.
      const { get } = serve(dir.path);
      const { body } = get("/static/x", { at: 0 });
      expect(get("/static/x", { at: 5000 }).body).toBe(body);
      expect(get("/static/x", { at: 9000 }).body).toBe(body);
    } finally {
      setSystemTime();
    }
  });

  test("is read again after a second if the file was changed just before it was read", async () => {
    using dir = directoryOf({ x: "one" });
    const { get } = serve(dir.path);
    const { body } = get("/static/x", { at: 0 });
    expect(get("/static/x", { at: 1000 }).body).not.toBe(body);
  });

  test("is seen to be replaced by a file of the same size and date", async () => {
    using dir = directoryOf({ x: "one", y: "two" });
    for (const name of ["x", "y"]) utimesSync(`${dir.path}/${name}`, settledDate, settledDate);
    const { get } = serve(dir.path);
    expect(await bodyText(get("/static/x", { at: 0 }))).toBe("one");
    renameSync(`${dir.path}/y`, `${dir.path}/x`);
    expect(await bodyText(get("/static/x", { at: 1000 }))).toBe("two");
  });

  test("a directory that takes the place of a file, and the other way round", async () => {
    using dir = directoryOf({ x: "file" });
    const { get } = serve(dir.path);
    expect(await bodyText(get("/static/x", { at: 0 }))).toBe("file");
    rmSync(`${dir.path}/x`);
    mkdirSync(`${dir.path}/x`);
    expect(get("/static/x", { at: 1000 }).head.status).toBe(301);
    rmSync(`${dir.path}/x`, { recursive: true });
    writeFileSync(`${dir.path}/x`, "again");
    expect(await bodyText(get("/static/x", { at: 1001 }))).toBe("again");
  });

  test("small files are kept as bytes up to the bound, others are read each time", async () => {
    using dir = directoryOf({ a: "a".repeat(10_000), b: "b".repeat(10_000), c: "c".repeat(100_000) });
    const cache = new FileCache({ ...standardLimits, bytes: 16_384 });
    const { get } = serve(dir.path, { cache });
    const a = get("/static/a", { at: 0 });
    const { bytes } = cache.usage;
    expect(bytes).toBeGreaterThan(10_000);
    expect(get("/static/a", { at: 1 }).body).toBe(a.body);
    const b = get("/static/b", { at: 1 });
    expect(b.body.kind).toBe("bytes");
    expect(get("/static/b", { at: 2 }).body).not.toBe(b.body);
    const c = get("/static/c", { at: 2 });
    expect(c.body.kind).toBe("file");
    expect((await bodyBytes(c.body)).length).toBe(100_000);
    expect(cache.usage.bytes).toBeLessThanOrEqual(16_384);
    // Once `a` has not been asked for in a while, it makes room.
    const later = get("/static/b", { at: 10_000 });
    expect(get("/static/b", { at: 10_001 }).body).toBe(later.body);
  });

  test("large files are kept open, and closed when nobody needs them", async () => {
    using dir = directoryOf({ big });
    const { get, cache } = serve(dir.path);
    const first = get("/static/big", { at: 0 });
    const second = get("/static/big", { at: 1 });
    expect(first.body.kind).toBe("file");
    expect(second.body).toBe(first.body);
    expect(openBelow(dir.path)).toBe(1);
    expect(cache.usage.descriptors).toBe(1);
    expect((await bodyBytes(first.body)).equals(big)).toBe(true);
    rmSync(`${dir.path}/big`);
    expect(get("/static/big", { at: 1000 }).head.status).toBe(404);
    expect(cache.usage.descriptors).toBe(0);
    // The file is gone, but its last reader still gets it whole.
    expect(openBelow(dir.path)).toBe(1);
    expect((await bodyBytes(second.body)).equals(big)).toBe(true);
    expect(openBelow(dir.path)).toBe(0);
  });

  test("no more descriptors than allowed are kept", () => {
    using dir = directoryOf({ a: big, b: big });
    const cache = new FileCache({ ...standardLimits, descriptors: 1 });
    const { get } = serve(dir.path, { cache });
    for (const name of ["a", "b", "b", "a"]) dropBody(get(`/static/${name}`, { at: 0 }).body, "test");
    expect(cache.usage.descriptors).toBe(1);
    expect(openBelow(dir.path)).toBe(1);
    cache.sweep(60_000);
    expect(cache.usage).toEqual({ entries: 0, bytes: 0, descriptors: 0 });
    expect(openBelow(dir.path)).toBe(0);
  });

  test("a file that grows while it is sent is sent as it was found", async () => {
    using dir = directoryOf({ big });
    const reply = serve(dir.path).get("/static/big");
    appendFileSync(`${dir.path}/big`, "more");
    expect((await bodyBytes(reply.body)).length).toBe(big.length);
  });
});
