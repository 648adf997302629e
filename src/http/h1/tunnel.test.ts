import { expect, test } from "bun:test";
import type { EngineEvent } from "../engine.ts";
import { Headers } from "../headers.ts";
import type { ResponseHead } from "../message.ts";
import { nginxPolicy } from "./policy.ts";
import { H1Server } from "./server.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
const switching: ResponseHead = { status: 101, headers: Headers.of(["Upgrade", "x"], ["X-Y", "z"]) };

const text = (piece: string | Uint8Array): string =>
  typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1");
const output = (engine: H1Server): string => engine.takeOutput().map(text).join("");
/** `data "text"`, `data "text" end`, or the event's type. */
const describe = (events: readonly EngineEvent[]): string[] =>
  events.map((event) =>
    event.type === "data" ? `data ${JSON.stringify(text(event.bytes))}${event.end ? " end" : ""}` : event.type,
  );

function tunnel(early = ""): { engine: H1Server; events: string[] } {
  const engine = new H1Server();
  engine.receive(bytes(request + early));
  engine.sendHead(1, switching, false, "");
  return { engine, events: describe(engine.startTunnel(1)) };
}

test("the head of 101 names the protocol; nothing frames what follows", () => {
  const { engine, events } = tunnel();
  expect(events).toEqual([]);
  expect(output(engine)).toBe(
    "HTTP/1.1 101 Switching Protocols\r\nX-Y: z\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
  );
  expect(engine.plainBody).toBe(true);
  expect(engine.keepAlive).toBe(false);
  engine.sendData(1, bytes("\0a"), false);
  engine.sendData(1, bytes("b"), false);
  expect(output(engine)).toBe("\0ab");
});

test("what the client says is data, what it has said too early as well", () => {
  const { engine, events } = tunnel("GET /early HTTP/1.1\r\n");
  expect(events).toEqual(['data "GET /early HTTP/1.1\\r\\n"']);
  expect(engine.buffered).toBe(0);
  expect(describe(engine.receive(bytes("\r\n")))).toEqual(['data "\\r\\n"']);
});

test("nothing is passed on before the tunnel begins", () => {
  const engine = new H1Server();
  engine.receive(bytes(request));
  engine.sendHead(1, switching, false, "");
  expect(engine.receive(bytes("abc"))).toEqual([]);
  expect(engine.buffered).toBe(3);
  expect(describe(engine.startTunnel(1))).toEqual(['data "abc"']);
});

test("our end of it closes the connection", () => {
  const { engine } = tunnel();
  engine.takeOutput();
  engine.sendData(1, bytes("bye"), true);
  expect(output(engine)).toBe("bye");
  expect(describe(engine.resume())).toEqual(["closed"]);
  expect(engine.receive(bytes("more"))).toEqual([]);
});

test("the client's end of it leaves our half open", () => {
  const { engine } = tunnel();
  engine.takeOutput();
  expect(describe(engine.receiveEnd())).toEqual(['data "" end']);
  engine.sendData(1, bytes("still"), false);
  expect(output(engine)).toBe("still");
  engine.sendData(1, bytes(""), true);
  expect(describe(engine.resume())).toEqual(["closed"]);
});

test("a client that has closed its half before the tunnel began", () => {
  const engine = new H1Server();
  engine.receive(bytes(`${request}abc`));
  expect(engine.receiveEnd()).toEqual([]);
  engine.sendHead(1, switching, false, "");
  expect(describe(engine.startTunnel(1))).toEqual(['data "abc"', 'data "" end']);
});

test("a tunnel that is given up needs a reset", () => {
  const { engine } = tunnel();
  engine.sendReset(1);
  expect(engine.needsReset).toBe(true);
  expect(describe(engine.resume())).toEqual(["closed"]);
});

test("CONNECT, where a head says so", () => {
  const engine = new H1Server({ ...nginxPolicy, refusedMethods: new Set() });
  engine.receive(bytes("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"));
  engine.sendHead(1, { status: 200, headers: new Headers(), tunnel: true }, false, "");
  expect(output(engine)).toBe("HTTP/1.1 200 OK\r\n\r\n");
  expect(engine.startTunnel(1)).toEqual([]);
  expect(describe(engine.receive(bytes("abc")))).toEqual(['data "abc"']);
});

test("no tunnel before the request's end, for HTTP/1.0, or out of any other response", () => {
  const unread = new H1Server();
  unread.receive(bytes("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"));
  expect(() => unread.sendHead(1, switching, false, "")).toThrow();

  const old = new H1Server();
  old.receive(bytes("GET / HTTP/1.0\r\n\r\n"));
  expect(() => old.sendHead(1, switching, false, "")).toThrow();

  const plain = new H1Server();
  plain.receive(bytes(request));
  plain.sendHead(1, { status: 200, headers: new Headers() }, false, "");
  expect(() => plain.startTunnel(1)).toThrow();
});

test("a connection that is gone takes no tunnel", () => {
  const { engine } = tunnel();
  engine.sendReset(1);
  expect(engine.startTunnel(1)).toEqual([]);
});
