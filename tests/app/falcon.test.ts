/** A Falcon API on the real server. */

import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { Directory, Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { exchange, fixture, Gate, get, inPieces, response } from "./support.ts";

const directory = new Directory();
afterAll(() => directory[Symbol.dispose]());
const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
const bytes = crypto.getRandomValues(new Uint8Array(60_000));

for (const app of ["falcon_site:app", "falcon_site:checked"]) {
  describe(app, async () => {
    const server = await Server.start(fixture(app, "--workers", "1"));
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      expect(server.output).not.toMatch(/AssertionError|WSGIWarning/);
    });
    const post = (path: string, data: unknown): Promise<Response> =>
      server.fetch(path, {
        method: "POST",
        body: JSON.stringify(data),
        headers: { "Content-Type": "application/json" },
      });

    test("resources: list, make, get, delete", async () => {
      expect(await (await server.fetch("/things")).json()).toEqual([{ id: "1", name: "première" }]);
      const made = await post("/things", { name: "zweites ✓" });
      expect([made.status, made.headers.get("location")]).toEqual([201, "/things/2"]);
      expect(await (await server.fetch("/things?limit=1")).json()).toHaveLength(1);
      const got = await server.fetch("/things/2");
      expect([got.headers.get("etag"), await got.json()]).toEqual(['"thing-2"', { id: "2", name: "zweites ✓" }]);
      using client = await Client.open(server.port);
      const gone = await exchange(client, "DELETE /things/2 HTTP/1.1\r\nHost: x\r\n\r\n");
      expect([gone.status, gone.field("content-length"), gone.body]).toEqual([204, undefined, ""]);
      expect((await exchange(client, get("/things/2"))).status).toBe(404);
    });

    test("middleware sees every answer", async () => {
      expect((await server.fetch("/things")).headers.get("x-seen")).toBe("GET /things True");
      expect((await server.fetch("/things/9")).headers.get("x-seen")).toBe("GET /things/9 False");
    });

    test("Falcon's errors in JSON", async () => {
      const missing = await server.fetch("/things/9");
      expect([missing.status, await missing.json()]).toEqual([404, { title: "No thing 9" }]);
      const nameless = await post("/things", {});
      expect([nameless.status, await nameless.json()]).toEqual([
        422,
        { title: "No name", description: "a thing has one" },
      ]);
      expect((await server.fetch("/things", { method: "PATCH" })).headers.get("allow")).toContain("POST");
      const headers = { "Content-Type": "application/json" };
      expect((await server.fetch("/things", { method: "POST", body: "{", headers })).status).toBe(400);
    });

    test("an exception: 500, the traceback in the log only", async () => {
      const from = server.output.length;
      const got = await server.fetch("/boom");
      expect([got.status, await got.text()]).toEqual([500, expect.not.stringMatching(/confidential|Traceback/)]);
      await server.logged(/RuntimeError: confidential/, from);
    });

    test("uploads: raw, in chunks, and as a form", async () => {
      const large = new Uint8Array(2 << 20).map((_, i) => i % 249);
      const expected = { size: large.length, length: large.length, sha256: sha256(large) };
      expect(await (await server.fetch("/upload", { method: "PUT", body: large })).json()).toEqual(expected);
      const body = inPieces(large, 100_000);
      expect(await (await server.fetch("/upload", { method: "PUT", body })).json()).toEqual(expected);
      const form = new FormData();
      form.set("file", new File([bytes], "a.bin"));
      expect(await (await server.fetch("/upload", { method: "POST", body: form })).json()).toEqual({
        file: { filename: "a.bin", size: bytes.length, sha256: sha256(bytes) },
      });
    });

    test("streams: file-like, a file, and a generator block by block", async () => {
      expect(await (await server.fetch("/stream")).text()).toBe("line\n".repeat(50_000));
      const path = directory.write("file", bytes);
      expect(sha256(await (await server.fetch(`/file?path=${path}`)).bytes())).toBe(sha256(bytes));
      using gate = new Gate(directory, `gate-${app}`);
      using client = await Client.open(server.port);
      client.send(get(`/stream?gate=${gate.path}`));
      await client.read(/start\n\r\n$/);
      gate.release();
      expect((await response(client)).chunks).toEqual(["start\n", "end\n"]);
    });
  });
}
