/** Which requests are taken, and what the application learns of who asks: limits, proxies, the uwsgi protocol. */
import { expect, test } from "bun:test";
import type { Server } from "../support/server.ts";
import { place, start, text } from "./support.ts";

/** Sends bytes, closes its half, and reads to the end. */
async function ask(server: Server, bytes: string | Uint8Array): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let got = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.write(bytes);
        socket.shutdown();
      },
      data(_, data) {
        got += data.toString("latin1");
      },
      end(socket) {
        socket.end();
      },
      close: () => resolve(got),
    },
  });
  return promise;
}

const get = (path: string, ...fields: string[]): string =>
  [`GET ${path} HTTP/1.1`, "Host: x", "Connection: close", ...fields, "", ""].join("\r\n");
const statusOf = (answer: string): string => answer.slice(9, 12);
const bodyOf = (answer: string): string => answer.slice(answer.indexOf("\r\n\r\n") + 4);

test("limits: at the limit it passes, above it does not", async () => {
  using directory = place();
  const args = [
    "--limit-request-line",
    "40",
    "--limit-request-fields",
    "4",
    "--limit-request-field_size",
    "30",
    "app:app",
  ];
  await using server = await start(directory, args);
  const path = (length: number) => `/${"a".repeat(length - "GET / HTTP/1.1".length)}`;
  expect(statusOf(await ask(server, get(path(40))))).toBe("200");
  expect(statusOf(await ask(server, get(path(41))))).toBe("414");
  expect(statusOf(await ask(server, get("/", "A: 1", "B: 2")))).toBe("200");
  expect(statusOf(await ask(server, get("/", "A: 1", "B: 2", "C: 3")))).toBe("431");
  expect(statusOf(await ask(server, get("/", `A: ${"b".repeat(25)}`)))).toBe("200");
  expect(statusOf(await ask(server, get("/", `A: ${"b".repeat(26)}`)))).toBe("431");
});

test.each([
  ["--permit-unconventional-http-method", get("/environ/REQUEST_METHOD").replace("GET", "get"), "get"],
  ["--casefold-http-method", get("/environ/REQUEST_METHOD").replace("GET", "get"), "GET"],
  ["--permit-unconventional-http-version", get("/").replace("1.1", "3.0"), "hello"],
  ["--strip-header-spaces", get("/environ/HTTP_A", "A : 1"), "1"],
  ["--permit-obsolete-folding", get("/environ/HTTP_A", "A: 1", "\t2"), "1 2"],
  ["--header-map=dangerous", get("/environ/HTTP_A_B", "A_B: 1"), "1"],
])("%s lets pass what is refused or dropped without it", async (flag, request, body) => {
  using directory = place();
  const unconventional = flag.startsWith("--casefold") ? ["--permit-unconventional-http-method"] : [];
  await using server = await start(directory, [flag, ...unconventional, "app:app"]);
  expect(bodyOf(await ask(server, request))).toBe(body);
  await using strict = await start(directory, ["app:app"]);
  expect(bodyOf(await ask(strict, request))).not.toBe(body);
});

test("fields with underscores: dropped, refused, or a trusted proxy's", async () => {
  using directory = place({ "script.py": environApp });
  await using server = await start(directory, ["script:app"]);
  expect(bodyOf(await ask(server, get("/", "A_B: 1", "A-B: 2")))).toContain("HTTP_A_B='2'");
  const mounted = bodyOf(await ask(server, get("/here/x", "SCRIPT_NAME: /here")));
  expect(mounted).toContain("SCRIPT_NAME='/here'");
  expect(mounted).toContain("PATH_INFO='/x'");
  expect(statusOf(await ask(server, get("/there", "SCRIPT_NAME: /here")))).toBe("500");
  await using refusing = await start(directory, ["--header-map", "refuse", "script:app"]);
  expect(statusOf(await ask(refusing, get("/", "A_B: 1")))).toBe("400");
  await using distrusting = await start(directory, ["--forwarded-allow-ips", "10.0.0.1", "script:app"]);
  expect(bodyOf(await ask(distrusting, get("/here/x", "SCRIPT_NAME: /here")))).toContain("PATH_INFO='/here/x'");
});

const environApp = `
def app(environ, start_response):
    start_response("200 OK", [])
    return [" ".join(f"{k}={v!r}" for k, v in environ.items()).encode()]
`;

test("the scheme: trusted peers say it, and must agree with themselves", async () => {
  using directory = place({
    "gunicorn.conf.py": "secure_scheme_headers = {'X-SCHEME': 'tls', 'X-FORWARDED-PROTO': 'https'}\n",
  });
  await using server = await start(directory, ["app:app"]);
  const scheme = async (...fields: string[]) => bodyOf(await ask(server, get("/environ/wsgi.url_scheme", ...fields)));
  expect(await scheme()).toBe("http");
  expect(await scheme("X-Scheme: tls")).toBe("https");
  expect(await scheme("X-Forwarded-Proto: https", "X-Scheme: tls")).toBe("https");
  expect(statusOf(await ask(server, get("/", "X-Forwarded-Proto: https", "X-Scheme: none")))).toBe("400");
  await using distrusting = await start(directory, ["--forwarded-allow-ips", "", "app:app"]);
  expect(bodyOf(await ask(distrusting, get("/environ/wsgi.url_scheme", "X-Scheme: tls")))).toBe("http");
});

test("the PROXY protocol: the client's address, on each request of the connection; it may be left out", async () => {
  using directory = place();
  await using server = await start(directory, ["--proxy-protocol", "--keep-alive", "5", "app:app"]);
  const header = "PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n";
  const first = get("/environ/REMOTE_ADDR").replace("Connection: close", "A: b");
  const both = await ask(server, header + first + get("/environ/REMOTE_PORT"));
  expect(both.match(/192\.0\.2\.7|1234$/g)).toEqual(["192.0.2.7", "1234"]);
  expect(bodyOf(await ask(server, header + get("/environ/PROXY_ADDR")))).toBe("192.0.2.8");
  expect(bodyOf(await ask(server, get("/environ/REMOTE_ADDR")))).toBe("127.0.0.1");
  expect(statusOf(await ask(server, `PROXY TCP4 nonsense\r\n${get("/")}`))).toBe("400");
  await using refusing = await start(directory, [
    "--proxy-protocol",
    "v1",
    "--proxy-allow-from",
    "10.0.0.1",
    "app:app",
  ]);
  expect(statusOf(await ask(refusing, header + get("/")))).toBe("403");
  await using off = await start(directory, ["app:app"]);
  expect(statusOf(await ask(off, header + get("/")))).toBe("400");
});

/** As ngx_http_uwsgi_module writes it. */
function packet(variables: Readonly<Record<string, string>>, body = ""): Uint8Array {
  const text = (value: string) => {
    const length = Buffer.alloc(2);
    length.writeUInt16LE(value.length);
    return Buffer.concat([length, Buffer.from(value, "latin1")]);
  };
  const all = Buffer.concat(Object.entries(variables).flatMap(([name, value]) => [text(name), text(value)]));
  const head = Buffer.alloc(4);
  head.writeUInt16LE(all.length, 1);
  return Buffer.concat([head, all, Buffer.from(body)]);
}

test("the uwsgi protocol", async () => {
  const reading = environApp.replace(
    "    start_response",
    '    environ["body"] = environ["wsgi.input"].read()\n    start_response',
  );
  using directory = place({ "script.py": reading });
  await using server = await start(directory, ["--protocol", "uwsgi", "script:app"]);
  const variables = {
    REQUEST_METHOD: "POST",
    PATH_INFO: "/a b",
    QUERY_STRING: "c=d",
    REQUEST_URI: "/a%20b?c=d",
    CONTENT_LENGTH: "4",
    CONTENT_TYPE: "text/plain",
    HTTP_HOST: "x",
    HTTP_X_ONE: "1",
    HTTPS: "on",
  };
  const answer = await ask(server, packet(variables, "body"));
  expect(statusOf(answer)).toBe("200");
  for (const part of [
    "body=b'body'",
    "PATH_INFO='/a b'",
    "QUERY_STRING='c=d'",
    "HTTP_X_ONE='1'",
    "wsgi.url_scheme='https'",
  ])
    expect(answer).toContain(part);
  expect(statusOf(await ask(server, get("/")))).toBe("501");
  await using refusing = await start(directory, ["--protocol", "uwsgi", "--uwsgi-allow-from", "10.0.0.1", "app:app"]);
  expect(statusOf(await ask(refusing, packet(variables)))).toBe("403");
});

test("keepalive: a connection serves further requests, or none", async () => {
  using directory = place();
  await using server = await start(directory, ["--keep-alive", "5", "app:app"]);
  const two = get("/").replace("Connection: close\r\n", "") + get("/");
  expect((await ask(server, two)).match(/hello/g)?.length).toBe(2);
  await using without = await start(directory, ["--keep-alive", "0", "app:app"]);
  expect((await ask(without, two)).match(/hello/g)?.length).toBe(1);
  expect(await text(without, "/")).toBe("hello");
});

test("wsgi.early_hints: a 103 ahead of the response, for those who understand it", async () => {
  using directory = place({
    "hinting.py": `
def app(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload"), ("Connection", "no")])
    start_response("200 OK", [])
    environ["wsgi.early_hints"]([("Link", "</b.css>; rel=preload")])
    return [b"hello"]
`,
  });
  for (const args of [[], ["--threads", "2"]]) {
    await using server = await start(directory, [...args, "hinting:app"]);
    const answer = await ask(server, get("/"));
    expect(answer).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 (103|200)/);
    expect(answer).toEndWith("hello");
    expect(answer).not.toContain("Connection: no");
    expect(await ask(server, get("/").replace("1.1", "1.0"))).toMatch(/^HTTP\/1\.[01] 200/);
  }
});

test("X-Accel-Redirect and its like are for the proxy in front", async () => {
  using directory = place({
    "accel.py": `
def app(environ, start_response):
    start_response("200 OK", [("X-Accel-Redirect", "/protected/a"), ("X-Accel-Buffering", "no")])
    return [b"hello"]
`,
  });
  await using server = await start(directory, ["accel:app"]);
  const answer = await server.fetch("/");
  expect(answer.headers.get("x-accel-redirect")).toBe("/protected/a");
  expect(answer.headers.get("x-accel-buffering")).toBe("no");
  expect(await answer.text()).toBe("hello");
});
