import { describe, expect, setSystemTime, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { bodyBytes, bodyText, directoryOf, exchangeFor, type RequestOptions } from "../../../tests/support/exchange.ts";
import type { Reply } from "../../http/message.ts";
import { FileCache, standardLimits } from "../file_cache.ts";
import { dropBody } from "../reply.ts";
import { type StaticOptions, staticFiles } from "./static.ts";

type Options = Partial<StaticOptions>;

/** Asks a handler of its own, with a cache of its own. */
function serve(root: string, options: Options = {}) {
  const cache = options.cache ?? new FileCache();
  const handler = staticFiles({ prefix: "/static/", root, cache, ...options });
  const ask = (target: string, request: RequestOptions = {}): Reply | undefined => {
    const found = handler(exchangeFor(target, request));
    if (found instanceof Promise || (found !== undefined && "jumpTo" in found)) throw new Error("a reply was expected");
    return found;
  };
  const get = (target: string, request: RequestOptions = {}): Reply => {
    const reply = ask(target, request);
    if (reply === undefined) throw new Error("no answer");
    return reply;
  };
  return { ask, get, cache };
}

const field = (reply: Reply, name: string): string | undefined => reply.head.headers.get(name);
const settledDate = new Date("2024-05-01T10:20:30.750Z");
const big = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef");
/** Descriptors of this process that are open below a directory. */
const openBelow = (path: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false;
    }
  }).length;

describe("a file", () => {
  test("comes with all that a cache needs", async () => {
    using dir = directoryOf({ "a/app.css": "body{}" });
    utimesSync(`${dir.path}/a/app.css`, settledDate, settledDate);
    const { get } = serve(dir.path, { cacheControl: "max-age=60" });
    const reply = get("/static/a/app.css?v=1");
    expect(reply.head.status).toBe(200);
    expect(await bodyText(reply)).toBe("body{}");
    const { names, values } = reply.head.headers;
    expect(names.map(({ raw }, i) => `${raw}: ${values[i]}`)).toEqual([
      "Content-Type: text/css; charset=utf-8",
      "Content-Length: 6",
      "Last-Modified: Wed, 01 May 2024 10:20:30 GMT",
      'ETag: "663217ae-6"',
      "Cache-Control: max-age=60",
      "Accept-Ranges: bytes",
    ]);
  });

  test.each([
    ["x.html", "text/html; charset=utf-8"],
    ["x.js", "text/javascript; charset=utf-8"],
    ["x.mjs", "text/javascript; charset=utf-8"],
    ["x.txt", "text/plain; charset=utf-8"],
    ["x.json", "application/json"],
    ["x.svg", "image/svg+xml"],
    ["x.PNG", "image/png"],
    ["x.woff2", "font/woff2"],
    ["x.wasm", "application/wasm"],
    ["x.tar.gz", "application/gzip"],
    ["png", "application/octet-stream"],
    ["x.unheard-of", "application/octet-stream"],
  ])("%s is %s", (name, type) => {
    using dir = directoryOf({ [name]: "x" });
    expect(field(serve(dir.path).get(`/static/${name}`), "content-type")).toBe(type);
  });

  test("may be empty", async () => {
    using dir = directoryOf({ empty: "" });
    const reply = serve(dir.path).get("/static/empty");
    expect(field(reply, "content-length")).toBe("0");
    expect(reply.body.kind).toBe("empty");
  });

  test.each([
    ["of UTF-8", "caf\u00e9 \u{1F984}.txt", "/static/caf%C3%A9%20%F0%9F%A6%84.txt"],
    ["with what looks like an escape", "100%25.txt", "/static/100%2525.txt"],
    ["with a question mark", "a?b#c.txt", "/static/a%3Fb%23c.txt"],
    ["with a backslash", "a\\b.txt", "/static/a%5Cb.txt"],
  ])("may have a name %s", async (_, name, target) => {
    using dir = directoryOf({ [name]: "found" });
    expect(await bodyText(serve(dir.path).get(target))).toBe("found");
  });

  test("may have a name of any bytes, below a root of any", async () => {
    using dir = directoryOf({ "r\u00f6\u00f6t/x": "" });
    writeFileSync(
      Buffer.from(`${Buffer.from(`${dir.path}/r\u00f6\u00f6t`).toString("latin1")}/\xff\xfe`, "latin1"),
      "found",
    );
    expect(await bodyText(serve(`${dir.path}/r\u00f6\u00f6t/`).get("/static/%ff%FE"))).toBe("found");
  });

  test("dated in the future was changed just now (RFC 9110 8.8.2.1)", () => {
    using dir = directoryOf({ x: "x" });
    utimesSync(`${dir.path}/x`, new Date("2100-01-01"), new Date("2100-01-01"));
    const date = Date.parse(field(serve(dir.path).get("/static/x"), "last-modified") ?? "");
    expect(Math.abs(date - Date.now())).toBeLessThan(5000);
  });

  test("is found for GET and HEAD only", () => {
    using dir = directoryOf({ x: "x" });
    const { get } = serve(dir.path);
    expect(get("/static/x", { method: "HEAD" }).head.status).toBe(200);
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "get"]) {
      const reply = get("/static/x", { method });
      expect(reply.head.status).toBe(405);
      expect(field(reply, "allow")).toBe("GET, HEAD");
    }
  });
});

describe("a directory", () => {
  test("without slash leads to the one with it, by path alone and with the query", () => {
    using dir = directoryOf({ "docs/index.html": "", "a b/x": "", "caf\u00e9?/x": "" });
    const { get } = serve(dir.path);
    const location = (target: string) => {
      const reply = get(target);
      expect(reply.head.status).toBe(301);
      return field(reply, "location");
    };
    expect(location("/static/docs")).toBe("/static/docs/");
    expect(location("/static//./docs?a=1&b=%20")).toBe("/static/docs/?a=1&b=%20");
    expect(location("/static/a%20b")).toBe("/static/a%20b/");
    expect(location("/static/caf%C3%A9%3f")).toBe("/static/caf%C3%A9%3F/");
    expect(location("/static/docs?a\r\nb")).toBe("/static/docs/?a%0D%0Ab");
  });

  test("cannot be used to send somebody to another host", () => {
    using dir = directoryOf({ "evil.example/x": "", "\\evil.example/x": "" });
    const { get } = serve(dir.path, { prefix: "/" });
    expect(field(get("//evil.example"), "location")).toBe("/evil.example/");
    expect(field(get("/%2f%2fevil.example"), "location")).toBe("/evil.example/");
    expect(field(get("/%5cevil.example"), "location")).toBe("/%5Cevil.example/");
  });

  test("shows the first index file that it has, else nothing", async () => {
    using dir = directoryOf({ "a/index.html": "html", "b/index.htm": "htm", "c/x": "", "d/index.html/x": "" });
    const { get } = serve(dir.path, { index: ["index.html", "index.htm"] });
    expect(await bodyText(get("/static/a/"))).toBe("html");
    expect(await bodyText(get("/static/b/"))).toBe("htm");
    expect(field(get("/static/b/"), "content-type")).toBe("text/html; charset=utf-8");
    expect(get("/static/c/").head.status).toBe(404);
    expect(get("/static/d/").head.status).toBe(404);
    expect(get("/static/").head.status).toBe(404);
  });

  test("a file is none", () => {
    using dir = directoryOf({ x: "" });
    const { get } = serve(dir.path);
    expect(get("/static/x/").head.status).toBe(404);
    expect(get("/static/x/y").head.status).toBe(404);
  });
});

describe("never outside the directory", () => {
  // Targets that the path rules let through; what climbs above the site's root never comes here (path.test.ts).
  test.each([
    "/static/../secret",
    "/static/..%2fsecret",
    "/static/%2e%2e/secret",
    "/static/%2e%2e%2fsecret",
    "/static/a/../../secret",
    "/static/..%5csecret",
    "/static/..\\secret",
    "/static/%252e%252e/secret",
    "/static/..%252fsecret",
    "/static/%c0%ae%c0%ae/secret",
    "/static/%c0%ae%c0%ae%c0%afsecret",
    "/static/..;/secret",
    "/static/;/../../secret",
    "/static../secret",
    "/static..%2fsecret",
    "/static%2f..%2fsecret",
    "/static/....//secret",
    "/static/.../secret",
    "/staticsecret",
    "/secret",
  ])("%s", (target) => {
    using dir = directoryOf({ secret: "secret", staticsecret: "secret", "public/x": "", "public/a/x": "" });
    const reply = serve(`${dir.path}/public`).ask(target);
    expect(reply?.head.status ?? 404).toBe(404);
  });

  test("nor by a path that was not normalised", () => {
    using dir = directoryOf({ secret: "secret", "public/x": "" });
    const handler = staticFiles({ prefix: "/static", root: `${dir.path}/public`, cache: new FileCache() });
    for (const uri of ["/static/../secret", "/static/x/../../secret", "/static/x\0", "/static/\0"]) {
      const reply = handler({ ...exchangeFor("/static/x"), uri });
      expect(reply).toMatchObject({ head: { status: 404 } });
    }
  });

  test("nor by a link, be it of a file, a directory, an index or a sibling", async () => {
    using dir = directoryOf({ "out/secret": "secret", "out/index.html": "secret", "in/x.css": "mine", "in/sub/x": "" });
    const root = `${dir.path}/in`;
    symlinkSync("../out/secret", `${root}/file`);
    symlinkSync(`${dir.path}/out`, `${root}/directory`);
    symlinkSync("/etc/hostname", `${root}/sub/index.html`);
    symlinkSync("../out/secret", `${root}/x.css.br`);
    symlinkSync("loop", `${root}/loop`);
    const { get } = serve(root);
    for (const name of ["file", "directory", "directory/", "directory/secret", "sub/", "loop"])
      expect(get(`/static/${name}`).head.status).toBe(404);
    expect(get("/static/x.css", { headers: { "Accept-Encoding": "br" } }).head.status).toBe(404);
    expect(await bodyText(get("/static/x.css"))).toBe("mine");
    expect(openBelow(dir.path)).toBe(0);
    const anywhere = serve(root, { links: "anywhere" });
    expect(await bodyText(anywhere.get("/static/file"))).toBe("secret");
    expect(await bodyText(anywhere.get("/static/directory/"))).toBe("secret");
    expect(anywhere.get("/static/directory").head.status).toBe(301);
  });

  test("not even to a neighbour whose name begins the same", () => {
    using dir = directoryOf({ "in/x": "", "in-secret/x": "secret" });
    symlinkSync("../in-secret/x", `${dir.path}/in/y`);
    expect(serve(`${dir.path}/in`).get("/static/y").head.status).toBe(404);
  });

  test("links inside are followed, and the root may be one that is exchanged", async () => {
    using dir = directoryOf({ "v1/a/x": "one", "v2/a/x": "two" });
    symlinkSync("a/x", `${dir.path}/v1/link`);
    symlinkSync(`${dir.path}/v2/a/x`, `${dir.path}/v2/link`);
    symlinkSync("v1", `${dir.path}/current`);
    const { get } = serve(`${dir.path}/current`);
    expect(await bodyText(get("/static/link", { at: 0 }))).toBe("one");
    symlinkSync("v2", `${dir.path}/next`);
    renameSync(`${dir.path}/next`, `${dir.path}/current`);
    expect(await bodyText(get("/static/a/x", { at: 1 }))).toBe("two");
    expect(await bodyText(get("/static/link", { at: 1000 }))).toBe("two");
  });
});

describe("not everything is a file to be served", () => {
  test("names with a dot in front are not, except .well-known", async () => {
    using dir = directoryOf({
      ".env": "",
      ".git/config": "",
      "a/.htaccess": "",
      ".well-known/acme-challenge/t": "token",
      "a/..b": "",
    });
    const { get } = serve(dir.path, { prefix: "/" });
    for (const name of ["/.env", "/.git/config", "/.git/", "/.git", "/a/.htaccess", "/a/..b"])
      expect(get(name).head.status).toBe(404);
    expect(await bodyText(get("/.well-known/acme-challenge/t"))).toBe("token");
    expect(get("/.well-known").head.status).toBe(301);
    expect(get("/.well-knownx").head.status).toBe(404);
  });

  test("a FIFO, a device, a socket are not, and nobody waits for them", async () => {
    using dir = directoryOf({ x: "" });
    expect(Bun.spawnSync(["mkfifo", `${dir.path}/fifo`]).exitCode).toBe(0);
    symlinkSync("/dev/zero", `${dir.path}/zero`);
    const listener = Bun.listen({ unix: `${dir.path}/socket`, socket: { data: () => {} } });
    const { get } = serve(dir.path, { links: "anywhere" });
    for (const name of ["fifo", "zero", "socket"]) expect(get(`/static/${name}`).head.status).toBe(404);
    listener.stop(true);
  });

  test("a name longer than the system takes is not", () => {
    using dir = directoryOf({ x: "" });
    expect(serve(dir.path).get(`/static/${"n".repeat(300)}`).head.status).toBe(404);
    expect(serve(dir.path).get(`/static/${"n/".repeat(3000)}`).head.status).toBe(404);
  });

  test.skipIf(process.getuid?.() === 0)("a file that we may not read is forbidden", () => {
    using dir = directoryOf({ x: "" });
    chmodSync(`${dir.path}/x`, 0);
    expect(serve(dir.path).get("/static/x").head.status).toBe(403);
  });

  test("a root that is not there has no files, until it is", async () => {
    using dir = directoryOf({});
    const { get } = serve(`${dir.path}/later`);
    expect(get("/static/x").head.status).toBe(404);
    mkdirSync(`${dir.path}/later`);
    writeFileSync(`${dir.path}/later/x`, "now");
    expect(await bodyText(get("/static/x"))).toBe("now");
  });

  test("what is not below the prefix is somebody else's", () => {
    using dir = directoryOf({ x: "" });
    const { ask } = serve(dir.path);
    expect(ask("/other")).toBeUndefined();
    expect(ask("/static")).toBeUndefined();
    expect(ask("/other", { method: "POST" })).toBeUndefined();
  });

  test("with fallThrough the next handler gets what is no file", async () => {
    using dir = directoryOf({ x: "x", "d/y": "" });
    const { ask, get } = serve(dir.path, { prefix: "/", fallThrough: true });
    expect(await bodyText(get("/x"))).toBe("x");
    expect(ask("/nothing")).toBeUndefined();
    expect(ask("/d/")).toBeUndefined();
    expect(ask("/x", { method: "POST" })).toBeUndefined();
    expect(get("/d").head.status).toBe(301);
  });
});

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
    expect(tag("br")).toBe('"663217ae-4-br"');
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
