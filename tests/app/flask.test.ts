/** A Flask project on the real server. */

import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Directory, root, Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { Browser } from "./browser.ts";
import { Gate, get, python, response } from "./support.ts";

const project = join(root, "tests/apps/flask_site");
const directory = new Directory();
afterAll(() => directory[Symbol.dispose]());
const content = crypto.getRandomValues(new Uint8Array(60_000));
const file = directory.write("file", content);
const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

for (const app of ["app:app", "app:checked"]) {
  describe(app, async () => {
    const server = await Server.start(["--python", python, "--chdir", project, "--workers", "2", app]);
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      expect(server.output).not.toMatch(/AssertionError|WSGIWarning/);
    });

    test("a page from a template, with text of all kinds", async () => {
      const got = await server.fetch("/hello/%E4%B8%96%E7%95%8C%20%3Cb%3E?greeting=Gr%C3%BC%C3%9Fe");
      expect(got.status).toBe(200);
      expect(got.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(await got.text()).toContain("<h1>Grüße, 世界 &lt;b&gt;!</h1>");
    });

    test("JSON in and out", async () => {
      const data = { text: "żółw → 🐢", list: [1, 2.5, null, true] };
      for (const method of ["POST", "PUT"]) {
        const body = JSON.stringify(data);
        const headers = { "Content-Type": "application/json" };
        const got = await server.fetch("/api/echo?a=1&a=2&b=", { method, body, headers });
        expect(await got.json()).toEqual({ method, data, query: { a: ["1", "2"], b: [""] } });
      }
    });

    test("what is no JSON is the client's fault", async () => {
      const headers = { "Content-Type": "application/json" };
      expect((await server.fetch("/api/echo", { method: "POST", body: "{", headers })).status).toBe(400);
      expect((await server.fetch("/api/echo", { method: "POST", body: "{}" })).status).toBe(415);
    });

    test("a session: log in, be known, log out; flashed messages once", async () => {
      const browser = new Browser(server);
      expect(await browser.text("/")).toContain("You are nobody.");
      const page = await (await browser.post("/login", { user: "Zoë & co" })).text();
      expect(page).toContain("You are Zoë &amp; co.");
      expect(page).toContain("Welcome, Zoë &amp; co");
      expect(browser.cookie("seen")).toBe('"yes\\073 really"');
      expect(await browser.text("/")).not.toContain("Welcome");
      expect(await (await browser.post("/logout", {})).text()).toContain("You are nobody.");
      expect(browser.cookie("session")).toBeUndefined();
    });

    test("two cookies are two fields", async () => {
      const got = await server.fetch("/login", { method: "POST", body: new URLSearchParams({ user: "x" }) });
      expect([got.status, got.headers.get("location")]).toEqual([302, "/"]);
      expect(got.headers.getSetCookie().map((each) => each.split("=")[0])).toEqual(["seen", "session"]);
    });

    test("an upload of two files and a field, small and in a temporary file", async () => {
      for (const size of [1000, 3 << 20]) {
        const bytes = new Uint8Array(size).map((_, i) => i % 253);
        const body = new FormData();
        body.set("one", new File([bytes], "größe.bin"));
        body.set("two", new File(["second"], "2.txt"));
        body.set("comment", "and ünïcode");
        expect(await (await server.fetch("/upload", { method: "POST", body })).json()).toEqual({
          files: {
            one: { filename: "größe.bin", size, sha256: sha256(bytes) },
            two: { filename: "2.txt", size: 6, sha256: sha256(Buffer.from("second")) },
          },
          form: { comment: "and ünïcode" },
        });
      }
    });

    test("Flask's own limit on bodies answers", async () => {
      const body = new FormData();
      body.set("one", new File([new Uint8Array(65 << 20)], "large"));
      expect((await server.fetch("/upload", { method: "POST", body })).status).toBe(413);
    });

    test("a stream: each row when it is made", async () => {
      using gate = new Gate(directory, `gate-${app}`);
      using client = await Client.open(server.port);
      client.send(get(`/stream?who=me&gate=${gate.path}`));
      await client.read(/start for me\n\r\n$/);
      gate.release();
      expect((await response(client)).chunks).toEqual(["start for me\n", "end\n"]);
    });

    test("send_file: whole, its head, parts of it, and not at all when the client has it", async () => {
      const path = `/file?path=${file}`;
      const got = await server.fetch(path);
      expect(sha256(await got.bytes())).toBe(sha256(content));
      const etag = got.headers.get("etag") ?? "";
      const head = await server.fetch(path, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "60000", ""]);
      for (const [range, from, to] of [
        ["bytes=0-99", 0, 100],
        ["bytes=1000-", 1000, 60_000],
        ["bytes=-7", 59_993, 60_000],
        ["bytes=59999-70000", 59_999, 60_000],
      ] as const) {
        const part = await server.fetch(path, { headers: { Range: range } });
        expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes ${from}-${to - 1}/60000`]);
        expect(sha256(await part.bytes())).toBe(sha256(content.subarray(from, to)));
      }
      expect((await server.fetch(path, { headers: { Range: "bytes=60000-" } })).status).toBe(416);
      expect((await server.fetch(path, { headers: { "If-None-Match": etag } })).status).toBe(304);
      expect((await server.fetch(path, { headers: { "If-Range": etag, Range: "bytes=0-1" } })).status).toBe(206);
      expect((await server.fetch(path, { headers: { "If-Range": '"no"', Range: "bytes=0-1" } })).status).toBe(200);
    });

    test("an attachment with a name that is not ASCII", async () => {
      const got = await server.fetch("/attachment");
      expect(got.headers.get("content-disposition")).toContain("filename*=UTF-8''gr%C3%B6%C3%9Fe%20%E2%86%92.csv");
      expect(await got.text()).toBe("a,b\n1,2\n");
    });

    test("Flask's static files", async () => {
      const got = await server.fetch("/static/style.css");
      expect([got.status, got.headers.get("content-type")]).toEqual([200, "text/css; charset=utf-8"]);
      expect(await got.text()).toBe("body { color: navy }\n");
    });

    test("Flask knows where it is", async () => {
      const headers = { "Accept-Language": "de;q=0.5, fr", Host: "shop.example:81" };
      expect(await (await server.fetch("/where?a=%C3%A9", { headers })).json()).toEqual({
        url: "http://shop.example:81/where?a=é",
        root: "http://shop.example:81/",
        remote: "127.0.0.1",
        secure: false,
        multiprocess: true,
        language: "fr",
        full_path: "/where?a=%C3%A9",
      });
    });

    test("redirects, wrong methods, and errors as Flask answers them", async () => {
      const wrong = await server.fetch("/login");
      expect([wrong.status, wrong.headers.get("allow")?.split(", ").sort()]).toEqual([405, ["OPTIONS", "POST"]]);
      const options = await server.fetch("/", { method: "OPTIONS" });
      expect(options.headers.get("allow")?.split(", ").sort()).toEqual(["GET", "HEAD", "OPTIONS"]);
      const missing = await server.fetch("/nowhere");
      expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining("nothing at /nowhere")]);
      const teapot = await server.fetch("/teapot");
      expect([teapot.status, teapot.statusText]).toEqual([418, "I'M A TEAPOT"]);
      expect(await teapot.text()).toContain("short and stout");
    });

    test("an exception: Flask's 500, the traceback in our log, nothing of it with the client", async () => {
      const from = server.output.length;
      const got = await server.fetch("/boom");
      expect([got.status, await got.text()]).toEqual([500, expect.not.stringMatching(/confidential|Traceback/)]);
      await server.logged(/ERROR in app: Exception on \/boom \[GET\][\s\S]*RuntimeError: confidential/, from);
    });

    test("Flask's logger and print() reach our output", async () => {
      const from = server.output.length;
      expect(await (await server.fetch("/log")).text()).toBe("logged");
      await server.logged(/a warning from Flask/, from);
      await server.logged(/printed to standard output/, from);
    });
  });
}

test("the project's static files by the web side: --static", async () => {
  const statics = `/static=${join(project, "static")}`;
  await using server = await Server.start(["--python", python, "--chdir", project, "--static", statics, "app:app"]);
  const [, href] = /href="([^"]+)"/.exec(await (await server.fetch("/hello/x")).text()) ?? [];
  const got = await server.fetch(href ?? "");
  expect([got.status, await got.text()]).toEqual([200, "body { color: navy }\n"]);
  // Flask's own would have said so.
  expect(got.headers.get("content-disposition")).toBeNull();
  expect((await server.fetch("/static/none.css")).status).toBe(404);
});
