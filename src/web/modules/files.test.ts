import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { bodyText, directoryOf, exchangeFor } from "../../../tests/support/exchange.ts";
import { field, openBelow, serve } from "../../../tests/support/static.ts";
import { FileCache, standardLimits } from "../file_cache.ts";
import { staticFiles } from "./files.ts";

const settledDate = new Date("2024-05-01T10:20:30.750Z");

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
      'ETag: "6632176e-6"',
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
      const exchange = exchangeFor("/static/x");
      exchange.uri = uri;
      const reply = handler(exchange);
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

  test("nor by a link that is exchanged while we look", async () => {
    using dir = directoryOf({ secret: "secret", "in/mine": "mine" });
    const exchange = `const { renameSync, symlinkSync } = require("node:fs");
      for (;;) for (const target of ["mine", "../secret"]) { symlinkSync(target, "next"); renameSync("next", "x"); }`;
    symlinkSync("mine", `${dir.path}/in/x`);
    const exchanger = Bun.spawn([process.execPath, "-e", exchange], { cwd: `${dir.path}/in` });
    const { get } = serve(`${dir.path}/in`, { cache: new FileCache({ ...standardLimits, bytes: 0 }) });
    const seen = new Set<string>();
    for (const end = performance.now() + 5000; performance.now() < end && !(seen.has("mine") && seen.has("404")); ) {
      for (let i = 0; i < 1000; i++) {
        const reply = get("/static/x");
        seen.add(reply.head.status === 200 ? await bodyText(reply) : String(reply.head.status));
      }
    }
    exchanger.kill();
    await exchanger.exited;
    expect(seen.has("mine") && seen.has("404")).toBe(true);
    expect([...seen].filter((each) => !["mine", "404", "503"].includes(each))).toEqual([]);
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

  test("a file that we may not read is forbidden", () => {
    using dir = directoryOf({ x: "" });
    chmodSync(dir.path, 0o755);
    chmodSync(`${dir.path}/x`, 0);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect(serve(dir.path).get("/static/x").head.status).toBe(403);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
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
