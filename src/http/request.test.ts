import { expect, test } from "bun:test";
import type { EngineEvent } from "./engine.ts";
import { nginxPolicy, type Policy, strictPolicy } from "./h1/policy.ts";
import { H1Server } from "./h1/server.ts";
import { Headers } from "./headers.ts";
import type { RequestHead } from "./message.ts";
import { CheckedRequest, hostOf } from "./request.ts";

const receive = (text: string, policy: Policy): EngineEvent | undefined =>
  new H1Server(policy).receive(new Uint8Array(Buffer.from(text, "latin1")))[0];

function read(text: string, policy: Policy = nginxPolicy): RequestHead {
  const event = receive(text, policy);
  if (event?.type !== "request") throw new Error(`${event?.type}`);
  return event.head;
}

function refused(text: string, policy: Policy = nginxPolicy) {
  const event = receive(text, policy);
  if (event?.type !== "refused") throw new Error(`${event?.type}`);
  return event;
}

test("an authority's host and port", () => {
  const cases = [
    ["", "", 0],
    ["A.b", "a.b", 0],
    ["a.b.", "a.b", 0],
    ["a.b.:8080", "a.b", 8080],
    ["a:", "a", 0],
    ["a:0080", "a", 80],
    ["[::FF]", "[::ff]", 0],
    ["[::1]:443", "[::1]", 443],
    ["[::1]:", "[::1]", 0],
  ] as const;
  for (const [authority, host, port] of cases) {
    const request = new CheckedRequest("GET", "/", 11, new Headers());
    request.authority = authority;
    expect([authority, hostOf(authority), request.host, request.authorityPort]).toEqual([authority, host, host, port]);
  }
});

test("host and port of a request: the target's, if it names one", () => {
  const own = read("GET / HTTP/1.1\r\nHost: A.b.:81\r\n\r\n");
  expect([own.host, own.authorityPort]).toEqual(["a.b", 81]);
  const targets = read("GET http://C/ HTTP/1.1\r\nHost: a:81\r\n\r\n");
  expect([targets.host, targets.authorityPort, targets.headers.get("host")]).toEqual(["c", 0, "a:81"]);
  const none = read("GET / HTTP/1.0\r\n\r\n");
  expect([none.host, none.authorityPort]).toEqual(["", 0]);
});

test("the request line as sent, and the protocol in it", () => {
  const host = "\r\nHost: a\r\n\r\n";
  for (const [line, protocol] of [
    ["GET / HTTP/1.1", "HTTP/1.1"],
    ["GET / HTTP/1.0", "HTTP/1.0"],
    ["GET /?a HTTP/1.7", "HTTP/1.7"],
    ["GET http://a/ HTTP/1.1", "HTTP/1.1"],
  ] as const) {
    for (const policy of [strictPolicy, nginxPolicy]) {
      const { requestLine, protocol: found } = read(line + host, policy);
      expect([requestLine, found]).toEqual([line, protocol]);
    }
  }
  const spaced = read("\r\nGET  /  HTTP/1.10 \r\nHost: a\r\n\r\n");
  expect([spaced.requestLine, spaced.protocol]).toEqual(["GET  /  HTTP/1.10 ", "HTTP/1.10"]);
  const old = read("GET /a\n");
  expect([old.requestLine, old.protocol, old.version]).toEqual(["GET /a", "", 9]);
  expect(read(`get / HTTP/1.1${host}`, { ...strictPolicy, foldMethodCase: true }).requestLine).toBe("get / HTTP/1.1");
});

test("the URI: the target without scheme and authority", () => {
  for (const [target, uri] of [
    ["/a?b#c", "/a?b#c"],
    ["http://a", "/"],
    ["http://a?b", "?b"],
    ["http://a/b?c", "/b?c"],
  ] as const) {
    expect([target, read(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).uri]).toEqual([target, uri]);
  }
  expect(read("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", strictPolicy).uri).toBe("?b");
  expect(read("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", strictPolicy).uri).toBe("/");
  expect(read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", strictPolicy).uri).toBe("*");
});

test("the head's length: from the method to the empty line's end, whatever was left out of it", () => {
  const text = "GET / HTTP/1.1\r\nHost: a\r\nx_y: z\r\n\r\n";
  for (const policy of [strictPolicy, nginxPolicy]) {
    expect(read(text, policy).headLength).toBe(text.length);
    expect(read(`\r\n${text}GET /`, policy).headLength).toBe(text.length);
  }
  expect(read("GET / HTTP/1.1\nHost: a\n</: b\n\n").headLength).toBe(30);
  expect(read("GET /a\r\nHost: a\r\n\r\n").headLength).toBe(8);
});

test("lines that were left out", () => {
  expect(read("GET / HTTP/1.1\r\nHost: a\r\nx_y:  z \r\n\r\n").ignoredLines).toEqual(["x_y:  z"]);
  expect(read("GET / HTTP/1.1\r\nHost: a\r\n\r\n").ignoredLines).toEqual([]);
});

test("control characters stay in a value, NUL and line ends never do", () => {
  const { headers } = read("GET / HTTP/1.1\r\nHost: a\r\nX: \x01 \x7f\x1b\t\r\n\r\n");
  expect(headers.get("x")).toBe("\x01 \x7f\x1b");
});

test("of a refused head, what was understood", () => {
  const { head, error } = refused("GET /a?b HTTP/1.1\r\nUser-Agent: u\r\nHost: A:1\r\nX : y\r\n\r\n");
  expect(error.status).toBe(400);
  expect(head?.requestLine).toBe("GET /a?b HTTP/1.1");
  expect([head?.path, head?.query, head?.host, head?.headers.get("user-agent")]).toEqual(["/a", "b", "a", "u"]);
  expect(refused("\x16\x03\x01 abc\r\nx").head?.requestLine).toBe("\x16\x03\x01 abc");
  expect(refused("GET a HTTP/1.1\r\nHost: a\r\n\r\n", strictPolicy).head?.requestLine).toBe("GET a HTTP/1.1");
  const trace = refused("TRACE http://b/c HTTP/1.1\r\nHost: a\r\n\r\n").head;
  expect([trace?.method, trace?.host, trace?.path, trace?.uri]).toEqual(["TRACE", "b", "/c", "/c"]);
});

test("a virtual server's policy holds for what follows its name", () => {
  const policy: Policy = {
    ...nginxPolicy,
    hostPolicy: (host) => (host === "b" ? { ...nginxPolicy, underscores: "keep", fieldCountLimit: 3 } : nginxPolicy),
  };
  const names = (text: string) => read(text, policy).headers.names.map(({ raw }) => raw);
  expect(names("GET / HTTP/1.1\r\nx_1: a\r\nHost: B:80\r\nx_2: a\r\n\r\n")).toEqual(["Host", "x_2"]);
  expect(names("GET / HTTP/1.1\r\nHost: a\r\nx_2: a\r\n\r\n")).toEqual(["Host"]);
  expect(names("GET http://b/ HTTP/1.1\r\nx_1: a\r\nHost: a\r\nx_2: a\r\n\r\n")).toEqual(["x_1", "Host", "x_2"]);
  const four = "GET / HTTP/1.1\r\nHost: b\r\nX: 1\r\nX: 2\r\nX: 3\r\n\r\n";
  expect(refused(four, policy).error.status).toBe(494);
  expect(refused(`GET / HTTP/1.1\r\nHost: b\r\nHost: c\r\n\r\n`, policy).error.status).toBe(400);
});
