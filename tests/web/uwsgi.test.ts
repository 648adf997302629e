/** ngx_http_uwsgi_module */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { freePort } from "../support/nginx_server.ts";
import { until } from "../support/server.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";
import { UpstreamServer } from "../support/upstream.ts";

interface Asked {
  readonly modifiers: readonly number[];
  readonly params: ReadonlyMap<string, string>;
  readonly rest: string;
}

const upstream = new UpstreamServer();
const port = freePort();
const seen: Asked[] = [];
let answer = "";

/** Reads a packet and the body behind it; undefined: there is more to come. */
function readPacket(bytes: Buffer): Asked | undefined {
  if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt16LE(1)) return undefined;
  const end = 4 + bytes.readUInt16LE(1);
  const params = new Map<string, string>();
  let at = 4;
  const next = (): string => {
    const length = bytes.readUInt16LE(at);
    at += 2 + length;
    return bytes.latin1Slice(at - length, at);
  };
  while (at + 4 <= end) params.set(next(), next());
  const length = Number(params.get("CONTENT_LENGTH") ?? 0);
  if (bytes.length < end + length) return undefined;
  return { modifiers: [bytes[0] ?? 0, bytes[3] ?? 0], params, rest: bytes.latin1Slice(at, bytes.length) };
}

beforeAll(() => {
  upstream.serve = (socket: Socket) => {
    let heard = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      heard = Buffer.concat([heard, Buffer.from(bytes.toString("latin1"), "latin1")]);
      const asked = readPacket(heard);
      if (asked === undefined) return;
      seen.push(asked);
      socket.end(answer);
    });
  };
  return upstream.listen(port);
});
afterAll(() => upstream.close());

const realPort = freePort();
const site = testSite(`
  server {
    listen 127.0.0.1:PORT;
    uwsgi_param REQUEST_METHOD $request_method;
    uwsgi_param PATH_INFO $document_uri;
    uwsgi_param QUERY_STRING $query_string;
    uwsgi_param CONTENT_LENGTH $content_length;
    uwsgi_param SERVER_PROTOCOL $server_protocol;
    uwsgi_param SERVER_NAME $server_name;
    uwsgi_param SERVER_PORT $server_port;
    location / { uwsgi_pass 127.0.0.1:${port}; }
    location /scheme/ { uwsgi_pass uwsgi://127.0.0.1:${port}; uwsgi_modifier1 5; uwsgi_modifier2 6; }
    location /variable/ { uwsgi_pass $arg_to; }
    location /quiet/ { uwsgi_pass 127.0.0.1:${port}; uwsgi_pass_request_headers off; uwsgi_pass_request_body off; }
    location /replaced/ { uwsgi_pass 127.0.0.1:${port}; uwsgi_param ONLY 1; }
    location /real/ { uwsgi_pass 127.0.0.1:${realPort}; }
  }`);

const plain = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello";
const post = (target: string, body: string): Promise<string> =>
  site.request("POST", target, `Content-Length: ${body.length}\r\n\r\n${body}`);

test("a packet with params and fields, the body behind it", async () => {
  answer = plain;
  const response = await post("/a%20b?c", "0123456789");
  expect(response).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(bodyOf(response)).toContain("hello");
  const { modifiers, params, rest } = seen.at(-1) ?? {};
  expect(modifiers).toEqual([0, 0]);
  expect(params?.get("PATH_INFO")).toBe("/a b");
  expect(params?.get("QUERY_STRING")).toBe("c");
  expect(params?.get("REQUEST_METHOD")).toBe("POST");
  expect(params?.get("HTTP_HOST")).toBe("localhost");
  expect(rest).toBe("0123456789");
});

test("a scheme in front of the address, and modifiers", async () => {
  answer = plain;
  await site.get("/scheme/");
  expect(seen.at(-1)?.modifiers).toEqual([5, 6]);
});

test("the address may be made of variables; it must have a port", async () => {
  answer = plain;
  expect(await site.get(`/variable/?to=uwsgi://127.0.0.1:${port}`)).toStartWith("HTTP/1.1 200 ");
  expect(await site.get("/variable/?to=127.0.0.1")).toStartWith("HTTP/1.1 500 ");
  await site.server.logged(/no port in upstream "127\.0\.0\.1"/);
});

test("fields and body may stay behind; a location's params take the place of the server's", async () => {
  answer = plain;
  await site.request("POST", "/quiet/", "X-A: b", "Content-Length: 0");
  expect(seen.at(-1)?.params.has("HTTP_X_A")).toBe(false);
  await site.get("/replaced/", "X-A: b");
  expect(seen.at(-1)?.params.get("ONLY")).toBe("1");
  expect(seen.at(-1)?.params.has("PATH_INFO")).toBe(false);
  expect(seen.at(-1)?.params.get("HTTP_X_A")).toBe("b");
});

test("a response of CGI's kind; one that ends too early", async () => {
  answer = "Status: 418 Teapot\r\nContent-Length: 3\r\n\r\ntea";
  const response = await site.get("/");
  expect(response).toStartWith("HTTP/1.1 418 Teapot\r\n");
  expect(fieldOf(response, "status")).toBeUndefined();
  expect(bodyOf(response)).toBe("tea");
  answer = "Status: 200\r\n";
  expect(await site.get("/")).toStartWith("HTTP/1.1 502 ");
  await site.server.logged(new RegExp(`upstream prematurely closed connection.*"uwsgi://127.0.0.1:${port}"`));
});

const program = "/usr/bin/uwsgi";
const plugins = ["/usr/lib/uwsgi/plugins/python3_plugin.so", "/usr/lib/uwsgi/plugins/python311_plugin.so"];
const hasUwsgi = existsSync(program) && plugins.some((path) => existsSync(path));

test.skipIf(!hasUwsgi)("uWSGI itself: a WSGI application gets the request", async () => {
  const directory = mkdtempSync(join(tmpdir(), "uwsgi-"));
  writeFileSync(
    join(directory, "app.py"),
    `def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    return [environ["REQUEST_METHOD"].encode() + b" " + body]
`,
  );
  const words = ["--plugin", "python3", "--socket", `127.0.0.1:${realPort}`, "--wsgi-file", "app.py", "--die-on-term"];
  const running: Subprocess = Bun.spawn([program, ...words], { cwd: directory, stdio: ["ignore", "ignore", "ignore"] });
  try {
    let response = "";
    await until(async () => {
      response = await post("/real/x", "body");
      return response.startsWith("HTTP/1.1 201 ");
    }, "uWSGI");
    expect(response).toStartWith("HTTP/1.1 201 Created\r\n");
    expect(fieldOf(response, "x-path")).toBe("/real/x");
    expect(bodyOf(response)).toContain("POST body");
  } finally {
    running.kill();
    await running.exited;
    rmSync(directory, { recursive: true });
  }
});
