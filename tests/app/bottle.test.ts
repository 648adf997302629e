/** A Bottle application on the real server. */

import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { Directory, Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { Browser } from "./browser.ts";
import { fixture, Gate, get, response } from "./support.ts";

const directory = new Directory();
afterAll(() => directory[Symbol.dispose]());
const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
const bytes = crypto.getRandomValues(new Uint8Array(60_000));

for (const app of ["bottle_site:app", "bottle_site:checked"]) {
  describe(app, async () => {
    const server = await Server.start(fixture(app, "--workers", "1"));
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      expect(server.output).not.toMatch(/AssertionError|WSGIWarning/);
    });

    test("a page from a template", async () => {
      const got = await server.fetch("/hello/J%C3%BCrgen%20%3C3?count=2");
      expect([got.status, await got.text()]).toEqual([200, "<h1>Hello Jürgen &lt;3!</h1>\n<p>0</p>\n<p>1</p>\n"]);
    });

    test("JSON in and out", async () => {
      const data = { text: "ź → 🐢", list: [1, null] };
      const headers = { "Content-Type": "application/json" };
      const got = await server.fetch("/echo?q=%C5%BA", { method: "PUT", body: JSON.stringify(data), headers });
      expect(await got.json()).toEqual({ method: "PUT", data, q: "ź" });
    });

    test("a signed cookie through a redirect", async () => {
      const browser = new Browser(server);
      expect(await browser.text("/me")).toBe("You are nobody");
      expect(await (await browser.post("/login", { user: "Zoë" })).text()).toBe("You are Zoë");
      expect(await browser.text("/me")).toBe("You are Zoë");
    });

    test("an upload, small and in a temporary file", async () => {
      for (const size of [10, 300_000]) {
        const content = new Uint8Array(size).map((_, i) => i % 241);
        const body = new FormData();
        body.set("file", new File([content], "a.bin"));
        expect(await (await server.fetch("/upload", { method: "POST", body })).json()).toEqual({
          filename: "a.bin",
          size,
          sha256: sha256(content),
        });
      }
    });

    test("static_file: whole, a part, HEAD, not modified, missing", async () => {
      const path = `/file${directory.write("file.bin", bytes)}`;
      const got = await server.fetch(path);
      expect(sha256(await got.bytes())).toBe(sha256(bytes));
      const part = await server.fetch(path, { headers: { Range: "bytes=100-299" } });
      expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 100-299/60000"]);
      expect(sha256(await part.bytes())).toBe(sha256(bytes.subarray(100, 300)));
      const head = await server.fetch(path, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length")]).toEqual([200, "60000"]);
      // Bottle says Content-Type with a 304, which the validator holds against it.
      if (app === "bottle_site:app") {
        const headers = { "If-None-Match": got.headers.get("etag") ?? "" };
        expect((await server.fetch(path, { headers })).status).toBe(304);
      }
      expect((await server.fetch(`${path}.none`)).status).toBe(404);
    });

    test("a generator, block by block", async () => {
      using gate = new Gate(directory, `gate-${app}`);
      using client = await Client.open(server.port);
      client.send(get(`/rows?gate=${gate.path}`));
      await client.read(/start \xe2\x86\x92\n\r\n$/);
      gate.release();
      expect((await response(client)).chunks).toEqual(["start \xe2\x86\x92\n", "end\n"]);
    });

    test("nothing at all is an empty page", async () => {
      const got = await server.fetch("/nothing");
      expect([got.status, got.headers.get("content-length"), await got.text()]).toEqual([200, "0", ""]);
    });

    test("errors as Bottle answers them", async () => {
      const missing = await server.fetch("/none");
      expect([missing.status, await missing.text()]).toEqual([404, expect.stringMatching(/^nothing at \/none/)]);
      const wrong = await server.fetch("/login");
      expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
      const teapot = await server.fetch("/teapot");
      expect([teapot.status, await teapot.text()]).toEqual([418, expect.stringContaining("short and stout")]);
    });

    test("an exception: Bottle's 500, the traceback in wsgi.errors", async () => {
      const from = server.output.length;
      const got = await server.fetch("/boom");
      expect([got.status, await got.text()]).toEqual([500, expect.not.stringMatching(/confidential|Traceback/)]);
      await server.logged(/Traceback[\s\S]*RuntimeError: confidential/, from);
    });
  });
}
