/**
 * The swap: two applications, one nginx.conf, and the same checks with Nginx and Gunicorn, with either of them replaced, and with both.
 * Needs an `nginx` on the PATH for the first two set-ups; without it they are skipped.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Gate, response } from "../app/support.ts";
import { Directory, until } from "../support/server.ts";
import { alphabet, files, large, lines, robots, sha256, upload, uploadDigest } from "./contents.ts";
import { clientAddress, expected } from "./differences.ts";
import { missingProgram, Running, type SetUp, setUps } from "./set_ups.ts";
import { Visitor } from "./visitor.ts";

function suite(setUp: SetUp): void {
  let running: Running;
  let pieces: Visitor;
  let guests: Visitor;
  const gates = new Directory();
  const usual = (check: string, value: unknown): unknown => expected(check, setUp, value);

  beforeAll(async () => {
    running = await Running.start(setUp, files);
    pieces = new Visitor(running, "pieces");
    guests = new Visitor(running, "guestbook");
  });
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    gates[Symbol.dispose]();
  });

  describe("pages and forms", () => {
    test("a page of each application, by its host name", async () => {
      const page = await pieces.ask("/");
      expect([page.status, page.body]).toEqual([200, "<h1>Pieces</h1>\n"]);
      expect(page.field("content-type")).toBe("text/html; charset=utf-8");
      expect(page.field("content-length")).toBe("16");
      const about = await guests.ask("/about/");
      expect([about.status, about.body]).toEqual([200, "<h1>About this book</h1>\n"]);
      expect(about.field("x-frame-options")).toBe("DENY");
    });

    test("a name that nobody has: no answer at all", async () => {
      using client = await pieces.open();
      client.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
      expect(await client.end()).toBe("");
    });

    test("a form with a token, a session, a redirect and a message", async () => {
      const guest = new Visitor(running, "guestbook");
      for (const text of ["Grüße & ü", "<second>"]) {
        const form = await guest.ask("/");
        expect(form.status).toBe(200);
        const [, token = ""] = /name="csrfmiddlewaretoken" value="(\w+)"/.exec(form.body) ?? [];
        const sent = await guest.post("/", { csrfmiddlewaretoken: token, text });
        expect([sent.status, sent.field("location")]).toEqual([302, "/"]);
      }
      const book = Buffer.from((await guest.ask("/")).body, "latin1").toString();
      expect(book).toContain('<p class="success">Thank you</p>');
      expect(book).toContain("<li>Grüße &amp; ü</li>\n<li>&lt;second&gt;</li>");
      const forged = await guest.post("/", { csrfmiddlewaretoken: "no", text: "forged" });
      expect(forged.status).toBe(403);
    });

    test("two cookies of one response, and a session that counts", async () => {
      const visitor = new Visitor(running, "pieces");
      const first = await visitor.ask("/count");
      const set = first.fields.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value);
      expect(set.length).toBe(2);
      expect(set).toContainEqual('second="a b\\073 c"; HttpOnly; Path=/; SameSite=Lax');
      expect((await visitor.ask("/count")).body).toBe("visit 2\n");
      expect((await visitor.ask("/count")).body).toBe("visit 3\n");
    });
  });

  describe("files", () => {
    test("a file, HEAD of it, and what makes it conditional", async () => {
      const got = await pieces.ask("/robots.txt");
      expect([got.status, got.body, got.field("content-type")]).toEqual([200, robots, "text/plain"]);
      expect(got.field("accept-ranges")).toBe("bytes");
      const etag = got.field("etag") ?? "";
      const modified = got.field("last-modified") ?? "";
      expect(etag).toMatch(/^"[\da-f]+-1e"$/);
      const head = await pieces.ask("/robots.txt", { method: "HEAD" });
      expect([head.status, head.field("content-length"), head.field("etag")]).toEqual([200, "30", etag]);
      for (const field of [`If-None-Match: ${etag}`, `If-Modified-Since: ${modified}`]) {
        const unchanged = await pieces.ask("/robots.txt", { fields: [field] });
        expect([unchanged.status, unchanged.field("etag"), unchanged.field("content-length")]).toEqual([
          304,
          etag,
          undefined,
        ]);
      }
      const changed = await pieces.ask("/robots.txt", { fields: ['If-Match: "other"'] });
      expect(changed.status).toBe(412);
    });

    test("ranges of a file", async () => {
      const cases = [
        ["bytes=0-3", 206, "abcd", "bytes 0-3/26"],
        ["bytes=-2", 206, "yz", "bytes 24-25/26"],
        ["bytes=20-", 206, "uvwxyz", "bytes 20-25/26"],
        ["bytes=26-", 416, undefined, "bytes */26"],
        ["lines=1-2", 200, alphabet, undefined],
      ] as const;
      for (const [range, status, body, content] of cases) {
        const part = await pieces.ask("/alphabet.txt", { fields: [`Range: ${range}`] });
        expect([range, part.status, part.field("content-range")]).toEqual([range, status, content]);
        if (body !== undefined) expect(part.body).toBe(body);
      }
      const two = await pieces.ask("/alphabet.txt", { fields: ["Range: bytes=0-1,24-25"] });
      expect(two.status).toBe(206);
      expect(two.field("content-type")).toMatch(/^multipart\/byteranges; boundary=/);
      expect(two.body).toMatch(/bytes 0-1\/26\r\n\r\nab\r\n[\s\S]*bytes 24-25\/26\r\n\r\nyz\r\n/);
      const big = await pieces.ask("/download.bin");
      expect(sha256(big.body)).toBe(sha256(large(300_000)));
    });

    test("files that Django has collected, and a directory's redirect", async () => {
      const style = await guests.ask("/static/guestbook/book.css");
      const source = readFileSync(`${import.meta.dir}/apps/guestbook/static/guestbook/book.css`, "latin1");
      expect([style.status, style.body, style.field("content-type")]).toEqual([200, source, "text/css"]);
      expect(style.field("cache-control")).toBe("max-age=3600");
      const directory = await guests.ask("/static/guestbook");
      expect([directory.status, directory.field("location")]).toEqual([301, `${guests.origin}/static/guestbook/`]);
      expect((await guests.ask("/static/none.css")).status).toBe(404);
    });

    test("a file that the application lets the web server send", async () => {
      const got = await pieces.ask("/guarded/report.txt");
      expect([got.status, got.body]).toEqual([200, files["guarded/report.txt"]]);
      expect(got.field("content-disposition")).toBe("attachment; filename=report.txt");
      expect(got.field("x-accel-redirect")).toBe(undefined);
      const part = await pieces.ask("/guarded/report.txt", { fields: ["Range: bytes=4-6"] });
      expect([part.status, part.body]).toEqual([206, "few"]);
      const head = await pieces.ask("/guarded/report.txt", { method: "HEAD" });
      expect([head.status, head.field("content-length")]).toEqual([200, "13"]);
      expect((await pieces.ask("/guarded/none.txt")).status).toBe(404);
      expect((await pieces.ask("/guarded-files/report.txt")).status).toBe(404);
    });

    test("what the application makes conditional itself", async () => {
      const all = await pieces.ask("/digits");
      expect([all.status, all.body, all.field("etag")]).toEqual([200, "0123456789", '"ten"']);
      expect(all.field("last-modified")).toBe("Thu, 29 Feb 2024 12:00:00 GMT");
      const unchanged = await pieces.ask("/digits", { fields: ['If-None-Match: "ten"'] });
      expect([unchanged.status, unchanged.body, unchanged.field("etag")]).toEqual([304, "", '"ten"']);
      const part = await pieces.ask("/digits", { fields: ["Range: bytes=2-4"] });
      expect([part.status, part.body, part.field("content-range")]).toEqual([206, "234", "bytes 2-4/10"]);
      const etag = (await guests.ask("/about/")).field("etag") ?? "";
      expect((await guests.ask("/about/", { fields: [`If-None-Match: ${etag}`] })).status).toBe(304);
    });
  });

  describe("bodies", () => {
    test("20 MB, and their digest", async () => {
      const seen = await pieces.json("/upload", { method: "POST", body: upload });
      expect(seen).toEqual({ sha256: uploadDigest, size: 20 << 20, announced: 20 << 20 });
    });

    test("in chunks, with a length for the application", async () => {
      const pair = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
      using client = await pieces.open();
      client.send(pieces.bytes("/upload", { method: "POST", fields: ["Transfer-Encoding: chunked"] }) + pair);
      const { body } = await response(client);
      expect(JSON.parse(body)).toEqual({ sha256: sha256("hello world"), size: 11, announced: 11 });
    });

    test("a file of a form", async () => {
      const guest = new Visitor(running, "guestbook");
      const [, token = ""] =
        /Token" value="(\w+)"|value="(\w+)"/.exec((await guest.ask("/")).body)?.filter(Boolean) ?? [];
      const photo = upload.slice(0, 3_000_000);
      const body =
        `--edge\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n${token}\r\n` +
        `--edge\r\nContent-Disposition: form-data; name="photo"; filename="a b.jpg"\r\n` +
        `Content-Type: image/jpeg\r\n\r\n${photo}\r\n--edge--\r\n`;
      const fields = ["Content-Type: multipart/form-data; boundary=edge", `Origin: ${guest.origin}`];
      const seen = await guest.json("/photo/", { method: "POST", fields, body });
      expect(seen).toEqual({ name: "a b.jpg", size: photo.length, sha256: sha256(photo) });
    });

    test("longer than is allowed", async () => {
      using client = await pieces.open();
      client.send(pieces.bytes("/upload", { method: "POST", fields: [`Content-Length: ${(32 << 20) + 1}`] }));
      expect((await response(client)).status).toBe(413);
    });

    test("who waits with the body until the server agrees", async () => {
      using client = await pieces.open();
      const fields = ["Content-Length: 5", "Expect: 100-continue"];
      client.send(pieces.bytes("/upload", { method: "POST", fields }));
      expect((await response(client)).status).toBe(100);
      client.received = "";
      client.send("hello");
      expect(JSON.parse((await response(client)).body).sha256).toBe(sha256("hello"));
    });
  });

  describe("streams", () => {
    test("a generator's answer comes in chunks", async () => {
      const streamed = await pieces.ask("/lines/5000");
      expect([streamed.status, streamed.field("content-length")]).toEqual([200, undefined]);
      expect(streamed.field("transfer-encoding")).toBe("chunked");
      expect(streamed.body).toBe(lines(5000));
      expect((await pieces.ask("/lines/0")).body).toBe("");
      const rows = await guests.ask("/rows/");
      expect(rows.field("content-type")).toBe("text/csv");
      expect(rows.body).toEndWith("999,998001\r\n");
    });

    test("an event arrives before the next one is made", async () => {
      using gate = new Gate(gates, setUp.name.replaceAll(/\W/g, ""));
      using client = await pieces.open();
      client.send(pieces.bytes(`/events?gate=${gate.path}`));
      await client.read(/text\/event-stream[\s\S]*data: first\n\n/);
      expect(client.received).not.toContain("last");
      gate.release();
      const all = await response(client);
      expect(all.body).toBe("data: first\n\ndata: last\n\n");
      expect(all.field("cache-control")).toBe("no-store");
      expect(all.field("x-accel-buffering")).toBe(undefined);
    });
  });

  describe("slow clients", () => {
    // More of them than the application has workers.
    const four = <Value>(make: () => Promise<Value>): Promise<Value[]> => Promise.all([make(), make(), make(), make()]);

    test("who reads 5 MB slowly keeps no worker", async () => {
      const clients = await four(() => pieces.open());
      for (const client of clients) {
        client.socket.pause();
        client.send(pieces.bytes("/large/5000000"));
      }
      for (let i = 0; i < 5; i++) expect((await pieces.ask("/")).status).toBe(200);
      const digest = sha256(large(5_000_000));
      for (const client of clients) {
        client.socket.resume();
        expect(sha256((await response(client)).body)).toBe(digest);
        client[Symbol.dispose]();
      }
    });

    test("who writes a body slowly keeps no worker", async () => {
      const body = upload.slice(0, 200_000);
      const request = pieces.bytes("/upload", { method: "POST", body });
      const clients = await four(() => pieces.open());
      for (let at = 0; at < request.length; at += 25_000) {
        for (const client of clients) client.send(request.slice(at, at + 25_000));
        if (at + 25_000 < request.length) expect((await pieces.ask("/")).status).toBe(200);
      }
      for (const client of clients) {
        expect(JSON.parse((await response(client)).body).sha256).toBe(sha256(body));
        client[Symbol.dispose]();
      }
    });
  });

  describe("errors", () => {
    test("the applications' own pages, which tell nothing", async () => {
      const broken = await pieces.ask("/boom");
      expect(broken.status).toBe(500);
      expect(broken.body).toContain("The server encountered an internal error");
      expect(broken.body).not.toContain("confidential");
      const alsoBroken = await guests.ask("/boom/");
      expect([alsoBroken.status, alsoBroken.body]).toEqual([500, "<h1>The guest book is broken</h1>\n"]);
      const missing = await pieces.ask("/nowhere");
      expect([missing.status, missing.body.includes("The requested URL was not found")]).toEqual([404, true]);
      const alsoMissing = await guests.ask("/nowhere/");
      expect([alsoMissing.status, alsoMissing.body]).toEqual([404, "<h1>No such page in the guest book</h1>\n"]);
      expect((await pieces.ask("/upload")).status).toBe(405);
      expect((await pieces.ask("/")).status).toBe(200);
    });

    test("the log has the exception", async () => {
      await pieces.ask("/boom");
      await until(() => running.said.includes("RuntimeError: confidential"), "the exception is in the log");
    });
  });

  describe("redirects", () => {
    test("absolute ones carry the outer scheme, host and port", async () => {
      const absolute = await pieces.ask("/absolute");
      expect([absolute.status, absolute.field("location")]).toEqual([303, `${pieces.origin}/seen`]);
      const home = await guests.ask("/home/");
      expect([home.status, home.field("location")]).toEqual([302, `${guests.origin}/about/`]);
    });

    test("relative ones stay as they are", async () => {
      const relative = await pieces.ask("/relative");
      expect([relative.status, relative.field("location")]).toEqual([302, "/seen?a=b+c"]);
      const slash = await guests.ask("/about?a=b");
      expect([slash.status, slash.field("location")]).toEqual([301, "/about/?a=b"]);
    });
  });

  describe("what an application sees", () => {
    test("its client's address", async () => {
      const seen = await pieces.json("/seen");
      expect(seen.address).toEqual(usual("REMOTE_ADDR", ""));
      expect(seen.forwarded_for).toEqual(usual("X-Forwarded-For", clientAddress));
      expect(seen.forwarded_proto).toEqual(usual("X-Forwarded-Proto", "http"));
      const further = await pieces.json("/seen", { fields: ["X-Forwarded-For: 203.0.113.9"] });
      expect(further.address).toEqual(usual("REMOTE_ADDR", ""));
      const list = `203.0.113.9, ${clientAddress}`;
      expect(further.forwarded_for).toEqual(usual("X-Forwarded-For of a client", list));
    });

    test("scheme, host and path; what a client claims of its scheme is not believed", async () => {
      const path = "/seen?q=%C3%BC";
      const url = `${pieces.origin}/seen?q=ü`;
      for (const fields of [[], ["X-Forwarded-Proto: https"]]) {
        const seen = await pieces.json(path, { fields });
        expect(seen).toMatchObject({
          scheme: "http",
          host: running.host("pieces"),
          path: "/seen",
          script_name: "",
          url,
        });
      }
      const book = await guests.json("/seen/");
      expect(book).toEqual({ url: `${guests.origin}/seen/`, secure: false, host: running.host("guestbook") });
    });

    test("long fields, up to what a web server takes", async () => {
      const asked = (length: number) => pieces.ask("/seen", { fields: [`X-Long: ${"x".repeat(length)}`] });
      expect(JSON.parse((await asked(7000)).body).long_field).toBe(7000);
      expect((await asked(9000)).status).toBe(400);
      expect((await pieces.ask("/long-field/3000")).field("x-long")).toBe("y".repeat(3000));
      const long = await pieces.ask("/long-field/9000");
      expect<unknown>(long.status).toEqual(usual("a response's field of 9000 bytes", 502));
      if (long.status === 502) expect(long.body).toBe(files["pages/500.html"]);
    });
  });

  describe("connections", () => {
    test("HEAD is GET without a body", async () => {
      using client = await pieces.open();
      for (const path of ["/", "/digits", "/alphabet.txt", "/large/100000"]) {
        const got = await pieces.ask(path, {}, client);
        const head = await pieces.ask(path, { method: "HEAD" }, client);
        const shown = ["content-type", "content-length", "etag"];
        expect([head.status, ...shown.map(head.field)]).toEqual([got.status, ...shown.map(got.field)]);
        expect(head.rest).toBe("");
      }
    });

    test("one connection for many requests", async () => {
      using client = await pieces.open();
      for (let i = 0; i < 20; i++) {
        const body = `body ${i}`;
        expect((await pieces.ask("/", {}, client)).status).toBe(200);
        const seen = await pieces.json("/upload", { method: "POST", body }, client);
        expect(seen.sha256).toBe(sha256(body));
        expect((await pieces.ask("/lines/3", {}, client)).body).toBe(lines(3));
        expect((await pieces.ask("/robots.txt", {}, client)).body).toBe(robots);
      }
      expect(client.closed).toBe(false);
    });

    test("requests in one piece are answered in their order", async () => {
      using client = await pieces.open();
      const paths = ["/lines/2", "/robots.txt", "/digits", "/nowhere"];
      client.send(paths.map((path) => pieces.bytes(path)).join(""));
      const statuses: number[] = [];
      for (const _ of paths) {
        const got = await response(client);
        statuses.push(got.status);
        client.received = got.rest;
      }
      expect(statuses).toEqual([200, 200, 200, 404]);
      expect(client.received).toBe("");
    });

    test("a client of HTTP/1.0", async () => {
      const old = { version: "1.0" } as const;
      const streamed = await pieces.ask("/lines/100", old);
      expect([streamed.status, streamed.body]).toEqual([200, lines(100)]);
      expect(streamed.field("transfer-encoding")).toBe(undefined);
      expect(streamed.field("connection")).toBe("close");
      using client = await pieces.open();
      const kept = await pieces.ask("/", { ...old, fields: ["Connection: keep-alive"] }, client);
      expect(kept.field("connection")).toBe("keep-alive");
      expect((await pieces.ask("/robots.txt", old, client)).body).toBe(robots);
      expect(await client.end()).toContain(robots);
    });

    test("a hundred at once", async () => {
      const hundred = Array.from({ length: 100 }, async (_, i) => {
        const visitor = i % 2 === 0 ? pieces : guests;
        const got = await visitor.ask(i % 2 === 0 ? `/lines/${i}` : "/about/");
        return got.status === 200 && got.body === (i % 2 === 0 ? lines(i) : "<h1>About this book</h1>\n");
      });
      expect((await Promise.all(hundred)).filter((right) => right).length).toBe(100);
    });
  });
}

for (const setUp of setUps) {
  const missing = missingProgram(setUp);
  if (missing !== undefined) console.warn(`swap: "${setUp.name}" is skipped, for there is no ${missing}`);
  describe.skipIf(missing !== undefined)(setUp.name, () => suite(setUp));
}
