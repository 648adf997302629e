/** PEP 3333: start_response, write, the iterable and its close(), and what becomes of applications that do it wrong. */

import { afterAll, describe, expect, test } from "bun:test";
import { Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { exchange, fixture, get, once, request, response } from "./support.ts";

describe("well-behaved applications", () => {
  for (const app of ["responses:app", "responses:plain"]) {
    // With the validator every response is an iterator; without it the ways for lists and files are taken.
    describe(app, async () => {
      const server = await Server.start(fixture(app, "--workers", "1"));
      afterAll(async () => {
        await server[Symbol.asyncDispose]();
        expect(server.output).not.toMatch(/AssertionError|WSGIWarning|Traceback|Error/);
      });

      for (const [path, status, body] of [
        ["/whole", 200, "one block"],
        ["/parts", 200, "one, two"],
        ["/tuple", 200, "one, two"],
        ["/nothing", 200, ""],
        ["/generator", 200, "one, two"],
        ["/measured", 200, "one, two"],
        ["/late-start", 201, "late"],
        ["/iterator", 200, "one, two"],
        ["/written", 200, "written, twice, returned"],
        ["/written-measured", 200, "written"],
        ["/changed-mind", 503, "sorry"],
        ["/changed-mind-in-generator", 503, "sorry"],
        ["/no-content", 204, ""],
        ["/not-modified", 304, ""],
        ["/own-reason", 299, "special"],
      ] as const) {
        test(`${path}: GET, HEAD, and the connection goes on`, async () => {
          using client = await Client.open(server.port);
          const got = await exchange(client, get(path));
          expect([got.status, got.body, got.rest]).toEqual([status, body, ""]);
          const head = await exchange(client, request("HEAD", path, []));
          expect(head.status).toBe(status);
          // What GET says about its body HEAD may say too (RFC 9110 9.3.2): nothing else.
          if (head.field("content-length") !== undefined)
            expect(head.field("content-length")).toBe(got.field("content-length")!);
          expect(head.field("content-type")).toBe(got.field("content-type")!);
          // A body after the response to HEAD would be read as the next response.
          expect(await exchange(client, get("/whole"))).toMatchObject({ status: 200, body: "one block", rest: "" });
        });
      }

      test("start_response with exc_info replaces the whole head", async () => {
        const { fields, body } = await once(server.port, get("/changed-mind"));
        const names = fields.map(([name]) => name.toLowerCase());
        expect(names).toContain("x-second");
        expect(names).not.toContain("x-first");
        expect(body).toBe("sorry");
      });

      test("the reason phrase is the application's", async () => {
        expect((await once(server.port, get("/own-reason"))).statusLine).toBe("HTTP/1.1 299 Rather Special");
      });

      test("204 and 304 have no body and no framing, but their fields", async () => {
        const none = await once(server.port, get("/no-content"));
        expect(none.field("x-extra")).toBe("kept");
        expect(none.field("content-length")).toBeUndefined();
        expect(none.field("transfer-encoding")).toBeUndefined();
        expect((await once(server.port, get("/not-modified"))).field("etag")).toBe('"1"');
      });

      test("fields leave in their order, repeated ones apart, names and latin-1 values as given", async () => {
        const { fields } = await once(server.port, get("/fields"));
        const own = new Set(["Content-Length", "Transfer-Encoding", "Server", "Date"]);
        expect(fields.filter(([name]) => !own.has(name)).map(([name, value]) => `${name}: ${value}`)).toEqual([
          "Content-Type: text/plain; charset=utf-8",
          "Set-Cookie: a=1; Path=/",
          "Set-Cookie: b=2",
          "X-Latin: caf\xe9",
          "X-Empty: ",
          "x-lOwEr: as given",
        ]);
      });

      test("Date and Server once", async () => {
        const { fields } = await once(server.port, get("/whole"));
        const names = fields.map(([name]) => name.toLowerCase());
        expect(names.filter((name) => name === "date" || name === "server").sort()).toEqual(["date", "server"]);
      });

      test("close() is called: after the last block, and when HEAD wants none", async () => {
        for (const [method, path] of [
          ["GET", "/iterator"],
          ["HEAD", "/iterator"],
          ["GET", "/closed-unread"],
          ["HEAD", "/closed-unread"],
        ] as const) {
          const from = server.output.length;
          await once(server.port, request(method, path, []));
          await server.logged(new RegExp(`^closed ${path}$`, "m"), from);
        }
      });

      test("wsgi.errors lands in the log, line by line, as UTF-8", async () => {
        const from = server.output.length;
        await once(server.port, get("/log"));
        await server.logged(/^a line → of the application\nand another\nwithout an end/m, from);
      });

      test("each yielded block is a chunk of its own; to HTTP/1.0 the end of the connection ends the body", async () => {
        const { chunks, field } = await once(server.port, get("/generator"));
        expect(chunks).toEqual(["one, ", "two"]);
        expect(field("content-length")).toBeUndefined();
        const old = await once(server.port, "GET /generator HTTP/1.0\r\n\r\n");
        expect(old.field("transfer-encoding")).toBeUndefined();
        expect([old.body, old.chunks]).toEqual(["one, two", undefined]);
      });

      test("a given Content-Length is kept, and then nothing is chunked", async () => {
        const { chunks, body, field } = await once(server.port, get("/measured"));
        expect([chunks, body, field("content-length")]).toEqual([undefined, "one, two", "8"]);
      });

      test("pipelined requests are answered in order", async () => {
        using client = await Client.open(server.port);
        client.send(["/generator", "/whole", "/no-content", "/written", "/measured"].map((path) => get(path)).join(""));
        const bodies: string[] = [];
        for (let i = 0; i < 5; i++) {
          const { body, rest } = await response(client);
          bodies.push(body);
          client.received = rest;
        }
        expect(bodies).toEqual(["one, two", "one block", "", "written, twice, returned", "one, two"]);
      });
    });
  }

  test("the length of a list is known: Content-Length is added", async () => {
    await using server = await Server.start(fixture("responses:plain", "--workers", "1"));
    for (const [path, length] of [
      ["/whole", "9"],
      ["/parts", "8"],
      ["/tuple", "8"],
      ["/nothing", "0"],
    ] as const) {
      const { chunks, field } = await once(server.port, get(path));
      expect([field("content-length"), chunks]).toEqual([length, undefined]);
    }
  });
});

describe("applications that do it wrong", async () => {
  const server = await Server.start(fixture("faults:app", "--workers", "1"));
  afterAll(() => server[Symbol.asyncDispose]());

  /** The answer that tells nothing; the log that tells all; and the next request on the same connection. */
  async function refused(path: string, logged: RegExp): Promise<void> {
    using client = await Client.open(server.port);
    const from = server.output.length;
    const got = await exchange(client, get(path));
    expect(got.statusLine).toBe("HTTP/1.1 500 Internal Server Error");
    const names = got.fields.map(([name]) => name.toLowerCase()).sort();
    expect(names).toEqual(["content-length", "content-type", "date", "server"]);
    expect(got.body).toContain("Internal Server Error");
    expect(got.body).not.toMatch(/confidential|Traceback|faults|Error:/);
    await server.logged(new RegExp(`Error handling request GET ${path}\\n[\\s\\S]*${logged.source}`), from);
    expect(await exchange(client, get("/fine"))).toMatchObject({ status: 200, body: "fine", rest: "" });
  }

  for (const [path, logged] of [
    ["/at-once", /faults\.py", line \d+, in fail\n[\s\S]*RuntimeError: confidential/],
    ["/after-start", /RuntimeError: confidential/],
    ["/in-first-block", /RuntimeError: confidential/],
    ["/started-twice", /start_response was called a second time/],
    ["/never-started", /start_response/],
    ["/never-started-generator", /start_response/],
    ["/returns-none", /NoneType/],
    ["/sys-exit", /SystemExit/],
    ["/text-block", /TypeError: .*str/],
    ["/text-in-list", /TypeError: .*str/],
    ["/write-text", /TypeError: .*str/],
    ["/too-short", /Content-Length is 50, but the body has 3 bytes/],
    ["/nothing-of-50", /Content-Length is 50/],
    ["/two-lengths", /Content-Length given twice/],
    ["/length-word", /Content-Length is 'many'/],
    ["/length-negative", /Content-Length is '-1'/],
    ["/status-number", /status must be a str/],
    ["/status-word", /status must be three digits/],
    ["/status-interim", /interim/],
    ["/crlf-status", /forbidden character in status/],
    ["/crlf-value", /forbidden character in the value of header X-Bad/],
    ["/lf-value", /forbidden character in the value of header X-Bad/],
    ["/cr-value", /forbidden character in the value of header X-Bad/],
    ["/nul-value", /forbidden character in the value of header X-Bad/],
    ["/wide-value", /forbidden character in the value of header X-Bad/],
    ["/bytes-value", /value of header X-Bad must be a str/],
    ["/crlf-name", /is not a token/],
    ["/space-in-name", /header name 'X Bad' is not a token/],
    ["/empty-name", /header name '' is not a token/],
  ] as const) {
    test(`${path}: 500 that tells nothing, the reason in the log`, () => refused(path, logged));
  }

  test("HEAD of a failing application: 500 without a body", async () => {
    using client = await Client.open(server.port);
    expect(await exchange(client, request("HEAD", "/at-once", []))).toMatchObject({ status: 500 });
    expect(await exchange(client, get("/fine"))).toMatchObject({ status: 200, body: "fine" });
  });

  test("no application's frame of ours in a traceback", async () => {
    const from = server.output.length;
    await once(server.port, get("/at-once"));
    await server.logged(/RuntimeError: confidential/, from);
    expect(server.output.slice(from)).not.toMatch(/python\/alicorn/);
  });

  for (const [path, logged] of [
    ["/after-first-block", /RuntimeError: confidential/],
    ["/exc-info-after-head", /RuntimeError: confidential/],
  ] as const) {
    test(`${path}: the chunked body is cut off without its last chunk`, async () => {
      using client = await Client.open(server.port);
      const from = server.output.length;
      client.send(get(path));
      const all = await client.end();
      expect(all).toContain("\r\nTransfer-Encoding: chunked\r\n");
      expect(all).toEndWith("\r\n\r\n5\r\nfirst\r\n");
      expect(all).not.toContain("confidential");
      await server.logged(logged, from);
      // fetch() knows what an incomplete message is (RFC 9112 8).
      await expect(server.fetch(path).then((got) => got.text())).rejects.toThrow();
    });
  }

  test("to HTTP/1.0, where the end of the connection ends the body, an incomplete one is reset", async () => {
    using client = await Client.open(server.port);
    let error: NodeJS.ErrnoException | undefined;
    client.socket.on("error", (found) => {
      error = found;
    });
    client.send("GET /after-first-block HTTP/1.0\r\n\r\n");
    await client.end();
    expect(error?.code).toBe("ECONNRESET");
  });

  for (const [path, sent] of [
    ["/after-first-block-measured", "first"],
    ["/too-short-generator", "abcdef"],
  ] as const) {
    test(`${path}: less than its Content-Length, so that the connection is closed and never used again`, async () => {
      using client = await Client.open(server.port);
      const from = server.output.length;
      client.send(get(path) + get("/fine"));
      const all = await client.end();
      expect(all).toEndWith(`\r\n\r\n${sent}`);
      await server.logged(/Error: (confidential|Content-Length is 50, but the body ended after 6 bytes)/, from);
    });
  }

  for (const [path, sent] of [
    ["/too-long", "abcde"],
    ["/too-long-generator", "abcde"],
    ["/write-too-long", "abcde"],
  ] as const) {
    test(`${path}: what is above the Content-Length is cut off, and the log says so`, async () => {
      using client = await Client.open(server.port);
      const from = server.output.length;
      expect(await exchange(client, get(path))).toMatchObject({ status: 200, body: sent, rest: "" });
      await server.logged(/Content-Length (is|of) 5\b.*cut/, from);
      expect(await exchange(client, get("/fine"))).toMatchObject({ body: "fine", rest: "" });
    });
  }

  for (const path of ["/body-of-204", "/body-of-304", "/body-of-204-generator"]) {
    test(`${path}: there is none`, async () => {
      using client = await Client.open(server.port);
      const got = await exchange(client, get(path));
      expect(got.status).toBe(path.includes("204") ? 204 : 304);
      if (got.status === 204) expect(got.field("content-length")).toBeUndefined();
      expect(await exchange(client, get("/fine"))).toMatchObject({ body: "fine", rest: "" });
    });
  }

  test("connection, framing, Server and Date are not the application's to say", async () => {
    using client = await Client.open(server.port);
    const got = await exchange(client, get("/hop-by-hop"));
    expect(got).toMatchObject({ status: 200, body: "still one message", chunks: undefined });
    const text = got.fields.map((field) => field.join(": ")).join("\n");
    expect(text).not.toMatch(/Upgrade|Keep-Alive|somebody else|yesterday|close/i);
    expect(await exchange(client, get("/fine"))).toMatchObject({ body: "fine" });
  });

  for (const path of [
    "/in-first-block",
    "/after-first-block",
    "/text-block",
    "/too-short-generator",
    "/nothing-of-50",
  ]) {
    test(`${path}: close() is called all the same`, async () => {
      const from = server.output.length;
      using client = await Client.open(server.port);
      client.send(get(path));
      await server.logged(new RegExp(`^closed ${path}$`, "m"), from);
    });
  }

  test("a failing close() after the response concerns the log only", async () => {
    using client = await Client.open(server.port);
    const from = server.output.length;
    expect(await exchange(client, get("/failing-close"))).toMatchObject({ status: 200, body: "fine", rest: "" });
    await server.logged(/RuntimeError: confidential: close failed/, from);
    expect(await exchange(client, get("/fine"))).toMatchObject({ body: "fine" });
  });

  test("through all of it one worker has served", () => {
    expect(server.output.match(/Booting worker/g)).toHaveLength(1);
  });
});
