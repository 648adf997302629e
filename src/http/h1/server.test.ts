/** How responses are framed and what becomes of the connection. What requests mean is tests/wire/h1.txt's. */
import { expect, test } from "bun:test";
import type { EngineEvent } from "../engine.ts";
import { Headers } from "../headers.ts";
import type { ResponseHead } from "../message.ts";
import { H1Server } from "./server.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const get = (path = "/", fields = ""): Uint8Array => bytes(`GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
const post = (fields: string, body = ""): Uint8Array => bytes(`POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`);
const response = (status: number, ...fields: (readonly [string, string])[]): ResponseHead => ({
  status,
  headers: Headers.of(...fields),
});
const length = (count: number): readonly [string, string] => ["Content-Length", String(count)];

function output(engine: H1Server): string {
  return engine
    .takeOutput()
    .map((piece) => (typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1")))
    .join("");
}

const types = (events: readonly EngineEvent[]): string[] => events.map(({ type }) => type);

/** An engine that has received `request` and sent `head` and `pieces`; the response ends unless `open`. */
function exchange(request: Uint8Array, head: ResponseHead, pieces: readonly string[] = [], open = false) {
  const engine = new H1Server();
  const [first] = engine.receive(request);
  if (first?.type !== "request") throw new Error("no request");
  const { stream } = first;
  engine.sendHead(stream, head, pieces.length === 0 && !open, "");
  for (const [i, piece] of pieces.entries()) engine.sendData(stream, bytes(piece), i === pieces.length - 1 && !open);
  return {
    engine,
    stream,
    output: output(engine),
    keepAlive: engine.keepAlive,
    fault: engine.fault,
    next: types(engine.resume()),
  };
}

test("a Content-Length delimits, and the connection stays open", () => {
  const { output, keepAlive, next } = exchange(get(), response(200, ["X-A", "b"], length(5)), ["he", "llo"]);
  expect(output).toBe("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello");
  expect(keepAlive).toBe(true);
  expect(next).toEqual([]);
});

test("without a length, HTTP/1.1 gets chunks", () => {
  const { output } = exchange(get(), response(200), ["hello", "", "0123456789abcdef"]);
  expect(output).toBe(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
  );
});

test("an empty piece does not end a chunked body", () => {
  expect(exchange(get(), response(200), ["", "a", ""]).output).toEndWith("\r\n\r\n1\r\na\r\n0\r\n\r\n");
});

test("text is joined: a head, a chunk and its end are three pieces", () => {
  const engine = new H1Server();
  engine.receive(get());
  engine.sendHead(1, response(200), false, "");
  engine.sendData(1, bytes("a"), false);
  engine.sendData(1, bytes("b"), true);
  expect(engine.takeOutput().map((piece) => typeof piece)).toEqual(["string", "object", "string", "object", "string"]);
  expect(engine.takeOutput()).toEqual([]);
});

test("body bytes are not copied", () => {
  const engine = new H1Server();
  engine.receive(get());
  const body = bytes("hello");
  engine.sendHead(1, response(200, length(5)), false, "");
  engine.sendData(1, body, true);
  expect(engine.takeOutput()[1]).toBe(body);
});

test("without a length, HTTP/1.0 gets the connection's end", () => {
  const request = bytes("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const { output, next } = exchange(request, response(200), ["hello"]);
  expect(output).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
  expect(next).toEqual(["closed"]);
});

test("HTTP/1.0 is told that the connection stays open", () => {
  const request = bytes("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const { output, next } = exchange(request, response(200, length(1)), ["a"]);
  expect(output).toBe("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na");
  expect(next).toEqual([]);
});

test("a client that asks to close is told that it happens, and gets chunks nevertheless", () => {
  const { output, next } = exchange(get("/", "Connection: close\r\n"), response(200), ["a"]);
  expect(output).toBe("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n");
  expect(next).toEqual(["closed"]);
});

test("a response without a body says so", () => {
  expect(exchange(get(), response(404)).output).toBe("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
});

test("HEAD: the length of what GET would get, and no body", () => {
  const head = bytes("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  const { output, keepAlive } = exchange(head, response(200, length(5)), ["hello"]);
  expect(output).toBe("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  expect(keepAlive).toBe(true);
  expect(exchange(head, response(200)).output).toBe("HTTP/1.1 200 OK\r\n\r\n");
});

test("204 has neither body nor length", () => {
  expect(exchange(get(), response(204, length(5)), ["hello"]).output).toBe("HTTP/1.1 204 No Content\r\n\r\n");
});

test("304 may have a length, but no body", () => {
  const { output, keepAlive } = exchange(get(), response(304, length(5)));
  expect(output).toBe("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
  expect(keepAlive).toBe(true);
});

test("a response longer than its Content-Length is cut there, and the connection closes", () => {
  const { output, fault, next } = exchange(get(), response(200, length(3)), ["he", "llo", "!"]);
  expect(output).toBe("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhel");
  expect(fault).toBe("response with more bytes than its Content-Length");
  expect(next).toEqual(["closed"]);
});

test("a response shorter than its Content-Length closes the connection", () => {
  const { output, fault, next } = exchange(get(), response(200, length(5)), ["hel"]);
  expect(output).toBe("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  expect(fault).toBe("response with fewer bytes than its Content-Length");
  expect(next).toEqual(["closed"]);
});

test("the connection's own fields come from the engine, never from the head", () => {
  const own = ["Connection", "Transfer-Encoding", "keep-alive", "Proxy-Connection", "Upgrade"].map(
    (name) => [name, "x"] as const,
  );
  expect(exchange(get(), response(200, ...own)).output).toBe("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
});

test("a chosen reason phrase, an unknown status", () => {
  expect(exchange(get(), { status: 200, reason: "Fine", headers: new Headers() }).output).toStartWith(
    "HTTP/1.1 200 Fine\r\n",
  );
  expect(exchange(get(), response(299)).output).toStartWith("HTTP/1.1 299 \r\n");
});

for (const [name, head] of [
  ["CR LF in a value", response(200, ["X", "a\r\nSet-Cookie: b"])],
  ["LF in a value", response(200, ["X", "a\nb"])],
  ["NUL in a value", response(200, ["X", "a\0b"])],
  ["a character above 0xFF in a value", response(200, ["X", "a\u010d\u010ab"])],
  ["a name that is no token", response(200, ["X: y\r\nZ", "a"])],
  ["an empty name", response(200, ["", "a"])],
  ["CR LF in the reason", { status: 200, reason: "OK\r\nX: y", headers: new Headers() }],
  ["two lengths", response(200, length(1), length(1))],
  ["a length that is none", response(200, ["Content-Length", "1, 1"])],
  ["a status that is none", response(20)],
  ["an interim status", response(100)],
] as const) {
  test(`${name}: throws, nothing is written, and another response can be sent`, () => {
    const engine = new H1Server();
    engine.receive(get());
    expect(() => engine.sendHead(1, head, true, "")).toThrow();
    expect(engine.takeOutput()).toEqual([]);
    engine.sendHead(1, response(500), true, "");
    expect(output(engine)).toBe("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
  });
}

test("100 Continue and 103 Early Hints go before the response", () => {
  const engine = new H1Server();
  engine.receive(post("Expect: 100-continue\r\nContent-Length: 1\r\n"));
  engine.sendInterim(1, response(103, ["Link", "</a>"]));
  engine.sendInterim(1, response(100));
  expect(output(engine)).toBe("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
  expect(types(engine.receive(bytes("x")))).toEqual(["data"]);
  engine.sendHead(1, response(200), true, "");
  expect(output(engine)).toBe("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  expect(engine.resume()).toEqual([]);
});

test("HTTP/1.0 gets no interim responses", () => {
  const engine = new H1Server();
  engine.receive(bytes("GET / HTTP/1.0\r\n\r\n"));
  engine.sendInterim(1, response(103, ["Link", "</a>"]));
  expect(engine.takeOutput()).toEqual([]);
});

test("a final response instead of 100 Continue ends the connection: nobody knows whether the body comes", () => {
  const { output, next } = exchange(post("Expect: 100-continue\r\nContent-Length: 1\r\n"), response(403));
  expect(output).toBe("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  expect(next).toEqual(["closed"]);
});

test("a request whose body the handler did not read: the rest is consumed, never parsed as a request", () => {
  const { engine, output, next } = exchange(post("Content-Length: 30\r\n", "GET /1"), response(200));
  expect(output).not.toContain("close");
  expect(next).toEqual([]);
  expect(types(engine.receive(bytes(" HTTP/1.1\r\nHost: a\r\n\r\n")))).toEqual(["data"]);
  expect(types(engine.receive(bytes("\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")))).toEqual(["data", "request"]);
});

test("… unless the connection has had enough of it", () => {
  const { engine } = exchange(post("Content-Length: 30\r\n", "GET /1"), response(200));
  engine.stopKeepAlive();
  expect(engine.keepAlive).toBe(false);
  expect(types(engine.resume())).toEqual(["closed"]);
  expect(engine.receive(bytes(" HTTP/1.1\r\nHost: a\r\n\r\n"))).toEqual([]);
});

test("pipelined requests wait; buffered tells how many bytes", () => {
  const engine = new H1Server();
  expect(types(engine.receive(Buffer.concat([get("/1"), get("/2"), get("/3")])))).toEqual(["request"]);
  const each = get("/1").length;
  expect(engine.buffered).toBe(2 * each);
  expect(engine.receive(get("/4"))).toEqual([]);
  expect(engine.buffered).toBe(3 * each);
  for (const path of ["/2", "/3", "/4"]) {
    engine.sendHead(engine.buffered / each === 3 ? 1 : engine.buffered / each === 2 ? 2 : 3, response(200), true, "");
    // Still waiting until the connection says that it goes on.
    expect(engine.buffered).toBeGreaterThan(0);
    const [event] = engine.resume();
    expect(event?.type === "request" && event.head.path).toBe(path);
  }
  expect(engine.buffered).toBe(0);
});

test("an unfinished head is not buffered: only more bytes can finish it", () => {
  const engine = new H1Server();
  expect(engine.headBegun).toBe(false);
  engine.receive(bytes("GET / HTTP/1.1\r\nHost"));
  expect(engine.headBegun).toBe(true);
  expect(engine.buffered).toBe(0);
  expect(types(engine.receive(bytes(": a\r\n\r\n")))).toEqual(["request"]);
  expect(engine.headBegun).toBe(false);
});

test("stopKeepAlive: an idle connection is over", () => {
  const engine = new H1Server();
  engine.stopKeepAlive();
  expect(types(engine.resume())).toEqual(["closed"]);
  expect(engine.resume()).toEqual([]);
});

test("stopKeepAlive: the request in progress is answered, and told", () => {
  const engine = new H1Server();
  engine.receive(bytes("GET / HTTP/1.1\r\nHost"));
  engine.stopKeepAlive();
  expect(types(engine.receive(bytes(": a\r\n\r\n")))).toEqual(["request"]);
  engine.sendHead(1, response(200), true, "");
  expect(output(engine)).toBe("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  expect(types(engine.resume())).toEqual(["closed"]);
});

test("a refusal is answered, then the connection is over", () => {
  const engine = new H1Server();
  expect(types(engine.receive(bytes("GET / HTTP/1.1\r\n\r\nGET")))).toEqual(["refused"]);
  expect(engine.keepAlive).toBe(false);
  engine.sendHead(1, response(400, length(2)), false, "");
  engine.sendData(1, bytes("no"), true);
  expect(output(engine)).toBe("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  expect(types(engine.resume())).toEqual(["closed"]);
});

test("a refusal of HEAD has no body", () => {
  const engine = new H1Server();
  engine.receive(bytes("HEAD / HTTP/1.1\r\n\r\n"));
  engine.sendHead(1, response(400, length(2)), false, "");
  engine.sendData(1, bytes("no"), true);
  expect(output(engine)).toBe("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
});

test("a broken body is refused while no response has begun", () => {
  const engine = new H1Server();
  engine.receive(post("Transfer-Encoding: chunked\r\n"));
  expect(types(engine.receive(bytes("zz\r\n")))).toEqual(["refused"]);
  engine.sendHead(1, response(400), true, "");
  expect(output(engine)).toContain("Connection: close");
  expect(types(engine.resume())).toEqual(["closed"]);
});

test("a broken body whose response has been sent closes the connection", () => {
  const { engine } = exchange(post("Transfer-Encoding: chunked\r\n"), response(200));
  expect(types(engine.receive(bytes("zz\r\n")))).toEqual(["closed"]);
  expect(engine.takeOutput()).toEqual([]);
});

test("the connection may refuse what is too slow", () => {
  const engine = new H1Server();
  engine.receive(bytes("GET / HT"));
  const events = engine.refuse({ status: 408, rule: "RFC 9110 15.5.9", detail: "too slow" });
  expect(types(events)).toEqual(["refused"]);
  engine.sendHead(1, response(408), true, "");
  expect(output(engine)).toBe("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  expect(types(engine.resume())).toEqual(["closed"]);
});

test("a response that is given up: chunks lack their end, a connection's end needs a reset", () => {
  const chunked = exchange(get(), response(200), ["a"], true);
  chunked.engine.sendReset(chunked.stream);
  expect(chunked.engine.takeOutput()).toEqual([]);
  expect(chunked.engine.needsReset).toBe(false);
  expect(types(chunked.engine.resume())).toEqual(["closed"]);

  const closing = exchange(bytes("GET / HTTP/1.0\r\n\r\n"), response(200), ["a"], true);
  closing.engine.sendReset(closing.stream);
  expect(closing.engine.needsReset).toBe(true);
});

test("a client that closes its side is still answered, but not asked for more", () => {
  const engine = new H1Server();
  engine.receive(get());
  expect(engine.receiveEnd()).toEqual([]);
  engine.sendHead(1, response(200), true, "");
  expect(output(engine)).toContain("Connection: close");
  expect(types(engine.resume())).toEqual(["closed"]);
});

test("a client that closes inside a body: reset, and a late response goes nowhere", () => {
  const engine = new H1Server();
  engine.receive(post("Content-Length: 5\r\n", "hel"));
  expect(types(engine.receiveEnd())).toEqual(["reset", "closed"]);
  engine.sendHead(1, response(200), false, "");
  expect(engine.sendData(1, bytes("a"), true)).toBe(0);
  expect(engine.takeOutput()).toEqual([]);
});

test("a response out of turn is our bug", () => {
  const engine = new H1Server();
  expect(() => engine.sendHead(1, response(200), true, "")).toThrow();
  engine.receive(get());
  expect(() => engine.sendData(1, bytes("a"), true)).toThrow();
  engine.sendHead(1, response(200), false, "");
  expect(() => engine.sendHead(1, response(200), true, "")).toThrow();
  expect(() => engine.sendHead(2, response(200), true, "")).toThrow();
});

test("a flood of pipelined requests costs a request at a time", () => {
  const engine = new H1Server();
  const flood = Buffer.concat(Array.from({ length: 2000 }, () => get()));
  let events = engine.receive(flood);
  let count = 0;
  while (events[0]?.type === "request") {
    expect(events.length).toBe(1);
    count++;
    engine.sendHead(events[0].stream, response(204), true, "");
    engine.takeOutput();
    events = engine.resume();
  }
  expect(count).toBe(2000);
  expect(engine.buffered).toBe(0);
});
