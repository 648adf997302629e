/** HTTP/2 with prior knowledge (RFC 9113 3.3): real clients, many streams, and frames that break rules. */
import { afterEach, expect, test } from "bun:test";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { type Fields, opening, pseudo, request } from "../support/h2.ts";
import { testSite } from "../support/site.ts";
import { ask as say } from "../support/socket.ts";

const large = "0123456789abcdef".repeat(64 * 1024);

const site = testSite(
  `http2 on; http2_max_concurrent_streams 128; client_max_body_size 8m;
  server {
    listen 127.0.0.1:PORT;
    location / { return 200 "$server_protocol $request_method $uri $arg_n $http_x_field"; }
    location /files/ { }
    location /echo { client_body_buffer_size 8m; proxy_pass http://127.0.0.1:PORT/show; proxy_set_header X-Field $http_x_field; }
    location /show { return 200 "$content_length"; }
    location /none { return 404; }
    location /passed { proxy_pass http://127.0.0.1:PORT/seen; }
    location /passed2 { proxy_http_version 2; proxy_pass http://127.0.0.1:PORT/seen; }
    location /seen { return 200 "[$http_x_field]"; }
  }`,
  { "files/large.txt": large },
);

const sessions: ClientHttp2Session[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});

function session(): ClientHttp2Session {
  const made = connect(`http://127.0.0.1:${site.server.port}`);
  made.on("error", () => {});
  sessions.push(made);
  return made;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(over: ClientHttp2Session, fields: Readonly<Record<string, string>>, body?: Uint8Array): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = over.request(fields, { endStream: body === undefined });
    let status = 0;
    const pieces: Buffer[] = [];
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
    });
    stream.on("data", (piece: Buffer) => pieces.push(Buffer.from(piece)));
    stream.on("end", () => resolve({ status, body: Buffer.concat(pieces).toString("latin1") }));
    stream.on("error", reject);
    if (body !== undefined) stream.end(body);
  });
}

test("a request and its response", async () => {
  expect(await ask(session(), { ":path": "/a?n=1", "x-field": "f" })).toEqual({
    status: 200,
    body: "HTTP/2.0 GET /a 1 f",
  });
});

test("a hundred streams on one connection, each with its own response", async () => {
  const over = session();
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask(over, { ":path": `/?n=${n}` })));
  expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 100 }, (_, n) => `HTTP/2.0 GET / ${n} `));
});

test("a large file comes whole through windows that open again and again (5.2)", async () => {
  const { status, body } = await ask(session(), { ":path": "/files/large.txt" });
  expect([status, body.length, body === large]).toEqual([200, large.length, true]);
});

test("a large body is received whole", async () => {
  const body = new Uint8Array(3 * 1024 * 1024).fill(65);
  expect(await ask(session(), { ":path": "/echo", ":method": "POST" }, body)).toEqual({
    status: 200,
    body: String(body.length),
  });
});

test("HEAD has no body, an error has its page, a connection goes on after both", async () => {
  const over = session();
  expect(await ask(over, { ":path": "/files/large.txt", ":method": "HEAD" })).toEqual({ status: 200, body: "" });
  const { status, body } = await ask(over, { ":path": "/none" });
  expect([status, body.includes("404")]).toEqual([404, true]);
  expect((await ask(over, { ":path": "/" })).status).toBe(200);
});

test("curl, and HTTP/1.1 on the same port", async () => {
  const url = `http://127.0.0.1:${site.server.port}/c`;
  const curl = Bun.spawnSync(["curl", "-s", "--http2-prior-knowledge", url]).stdout.toString();
  expect(curl).toStartWith("HTTP/2.0 GET /c");
  expect(await site.get("/c")).toContain("HTTP/1.1 GET /c");
});

/** Sends raw bytes behind the preface; the code of the GOAWAY that answers, if one does before the connection closes. */
function goaway(...frames: readonly string[]): Promise<number | undefined> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const start = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
    const settings = Buffer.from("000000040000000000", "hex");
    const rest = frames.map((frame) => Buffer.from(frame.replaceAll(" ", ""), "hex"));
    void Bun.connect({
      hostname: "127.0.0.1",
      port: site.server.port,
      socket: {
        open: (socket) => void socket.write(Buffer.concat([start, settings, ...rest])),
        data(_, bytes) {
          received = Buffer.concat([received, bytes]);
        },
        close: () => resolve(codeOf(received)),
      },
    });
  });
}

function codeOf(bytes: Buffer): number | undefined {
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3))
    if (bytes[at + 3] === 7) return bytes.readUInt32BE(at + 13);
  return undefined;
}

test.each([
  ["DATA on stream 0 (6.1)", "000000 00 00 00000000", constants.NGHTTP2_PROTOCOL_ERROR],
  ["DATA on a stream that is idle (5.1)", "000000 00 00 00000001", constants.NGHTTP2_PROTOCOL_ERROR],
  ["HEADERS on an even stream (5.1.1)", "000001 01 05 00000002 82", constants.NGHTTP2_PROTOCOL_ERROR],
  ["a PING of seven bytes (6.7)", "000007 06 00 00000000 00000000000000", constants.NGHTTP2_FRAME_SIZE_ERROR],
  ["a WINDOW_UPDATE of 0 (6.9)", "000004 08 00 00000000 00000000", constants.NGHTTP2_PROTOCOL_ERROR],
  ["a header block that cannot be decoded (4.3)", "000003 01 05 00000001 ffff00", constants.NGHTTP2_COMPRESSION_ERROR],
  ["a frame longer than we allow (4.2)", "ffffff 00 00 00000001", constants.NGHTTP2_FRAME_SIZE_ERROR],
])("%s ends the connection", async (_, frame, code) => {
  expect(await goaway(frame)).toBe(code);
});

test("streams opened and reset without end are a flood (CVE-2023-44487)", async () => {
  const frames = Array.from({ length: 2000 }, (_, i) => {
    const id = (2 * i + 1).toString(16).padStart(8, "0");
    return `000004 01 05 ${id} 82868441 00 000004 03 00 ${id} 00000008`.replace("000004 01 05", "000005 01 05");
  });
  expect(await goaway(...frames)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect((await ask(session(), { ":path": "/" })).status).toBe(200);
});

test("what is neither HTTP/2 nor HTTP/1 is an invalid preface (3.4): the connection ends", async () => {
  const answer = await say(site.server.port, Buffer.from("INVALID CONNECTION PREFACE\r\n\r\n"));
  // SETTINGS and GOAWAY with PROTOCOL_ERROR, or nothing: no line of HTTP/1 in any case.
  expect(answer).not.toContain("HTTP/1.1");
  expect(await say(site.server.port, Buffer.from("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))).toContain(
    "HTTP/1.1 GET /a",
  );
  expect(await say(site.server.port, Buffer.from("NONSENSE / HTTP/9.9\r\nHost: x\r\n\r\n"))).toContain("HTTP/1.1 505 ");
});

test("control characters, which this reading lets through, go to no upstream (RFC 9110 5.5)", async () => {
  for (const path of ["/passed", "/passed2"]) {
    const fields: Fields = [...pseudo(path), ["x-field", "a\x01b"]];
    const answer = await say(site.server.port, Buffer.concat([opening, request(1, fields)]), /\[.*\]|<h1>/s);
    expect(answer).toContain("[a b]");
  }
});
