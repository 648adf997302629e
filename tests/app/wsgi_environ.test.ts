/** PEP 3333: the environ, key by key, as it comes from the wire; and the request's body. */

import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { version } from "../../src/master/version.ts";
import { Directory, Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { exchange, fixture, once, type RawResponse, request, response } from "./support.ts";

type Environ = Record<string, unknown>;

const directory = new Directory();
const unixPath = join(directory.path, "app.sock");
const server = await Server.start(
  ["--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--bind", `unix:${unixPath}`, ...fixture("environ:app")],
  { ownBind: true },
);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
  // The validator raises when it finds fault with the server, and warns when it is in doubt.
  expect(server.output).not.toMatch(/AssertionError|WSGIWarning|Traceback/);
});

const environOf = ({ status, body }: RawResponse): Environ => {
  expect(status).toBe(200);
  return JSON.parse(body) as Environ;
};
const ask = async (sent: string): Promise<Environ> => environOf(await once(server.port, sent));

/** What is the same in each request to this server. */
const always: Environ = {
  "wsgi.version": [1, 0],
  "wsgi.input": "<InputWrapper>",
  "wsgi.errors": "<ErrorWrapper>",
  "wsgi.input_terminated": true,
  "wsgi.multithread": false,
  "wsgi.multiprocess": true,
  "wsgi.run_once": false,
  "wsgi.file_wrapper": "<type>",
  "wsgi.url_scheme": "http",
  SCRIPT_NAME: "",
  SERVER_SOFTWARE: `alicorn/${version}`,
  SERVER_PROTOCOL: "HTTP/1.1",
};

test("TCP over IPv4: every key, and no other", async () => {
  using client = await Client.open(server.port);
  const environ = environOf(await exchange(client, request("GET", "/a?b=c", ["Accept: text/html", "User-Agent: me"])));
  expect(environ).toEqual({
    ...always,
    REQUEST_METHOD: "GET",
    RAW_URI: "/a?b=c",
    PATH_INFO: "/a",
    QUERY_STRING: "b=c",
    SERVER_NAME: "127.0.0.1",
    SERVER_PORT: String(server.port),
    REMOTE_ADDR: "127.0.0.1",
    REMOTE_PORT: String(client.socket.localPort),
    HTTP_HOST: "test",
    HTTP_ACCEPT: "text/html",
    HTTP_USER_AGENT: "me",
  });
});

test("TCP over IPv6", async () => {
  const [, port] = await server.logged(/http:\/\/\[::1\]:(\d+)/);
  const environ = (await (await fetch(`http://[::1]:${port}/a`)).json()) as Environ;
  expect(environ).toMatchObject({
    ...always,
    PATH_INFO: "/a",
    SERVER_NAME: "::1",
    SERVER_PORT: port,
    REMOTE_ADDR: "::1",
    HTTP_HOST: `[::1]:${port}`,
  });
  expect(environ.REMOTE_PORT).toMatch(/^\d+$/);
});

test("Unix socket: no port of a client; the server's name is the one asked for", async () => {
  const environ = environOf(await once(unixPath, "GET /a HTTP/1.1\r\nHost: example.org:8080\r\n\r\n"));
  expect(environ).toMatchObject({
    ...always,
    SERVER_NAME: "example.org",
    SERVER_PORT: "8080",
    REMOTE_ADDR: "",
    HTTP_HOST: "example.org:8080",
  });
  expect(environ).not.toHaveProperty("REMOTE_PORT");
  const other = environOf(await once(unixPath, "GET /a HTTP/1.0\r\n\r\n"));
  expect(other).toMatchObject({ SERVER_NAME: "localhost", SERVER_PORT: "80" });
});

test("HTTP/1.0 without a Host", async () => {
  const environ = await ask("GET / HTTP/1.0\r\n\r\n");
  expect(environ).toMatchObject({ SERVER_PROTOCOL: "HTTP/1.0", SERVER_NAME: "127.0.0.1", PATH_INFO: "/" });
  expect(environ).not.toHaveProperty("HTTP_HOST");
});

// PEP 3333 "Unicode Issues": bytes as latin-1 characters.
for (const [target, path, query] of [
  ["/", "/", ""],
  ["/?", "/", ""],
  ["/caf%C3%A9", "/caf\xc3\xa9", ""],
  ["/%E2%82%AC?q=%E2%82%AC", "/\xe2\x82\xac", "q=%E2%82%AC"],
  ["/%ff%FE", "/\xff\xfe", ""],
  ["/a%2Fb%20c%3Fd%23", "/a/b c?d#", ""],
  ["/100%25?a=%25", "/100%", "a=%25"],
  ["/a+b?a+b", "/a+b", "a+b"],
  ["/x?a=1?b=2&c", "/x", "a=1?b=2&c"],
  ["//a/../b/./c%2e", "//a/../b/./c.", ""],
  ["/semi;colon=1/@:!$&'()*,=~", "/semi;colon=1/@:!$&'()*,=~", ""],
] as const) {
  test(`path and query of ${target}`, async () => {
    expect(await ask(request("GET", target, []))).toMatchObject({
      RAW_URI: target,
      PATH_INFO: path,
      QUERY_STRING: query,
      SCRIPT_NAME: "",
    });
  });
}

test("a line feed in the path stays in the path, or is refused: it never makes another key", async () => {
  for (const target of ["/a%0AREMOTE_USER%0Aadmin", "/%0aHTTPS%0aon", "/a%0D%0AREMOTE_USER%0D%0Aadmin"]) {
    const { status, body } = await once(server.port, request("GET", target, []));
    if (status === 400) continue;
    const environ = JSON.parse(body);
    expect(environ.PATH_INFO).toBe(decodeURIComponent(target));
    expect(environ).not.toHaveProperty("REMOTE_USER");
    expect(environ).not.toHaveProperty("HTTPS");
  }
});

test("absolute form: the target as sent, its path, its authority", async () => {
  const environ = await ask("GET http://example.org:81/a%20b?c HTTP/1.1\r\nHost: example.org:81\r\n\r\n");
  expect(environ).toMatchObject({
    RAW_URI: "http://example.org:81/a%20b?c",
    PATH_INFO: "/a b",
    QUERY_STRING: "c",
    HTTP_HOST: "example.org:81",
    "wsgi.url_scheme": "http",
  });
});

test("other methods", async () => {
  for (const method of ["DELETE", "PATCH", "OPTIONS"]) {
    expect(await ask(request(method, "/m", []))).toMatchObject({ REQUEST_METHOD: method, PATH_INFO: "/m" });
  }
});

test("fields become HTTP_ keys; CONTENT_TYPE and CONTENT_LENGTH have none", async () => {
  const environ = await ask(
    request("POST", "/", ["X-One: 1", "x-two-Words:  padded \t", "Content-Type: a/b", "Content-Length: 3"], "abc"),
  );
  expect(environ).toMatchObject({
    HTTP_X_ONE: "1",
    HTTP_X_TWO_WORDS: "padded",
    CONTENT_TYPE: "a/b",
    CONTENT_LENGTH: "3",
  });
  expect(Object.keys(environ).filter((key) => /CONTENT/.test(key))).toEqual(["CONTENT_LENGTH", "CONTENT_TYPE"]);
});

test("a request without a body has neither", async () => {
  const environ = await ask(request("GET", "/", []));
  expect(Object.keys(environ).filter((key) => /CONTENT/.test(key))).toEqual([]);
});

test("bytes above 127 in a value are latin-1", async () => {
  expect(await ask(request("GET", "/", ["X-Bytes: caf\xc3\xa9 \xff"]))).toMatchObject({
    HTTP_X_BYTES: "caf\xc3\xa9 \xff",
  });
});

test("repeated fields are one list, cookies one string", async () => {
  const fields = ["X-List: a", "Cookie: one=1", "Accept: x/y", "x-list: b, c", "Cookie: two=2; three=3", "X-LIST: d"];
  expect(await ask(request("GET", "/", fields))).toMatchObject({
    HTTP_X_LIST: "a,b, c,d",
    HTTP_COOKIE: "one=1; two=2; three=3",
    HTTP_ACCEPT: "x/y",
  });
});

test("a name with an underscore cannot pose as one with a hyphen", async () => {
  const environ = await ask(request("GET", "/", ["X-Real-User: me", "X_Real_User: admin", "X_Real-User: root"]));
  expect(environ.HTTP_X_REAL_USER).toBe("me");
  expect(await ask(request("GET", "/", ["X_Only: admin"]))).not.toHaveProperty("HTTP_X_ONLY");
});

test("Proxy, which would pose as the variable HTTP_PROXY (httpoxy), is left out", async () => {
  expect(await ask(request("GET", "/", ["Proxy: evil"]))).not.toHaveProperty("HTTP_PROXY");
});

test("a local proxy may say that the client used HTTPS", async () => {
  expect(await ask(request("GET", "/", ["X-Forwarded-Proto: https"]))).toMatchObject({ "wsgi.url_scheme": "https" });
  expect(
    (await once(server.port, request("GET", "/", ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"]))).status,
  ).toBe(400);
});

test("through several requests of one connection nothing of the one before stays", async () => {
  using client = await Client.open(server.port);
  const first = environOf(
    await exchange(client, request("POST", "/1?q", ["X-Old: 1", "Content-Type: a/b", "Content-Length: 1"], "x")),
  );
  const second = environOf(await exchange(client, request("GET", "/2", [])));
  expect(first).toMatchObject({ HTTP_X_OLD: "1", CONTENT_LENGTH: "1" });
  for (const key of ["HTTP_X_OLD", "CONTENT_TYPE", "CONTENT_LENGTH"]) expect(second).not.toHaveProperty(key);
  expect(second).toMatchObject({ PATH_INFO: "/2", QUERY_STRING: "", REMOTE_PORT: first.REMOTE_PORT });
});

for (const [options, multithread, multiprocess] of [
  [["--workers", "1"], false, false],
  [["--workers", "1", "--threads", "3"], true, false],
  [["--workers", "2", "--threads", "2"], true, true],
] as const) {
  test(`${options.join(" ")}: multithread ${multithread}, multiprocess ${multiprocess}`, async () => {
    await using other = await Server.start(fixture("environ:app", ...options));
    expect(await (await other.fetch("/")).json()).toMatchObject({
      "wsgi.multithread": multithread,
      "wsgi.multiprocess": multiprocess,
    });
  });
}

test("SCRIPT_NAME from the environment: PATH_INFO begins below it", async () => {
  await using other = await Server.start(fixture("environ:app", "--workers", "1", "--env", "SCRIPT_NAME=/mount"));
  for (const [path, info] of [
    ["/mount/a%20b", "/a b"],
    ["/mount", ""],
    ["/mount/", "/"],
  ] as const) {
    expect(await (await other.fetch(path)).json()).toMatchObject({
      SCRIPT_NAME: "/mount",
      PATH_INFO: info,
      RAW_URI: path,
    });
  }
  expect((await other.fetch("/elsewhere")).status).toBe(500);
});

// The body.

const lines = "first line\nsecond\n\nwithout an end";
const chunked = (...parts: string[]): string =>
  [...parts, ""].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("");

for (const [way, parts] of [
  ["size", lines.match(/[\s\S]{1,3}/g)],
  ["readline", ["first line\n", "second\n", "\n", "without an end"]],
  ["readlines", ["first line\n", "second\n", "\n", "without an end"]],
  ["iterate", ["first line\n", "second\n", "\n", "without an end"]],
  ["length", [lines]],
  ["past-the-end", [lines, "", ""]],
] as const) {
  test(`wsgi.input read by ${way}, with a length and chunked`, async () => {
    const plain = request("POST", `/read/${way}`, [`Content-Length: ${lines.length}`], lines);
    const pieces = chunked(lines.slice(0, 5), lines.slice(5, 6), lines.slice(6));
    const inChunks = request("POST", `/read/${way}`, ["Transfer-Encoding: chunked"], pieces);
    for (const sent of [plain, inChunks]) {
      expect(JSON.parse((await once(server.port, sent)).body)).toEqual({
        length: String(lines.length),
        encoding: null,
        parts,
      });
    }
  });
}

test("a chunked body byte by byte, with extensions and trailers; the next request on the connection is intact", async () => {
  using client = await Client.open(server.port);
  const body = '3;ext="a;b"\r\nabc\r\n1\r\nd\r\n0\r\nX-Trailer: 1\r\n\r\n';
  for (const byte of request("POST", "/read/iterate", ["Transfer-Encoding: chunked"], body)) client.send(byte);
  expect(JSON.parse((await response(client)).body)).toEqual({ length: "4", encoding: null, parts: ["abcd"] });
  expect(environOf(await exchange(client, request("GET", "/next", [])))).toMatchObject({ PATH_INFO: "/next" });
});

test("an empty chunked body has the length 0", async () => {
  const sent = request("POST", "/read/iterate", ["Transfer-Encoding: chunked"], "0\r\n\r\n");
  expect(JSON.parse((await once(server.port, sent)).body)).toEqual({ length: "0", encoding: null, parts: [] });
});

test("a body that the application does not read is not taken for the next request", async () => {
  using client = await Client.open(server.port);
  const smuggled = request("GET", "/smuggled", []);
  const sent = request("POST", "/ignored", [`Content-Length: ${smuggled.length}`], smuggled) + request("GET", "/2", []);
  const first = await exchange(client, sent);
  expect(environOf(first).PATH_INFO).toBe("/ignored");
  client.received = first.rest;
  expect(environOf(await response(client)).PATH_INFO).toBe("/2");
});

test("Expect: 100-continue: the server asks for the body, then the application has it", async () => {
  using client = await Client.open(server.port);
  client.send(request("POST", "/read/length", ["Content-Length: 5", "Expect: 100-continue"]));
  await client.read(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  expect(JSON.parse((await exchange(client, "hello")).body)).toMatchObject({ parts: ["hello"] });
});

test("without Expect there is no 100", async () => {
  const { statusLine } = await once(server.port, request("POST", "/read/length", ["Content-Length: 2"], "ab"));
  expect(statusLine).toBe("HTTP/1.1 200 OK");
});
