/** proxy_http_version 2, towards a real HTTP/2 server. */
import { afterAll, expect, test } from "bun:test";
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Directory } from "../support/server.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";
import { Certificates } from "../support/tls.ts";

const directory = new Directory();
const certificates = new Certificates(directory.path).own("localhost");
const large = "0123456789abcdef".repeat(128 * 1024);

let connections = 0;

function respond(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const path = headers[":path"] ?? "";
  if (path.startsWith("/large")) {
    stream.respond({ ":status": 200 });
    stream.end(large);
  } else if (path.startsWith("/trailers")) {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1" }));
    stream.end("body");
  } else if (path.startsWith("/hints")) {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>" });
    stream.respond({ ":status": 200 });
    stream.end("hinted");
  } else {
    let length = 0;
    stream.on("data", (piece: Buffer) => {
      length += piece.length;
    });
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/json", "x-connections": String(connections) });
      stream.end(JSON.stringify({ ...headers, length }));
    });
  }
}

function listening<S extends Http2Server | Http2SecureServer>(server: S): Promise<number> {
  server.on("session", () => connections++);
  server.on("stream", respond);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

const plain = createServer();
const secure = createSecureServer({
  cert: await Bun.file(certificates.path("localhost.crt")).text(),
  key: await Bun.file(certificates.path("localhost.key")).text(),
});
const [port, securePort] = await Promise.all([listening(plain), listening(secure)]);
afterAll(() => {
  plain.close();
  secure.close();
  directory[Symbol.dispose]();
});

const site = testSite(`
  proxy_http_version 2;
  upstream kept { server 127.0.0.1:${port}; keepalive 2; }
  upstream mixed { server 127.0.0.1:PORT; keepalive 2; }
  server {
    listen 127.0.0.1:PORT;
    client_max_body_size 0;
    location / { proxy_pass http://127.0.0.1:${port}; }
    location /kept/ { proxy_pass http://kept/; }
    location /own { proxy_pass http://kept; proxy_set_header Host example.com; proxy_set_header Connection close; proxy_set_header X-Own 1; }
    location /stream { proxy_pass http://kept; proxy_request_buffering off; proxy_buffering off; }
    location /trailers { proxy_pass http://kept; proxy_pass_trailers on; }
    location /hints { proxy_pass http://kept; early_hints 1; }
    location /tls { proxy_pass https://127.0.0.1:${securePort}; proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_verify on; proxy_ssl_trusted_certificate ${certificates.path("localhost.crt")}; }
    location /one { proxy_pass http://mixed; proxy_http_version 1.1; }
    location /one/other { return 200 "HTTP/1.1 is spoken"; }
    location /two { proxy_pass http://mixed; }
  }`);

const seenBy = (response: string): Record<string, unknown> => JSON.parse(bodyOf(response));

/** With a body. */
const post = (target: string, body: Uint8Array): Promise<string> => {
  const lines = [`POST ${target} HTTP/1.1`, "Host: localhost", "Connection: close", `Content-Length: ${body.length}`];
  return ask(site.server.port, Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), body]));
};

test("a request is one of HTTP/2, with the client's own fields", async () => {
  const response = await site.get("/a?b=c", "X-Mine: 1", "Cookie: d=e", "TE: trailers", "Keep-Alive: 1");
  expect(response).toStartWith("HTTP/1.1 200 ");
  expect(seenBy(response)).toEqual({
    ":method": "GET",
    ":scheme": "http",
    ":path": "/a?b=c",
    ":authority": `127.0.0.1:${port}`,
    "x-mine": "1",
    cookie: "d=e",
    length: 0,
  });
});

test("proxy_set_header: Host takes the authority's place, Connection means nothing here", async () => {
  const seen = seenBy(await site.get("/own"));
  expect([seen.host, seen[":authority"], seen["x-own"], seen.connection]).toEqual([
    "example.com",
    undefined,
    "1",
    undefined,
  ]);
});

for (const target of ["/upload", "/stream"])
  test(`a large body to ${target} arrives whole`, async () => {
    expect(seenBy(await post(target, Buffer.alloc(3_000_000, 65)))).toMatchObject({
      length: 3_000_000,
      "content-length": "3000000",
    });
  });

test("a large response comes whole", async () => {
  expect(bodyOf(await ask(site.server.port, Buffer.from("GET /large HTTP/1.0\r\n\r\n"))).length).toBe(large.length);
  expect(bodyOf(await ask(site.server.port, Buffer.from("GET /kept/large HTTP/1.0\r\n\r\n")))).toBe(large);
});

test("a connection is used again", async () => {
  const before = fieldOf(await site.get("/kept/x"), "x-connections");
  for (let i = 0; i < 5; i++) expect(fieldOf(await site.get("/kept/x"), "x-connections")).toBe(before);
});

test("HEAD, trailers, early hints", async () => {
  expect(bodyOf(await site.request("HEAD", "/large"))).toBe("");
  expect(await site.get("/trailers", "TE: trailers")).toEndWith("\r\n0\r\nx-sum: 1\r\n\r\n");
  const response = await site.get("/hints");
  expect(response).toMatch(/^HTTP\/1.1 103 .*\r\nlink: <\/style.css>\r\n\r\nHTTP\/1.1 200 /is);
});

test("through TLS, h2 is what is offered (ALPN)", async () => {
  const seen = seenBy(await site.get("/tls"));
  expect([seen[":scheme"], seen.length]).toEqual(["https", 0]);
});

test("connections of HTTP/1.1 and of HTTP/2 to the same group are not taken for one another", async () => {
  expect(bodyOf(await site.get("/one/other"))).toBe("HTTP/1.1 is spoken");
  expect(await site.get("/two")).toStartWith("HTTP/1.1 502 ");
  const log = await Bun.file(join(site.server.directory.path, "error.log")).text();
  expect(log).toContain("upstream sent too large frame");
});
