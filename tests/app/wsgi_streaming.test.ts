/** PEP 3333: blocks leave as they are made, clients that leave are noticed, and slow clients do not occupy the application. */

import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { Directory, Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { exchange, fixture, Gate, get, once, request, response } from "./support.ts";

const directory = new Directory();
afterAll(() => directory[Symbol.dispose]());
let gates = 0;
const newGate = (): Gate => new Gate(directory, `gate-${gates++}`);
const sha256 = (data: string | Uint8Array): string =>
  createHash("sha256")
    .update(typeof data === "string" ? Buffer.from(data, "latin1") : data)
    .digest("hex");

for (const [app, ...options] of [
  ["streams:app", "--workers", "1"],
  ["streams:plain", "--workers", "1"],
  ["streams:app", "--workers", "1", "--threads", "4"],
] as const) {
  describe([app, ...options].join(" "), async () => {
    const server = await Server.start(fixture(app, ...options));
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      expect(server.output).not.toMatch(/AssertionError|WSGIWarning|Traceback/);
    });
    /** Waits until the application's iterable has been closed. */
    const closed = (path: string, from = 0): Promise<RegExpExecArray> =>
      server.logged(new RegExp(`^closed ${path} (\\d+) (\\w+)$`, "m"), from);

    for (const path of ["/gate", "/write-gate"]) {
      test(`${path}: each block is with the client before the application makes the next`, async () => {
        using gate = newGate();
        using client = await Client.open(server.port);
        client.send(get(`${path}?gate=${gate.path}`));
        await client.read(/\r\n\r\n5\r\nfirst\r\n$/);
        gate.release();
        await client.read(/\r\n6\r\nsecond\r\n$/);
        gate.release();
        expect((await response(client)).chunks).toEqual(["first", "second", "third"]);
        expect(await exchange(client, get("/quick"))).toMatchObject({ body: "quick", rest: "" });
      });
    }

    test("with a Content-Length too", async () => {
      using gate = newGate();
      using client = await Client.open(server.port);
      client.send(get(`/measured-gate?gate=${gate.path}`));
      await client.read(/\r\n\r\nfirst$/);
      gate.release();
      expect((await response(client)).body).toBe("firstsecond");
    });

    test("and to HTTP/1.0", async () => {
      using gate = newGate();
      using client = await Client.open(server.port);
      client.send(`GET /gate?gate=${gate.path} HTTP/1.0\r\n\r\n`);
      await client.read(/\r\n\r\nfirst$/);
      gate.release();
      gate.release();
      expect((await response(client)).body).toBe("firstsecondthird");
    });

    test("the client leaves in the middle of a stream: close() at the next block, and the worker goes on", async () => {
      using gate = newGate();
      const from = server.output.length;
      const client = await Client.open(server.port);
      client.send(get(`/gate?gate=${gate.path}`));
      await client.read(/first\r\n$/);
      client[Symbol.dispose]();
      await server.logged(new RegExp(`waiting at ${gate.path}`));
      gate.release();
      gate.release();
      await closed("/gate", from);
      expect(await once(server.port, get("/quick"))).toMatchObject({ body: "quick" });
    });

    for (const path of ["/endless", "/swallowing"]) {
      test(`the client leaves ${path}, having read some: the stream ends and is closed`, async () => {
        const from = server.output.length;
        const client = await Client.open(server.port);
        client.send(get(path));
        await client.read(/\r\n10000\r\n/);
        client[Symbol.dispose]();
        await closed(path, from);
        expect(await once(server.port, get("/quick"))).toMatchObject({ body: "quick" });
      });
    }

    test("the client leaves before the application has answered: close() when it does", async () => {
      using gate = newGate();
      const from = server.output.length;
      const client = await Client.open(server.port);
      client.send(get(`/late?gate=${gate.path}`));
      await server.logged(new RegExp(`waiting at ${gate.path}`));
      client[Symbol.dispose]();
      gate.release();
      await closed("/late", from);
      expect(await once(server.port, get("/quick"))).toMatchObject({ body: "quick" });
    });

    test("a client that has said all it has to say (half-closed) still gets the whole answer", async () => {
      using gate = newGate();
      using client = await Client.open(server.port);
      client.send(get(`/gate?gate=${gate.path}`));
      await client.read(/first\r\n$/);
      client.socket.end();
      gate.release();
      gate.release();
      expect((await response(client)).chunks).toEqual(["first", "second", "third"]);
    });

    // Slow clients. There is one Python worker: were it waiting for them, nobody else would be answered.

    test("a slow upload does not occupy it", async () => {
      const body = "0123456789".repeat(20_000);
      using slow = await Client.open(server.port);
      slow.send(request("POST", "/drain", [`Content-Length: ${body.length}`], body.slice(0, 150_000)));
      for (const part of [body.slice(150_000, 150_001), body.slice(150_001, 199_999)]) {
        for (let i = 0; i < 5; i++) expect((await once(server.port, get("/quick"))).body).toBe("quick");
        slow.send(part);
      }
      expect(slow.received).toBe("");
      slow.send(body.slice(199_999));
      expect((await response(slow)).body).toBe(`200000 ${sha256(body)}`);
    });

    test("nor does one in chunks", async () => {
      using slow = await Client.open(server.port);
      slow.send(request("POST", "/drain", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n"));
      for (let i = 0; i < 5; i++) expect((await once(server.port, get("/quick"))).body).toBe("quick");
      slow.send("2\r\nde\r\n0\r\n\r\n");
      expect((await response(slow)).body).toBe(`5 ${sha256("abcde")}`);
    });

    test("nor does a slow reader: the application is done long before", async () => {
      const from = server.output.length;
      using slow = await Client.open(server.port);
      slow.socket.pause();
      slow.send(get("/big?mib=24"));
      const [, given, digest] = await closed("/big", from);
      expect(given).toBe(String(24 << 20));
      for (let i = 0; i < 5; i++) expect((await once(server.port, get("/quick"))).body).toBe("quick");
      slow.socket.resume();
      expect(sha256((await response(slow)).body)).toBe(digest!);
    });

    test("an upload that is given up is forgotten", async () => {
      const client = await Client.open(server.port);
      client.send(request("POST", "/drain", ["Content-Length: 1000000"], "x".repeat(300_000)));
      client[Symbol.dispose]();
      expect(await once(server.port, get("/quick"))).toMatchObject({ body: "quick" });
    });

    test("a list of large blocks", async () => {
      const { body } = await once(server.port, get("/big-list"));
      expect(sha256(body)).toBe(sha256("x".repeat(1_000_000) + "y".repeat(1_000_000)));
    });

    // wsgi.file_wrapper.

    const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) % 251));
    const file = directory.write(`file-${gates++}`, content);

    for (const [parameters, from, to] of [
      ["", 0, undefined],
      ["&offset=1000", 1000, undefined],
      ["&offset=1000&unbuffered=1", 1000, undefined],
      ["&offset=1000&read=10", 1010, undefined],
      ["&offset=1000&length=5000", 1000, 6000],
      ["&length=1", 0, 1],
      ["&offset=199999", 199_999, undefined],
      ["&offset=200000", 200_000, undefined],
    ] as const) {
      test(`file_wrapper${parameters}: from ${from} to ${to ?? "the end"}, closed afterwards`, async () => {
        using client = await Client.open(server.port);
        const seen = server.output.length;
        const got = await exchange(client, get(`/file?path=${file}${parameters}`));
        expect(sha256(got.body)).toBe(sha256(content.subarray(from, to)));
        await server.logged(/^closed \/file$/m, seen);
        expect(await exchange(client, get("/quick"))).toMatchObject({ body: "quick", rest: "" });
      });
    }

    test("file_wrapper: HEAD, and a status without a body", async () => {
      using client = await Client.open(server.port);
      expect(await exchange(client, request("HEAD", `/file?path=${file}`, []))).toMatchObject({
        status: 200,
        rest: "",
      });
      if (app === "streams:plain") {
        // The validator would object: 304 with a Content-Type.
        const path = `/file?path=${file}&status=304+Not+Modified`;
        expect(await exchange(client, get(path))).toMatchObject({ status: 304, rest: "" });
      }
      expect(await exchange(client, get("/quick"))).toMatchObject({ body: "quick", rest: "" });
    });

    test("file_wrapper: a file without a name, one in memory, a pipe, and the file itself", async () => {
      using client = await Client.open(server.port);
      const abc = "abc".repeat(100_000);
      expect((await exchange(client, get("/file-unlinked"))).body).toBe(abc.slice(3));
      expect((await exchange(client, get("/file-in-memory"))).body).toBe(abc);
      expect((await exchange(client, get("/pipe"))).body).toBe("through a pipe");
      expect(sha256((await exchange(client, get(`/file-plain?path=${file}`))).body)).toBe(sha256(content));
    });

    if (options.length > 2) {
      test("several threads: one waits, others answer", async () => {
        using gate = newGate();
        using client = await Client.open(server.port);
        client.send(get(`/gate?gate=${gate.path}`));
        await client.read(/first\r\n$/);
        for (let i = 0; i < 5; i++) expect((await once(server.port, get("/quick"))).body).toBe("quick");
        gate.release();
        gate.release();
        expect((await response(client)).chunks).toEqual(["first", "second", "third"]);
      });
    }
  });
}

test("several web workers in front of one Python worker: nobody is forgotten", async () => {
  await using server = await Server.start(fixture("streams:plain", "--workers", "1", "--web-workers", "3"));
  const post = request("POST", "/drain", ["Content-Length: 1"], "x");
  for (let i = 0; i < 100; i++) {
    const got = await Promise.all([get("/quick"), post, get("/quick"), post].map((sent) => once(server.port, sent)));
    expect(got.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  }
});
