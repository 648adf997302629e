/** What a response's head can ask of the engine: names, framing, trailers; and HTTP/0.9, which has no heads. */
import { expect, test } from "bun:test";
import { Headers } from "../headers.ts";
import type { ResponseHead } from "../message.ts";
import { nginxPolicy, type Policy, strictPolicy } from "./policy.ts";
import { H1Server } from "./server.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const date = "Tue, 24 Nov 2026 11:00:00 GMT";

function output(engine: H1Server): string {
  const pieces = engine.takeOutput();
  return pieces.map((piece) => (typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1"))).join("");
}

interface Options {
  readonly policy?: Policy;
  readonly server?: string;
  readonly asked?: string;
  readonly body?: string;
  readonly trailers?: Headers;
  readonly date?: string;
}

/** All that is sent for one response, and whether the connection stays open. */
function respond(head: ResponseHead, options: Options = {}): { sent: string; keepAlive: boolean } {
  const engine = new H1Server(options.policy ?? strictPolicy, options.server);
  engine.receive(bytes(options.asked ?? request));
  engine.sendHead(1, head, options.body === undefined, options.date ?? "");
  if (options.trailers !== undefined) engine.sendTrailers(1, options.trailers);
  if (options.body !== undefined) engine.sendData(1, bytes(options.body), true);
  return { sent: output(engine), keepAlive: engine.keepAlive };
}

const plain = (more: Partial<ResponseHead> = {}, ...fields: (readonly [string, string])[]): ResponseHead => ({
  status: 200,
  headers: Headers.of(...fields),
  ...more,
});
const length = ["Content-Length", "2"] as const;

test("the Server field: the engine's, the head's, or none", () => {
  const named = (head: ResponseHead, server?: string) =>
    /^Server: (.*)\r$/m.exec(respond(head, { date, ...(server === undefined ? {} : { server }) }).sent)?.[1];
  expect(named(plain())).toBe("alicorn");
  expect(named(plain(), "other")).toBe("other");
  expect(named(plain(), "")).toBeUndefined();
  expect(named(plain({ server: "alicorn/1" }))).toBe("alicorn/1");
  expect(named(plain({ server: "" }))).toBeUndefined();
  expect(named(plain())).toBe("alicorn");
});

test("a Server or Date of the head's own is the only one", () => {
  expect(respond(plain({}, ["Server", "x"]), { date }).sent).toBe(
    `HTTP/1.1 200 OK\r\nServer: x\r\nDate: ${date}\r\nContent-Length: 0\r\n\r\n`,
  );
  expect(respond(plain({}, ["date", "then"]), { date }).sent).toBe(
    "HTTP/1.1 200 OK\r\ndate: then\r\nServer: alicorn\r\nContent-Length: 0\r\n\r\n",
  );
});

test("a Server with a line end throws, and nothing is sent", () => {
  expect(() => respond(plain({ server: "a\r\nX: y" }), { date })).toThrow();
});

test("nginx's policy tells HTTP/1.1, too, that the connection stays open", () => {
  const { sent, keepAlive } = respond(plain(), { policy: nginxPolicy });
  expect(sent).toBe("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  expect(keepAlive).toBe(true);
});

test("for how long it stays open", () => {
  const head = plain({ keepAliveHint: 20 });
  expect(respond(head).sent).toEndWith("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=20\r\n\r\n");
  const closing = respond(head, { asked: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" });
  expect(closing.sent).toEndWith("Content-Length: 0\r\nConnection: close\r\n\r\n");
});

test("without chunks, a body without a length ends with the connection", () => {
  const { sent, keepAlive } = respond(plain({ chunked: false }), { body: "ab" });
  expect(sent).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab");
  expect(keepAlive).toBe(false);
  const known = respond(plain({ chunked: false }, length), { body: "ab" });
  expect(known.sent).toBe("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
  expect(known.keepAlive).toBe(true);
});

const trailers = Headers.of(["X-A", "1"], ["X-B", "2"]);

test("trailers follow the last chunk", () => {
  const { sent, keepAlive } = respond(plain(), { body: "ab", trailers });
  expect(sent).toEndWith("\r\n\r\n2\r\nab\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n");
  expect(keepAlive).toBe(true);
});

test("chunks despite a known length, for trailers", () => {
  const { sent } = respond(plain({ chunked: true }, length), { body: "ab", trailers });
  expect(sent).toBe("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n");
  expect(respond(plain({ chunked: true }), { body: "", trailers }).sent).toEndWith(
    "\r\n\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
  );
});

test("trailers are dropped where there is no place for them", () => {
  expect(respond(plain({}, length), { body: "ab", trailers }).sent).toEndWith("\r\n\r\nab");
  expect(respond(plain({ chunked: false }), { body: "ab", trailers }).sent).toEndWith("\r\n\r\nab");
  const old = respond(plain({ chunked: true }, length), { asked: "GET / HTTP/1.0\r\n\r\n", body: "ab", trailers });
  expect(old.sent).toEndWith("Content-Length: 2\r\nConnection: close\r\n\r\nab");
  const asked = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
  const toHead = respond(plain({ chunked: true }, length), { asked, body: "", trailers });
  expect(toHead.sent).toBe("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
});

test("trailers cannot frame, and cannot hold line ends", () => {
  const framing = Headers.of(["Content-Length", "9"], ["Transfer-Encoding", "x"], ["X", "y"]);
  expect(respond(plain(), { body: "ab", trailers: framing }).sent).toEndWith("\r\n0\r\nX: y\r\n\r\n");
  expect(() => respond(plain(), { body: "ab", trailers: Headers.of(["X", "a\r\nb"]) })).toThrow();
});

test("one response's trailers are not the next one's", () => {
  const engine = new H1Server();
  engine.receive(bytes(request + request));
  engine.sendHead(1, plain(), false, "");
  engine.sendTrailers(1, trailers);
  engine.sendData(1, bytes("a"), true);
  engine.resume();
  engine.takeOutput();
  engine.sendHead(2, plain(), false, "");
  engine.sendData(2, bytes("a"), true);
  expect(output(engine)).toEndWith("a\r\n0\r\n\r\n");
});

test("HTTP/0.9 gets the body and nothing else, then the connection ends", () => {
  for (const status of [200, 404]) {
    const head = plain({ status }, length);
    const { sent, keepAlive } = respond(head, { policy: nginxPolicy, asked: "GET /\r\n", body: "ab", date });
    expect(sent).toBe("ab");
    expect(keepAlive).toBe(false);
  }
  const chunked = respond(plain(), { policy: nginxPolicy, asked: "GET /\r\n", body: "ab", trailers });
  expect(chunked.sent).toBe("ab");
  expect(respond(plain(), { policy: nginxPolicy, asked: "GET /\r\n" }).sent).toBe("");
});

test("HTTP/0.9 gets no interim responses", () => {
  const engine = new H1Server(nginxPolicy);
  engine.receive(bytes("GET /\n"));
  engine.sendInterim(1, { status: 103, headers: new Headers() });
  expect(engine.takeOutput()).toEqual([]);
});
