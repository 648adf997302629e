import { expect, test } from "bun:test";
import { countersOf } from "../../tests/support/counters.ts";
import { bareLocation, bareServer } from "../../tests/support/exchange.ts";
import { Timers } from "../base/timers.ts";
import { H1Server } from "../http/h1/server.ts";
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, type Reply, type Sink } from "../http/message.ts";
import type { Piece, Transport } from "../net/transport.ts";
import { Exchange } from "../web/exchange.ts";
import type { ClientLimits } from "../web/limits.ts";
import type { Handler, Location } from "../web/pipeline.ts";
import { ConnectionClient } from "./client.ts";
import { type Address, Connection } from "./connection.ts";
import type { Service } from "./service.ts";

/** A transport that the test holds both ends of. */
class FakeTransport implements Transport {
  sent = "";
  unsent = 0;
  /** The peer does not read: everything is kept. */
  stuck = false;
  state: "open" | "shutdown" | "ended" | "aborted" = "open";
  paused = false;
  sendFile?: (fd: number, offset: number, length: number) => number;
  readonly peerAddress = "192.0.2.7";
  readonly peerPort = 4711;
  readonly localAddress = "192.0.2.1";
  write(pieces: readonly Piece[]): boolean {
    for (const piece of pieces) {
      const text = typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1");
      this.sent += text;
      if (this.stuck) this.unsent += text.length;
    }
    return this.unsent === 0;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  shutdown(): void {
    this.state = "shutdown";
  }
  end(): void {
    this.state = "ended";
  }
  abort(): void {
    this.state = "aborted";
  }
}

const hello: Handler = () => reply({ kind: "bytes", bytes: Buffer.from("hello") }, 5);
function reply(body: Body, length?: number): Reply {
  const headers = new Headers();
  if (length !== undefined) headers.add("Content-Length", String(length));
  return { head: { status: 200, headers }, body };
}

function make(handler: Handler = hello, given: Partial<ClientLimits> = {}) {
  let now = 0;
  const log: string[] = [];
  /** Of each request: what the access log sees. */
  const logged: string[] = [];
  const transport = new FakeTransport();
  const location: Location = {
    ...bareLocation,
    handlers: [handler],
    logs: [({ reply, method, closes }) => logged.push(`${method} ${reply?.head.status}${closes ? " close" : ""}`)],
    errorLog: { wants: () => true, log: (level, message) => log.push(`${level}: ${message}`) },
    limits: { ...bareLocation.limits, ...given },
  };
  const server = { ...bareServer, root: location };
  const address: Address = {
    defaultServer: server,
    open: (request, client, body) => new Exchange({ request, client, body, server, startedAt: 0 }, request.path, ""),
  };
  const service: Service = {
    timers: new Timers(() => now),
    log: location.errorLog,
    counters: countersOf(),
    lane: 0,
    maxConnections: 100,
    connections: new Set(),
    draining: false,
  };
  const { connections, timers, counters } = service;
  const client = new ConnectionClient(transport, { address: "127.0.0.1", port: "80" }, 0, undefined);
  counters.add(0, "active", 1);
  const connection = new Connection(transport, new H1Server(), service, address, client);
  connections.add(connection);
  /** Lets `seconds` pass, a second at a time; `each` happens every second. */
  const pass = (seconds: number, each: () => void = () => {}) => {
    for (let i = 0; i < seconds; i++) {
      each();
      now += 1000;
      timers.tick();
    }
  };
  const send = async (text: string) => {
    connection.onBytes(Buffer.from(text, "latin1"));
    await Promise.resolve();
    await Promise.resolve();
  };
  return { connection, connections, counters, service, transport, log, logged, pass, send };
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("answers, and stays open for the next request", async () => {
  const { transport, send } = make();
  await send(get);
  await send(get);
  expect(transport.sent.match(/HTTP\/1.1 200 OK\r\n/g)).toHaveLength(2);
  expect(transport.sent).toMatch(/Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
  expect(transport.state).toBe("open");
});

test("an idle connection is closed after the keep-alive timeout", async () => {
  const { transport, pass, send } = make();
  await send(get);
  pass(74);
  expect(transport.state).toBe("open");
  pass(2);
  expect(transport.state).toBe("ended");
});

test("keep-alive 0: one request per connection", async () => {
  const { transport, send } = make(hello, { keepAliveTimeoutMs: 0 });
  await send(get);
  expect(transport.sent).toContain("Connection: close\r\n");
  await settled();
  expect(transport.state).toBe("ended");
});

test("a client that never asks is closed without an answer", () => {
  const { transport, pass } = make();
  pass(61);
  expect([transport.state, transport.sent]).toEqual(["ended", ""]);
});

test("a head that drips is answered 408 when its time is over, however steadily it drips", async () => {
  const { transport, pass, send, connection } = make();
  await send("GET / HTTP/1.1\r\nHost: x\r\n");
  pass(58, () => connection.onBytes(Buffer.from("A: b\r\n")));
  expect(transport.sent).toBe("");
  pass(4);
  await settled();
  expect(transport.sent).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
  expect(transport.state).toBe("shutdown");
});

test("after a refusal the rest is read away for a while, then the connection ends (RFC 9112 9.6)", async () => {
  const { transport, pass, send, connection } = make();
  await send("BAD\r\n\r\n");
  expect(transport.sent).toStartWith("HTTP/1.1 400 ");
  expect(transport.state).toBe("shutdown");
  pass(4, () => connection.onBytes(Buffer.from("more")));
  expect(transport.state).toBe("shutdown");
  pass(6);
  expect(transport.state).toBe("ended");
});

test("lingering has an end, however steadily the peer sends", async () => {
  const { transport, pass, send, connection } = make(hello, { lingeringTimeMs: -1 });
  await send("BAD\r\n\r\n");
  pass(1, () => connection.onBytes(Buffer.from("more")));
  expect(transport.state).toBe("ended");
});

const readBody: Handler = (exchange: Exchange) =>
  exchange.body
    ?.read(exchange.location.limits)
    .then((body) => reply({ kind: "bytes", bytes: Buffer.from(`${body.kind}`) }));

test("a body that stops is answered 408; one that goes on slowly is waited for", async () => {
  const { transport, pass, send, connection } = make(readBody);
  await send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  pass(200, () => connection.onBytes(Buffer.from("x")));
  expect(transport.sent).toBe("");
  pass(62);
  await settled();
  expect(transport.sent).toStartWith("HTTP/1.1 408 ");
});

test("100 Continue is sent when a handler reads the body, not before (RFC 9110 10.1.1)", async () => {
  const expecting = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  const reading = make(readBody);
  await reading.send(expecting);
  expect(reading.transport.sent).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  await reading.send("abc");
  await settled();
  expect(reading.transport.sent).toContain("HTTP/1.1 200 OK\r\n");
  const ignoring = make();
  await ignoring.send(expecting);
  expect(ignoring.transport.sent).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(ignoring.transport.sent).toContain("Connection: close\r\n");
});

test("a reader that is stuck is cut off; one that is slow is not", async () => {
  const { transport, pass, send } = make();
  transport.stuck = true;
  await send(get);
  pass(200, () => {
    transport.unsent = Math.max(transport.unsent - 1, 1);
    if (transport.unsent === 1) transport.unsent = 100;
  });
  transport.unsent = 7;
  pass(130);
  expect(transport.state).toBe("aborted");
});

test("a client that pipelines and does not read gets one answer, and is not read from any more", async () => {
  let asked = 0;
  const asking: Handler = (exchange) => {
    asked++;
    return hello(exchange);
  };
  const { transport, connection, send } = make(asking, { keepAliveRequests: 20_000 });
  transport.stuck = true;
  await send(get.repeat(10_000));
  expect(asked).toBe(1);
  expect(transport.paused).toBe(true);
  transport.stuck = false;
  transport.unsent = 0;
  connection.onDrain();
  for (let i = 0; i < 100 && asked < 10_000; i++) await settled();
  expect(asked).toBe(10_000);
  expect(transport.paused).toBe(false);
});

test("a request that comes between a response and its flush is answered, too", async () => {
  const { transport, connection } = make();
  connection.onBytes(Buffer.from(get));
  connection.onBytes(Buffer.from(get));
  await settled();
  expect(transport.sent.match(/200 OK/g)).toHaveLength(2);
});

test("a handler that waits hears when the client goes", async () => {
  let gone = 0;
  const { connection, send, connections } = make((exchange) => {
    exchange.onGone = () => gone++;
    return new Promise(() => {});
  });
  await send(get);
  connection.onClose();
  expect([gone, connections.size]).toEqual([1, 0]);
});

test("a stream is pulled at the client's pace, and cancelled when the client goes", async () => {
  let pulled = 0;
  let cancelled = "";
  const body: Body = {
    kind: "stream",
    source: {
      pull(to: Sink) {
        pulled++;
        to.push(Buffer.alloc(10), false);
      },
      cancel: (reason) => {
        cancelled = reason;
      },
    },
  };
  const { connection, transport, send } = make(() => reply(body));
  await send(get);
  expect(pulled).toBe(1);
  transport.stuck = true;
  await settled();
  expect(pulled).toBe(2);
  await settled();
  expect(pulled).toBe(2);
  transport.unsent = 0;
  connection.onDrain();
  expect(pulled).toBe(3);
  connection.onClose();
  expect(cancelled).toBe("the client has gone");
});

test("a broken response is cut, never ended as if it were complete", async () => {
  const body: Body = { kind: "stream", source: { pull: (to) => to.fail("the worker died"), cancel() {} } };
  const { transport, send, log } = make(() => reply(body));
  await send(get);
  await settled();
  expect(transport.sent).not.toContain("0\r\n\r\n");
  expect(transport.state).not.toBe("open");
  expect(log.join()).toContain("error: *");
  expect(log.join()).toContain("the response was cut off: the worker died, client: 192.0.2.7, server: ");
});

test("a bug in a handler is a 500 and a line with a stack in the log; the client sees none of it", async () => {
  for (const handler of [
    () => {
      throw new Error("our bug");
    },
    () => Promise.reject(new Error("our bug")),
  ]) {
    const { transport, send, log } = make(handler);
    await send(get);
    await settled();
    expect(transport.sent).toStartWith("HTTP/1.1 500 Internal Server Error\r\n");
    expect(transport.sent).not.toContain("our bug");
    expect(log.join()).toContain("connection.test.ts");
  }
});

test("a body that nobody wants is read away, so that the next request is understood", async () => {
  const { transport, send } = make();
  await send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  expect(transport.sent).toContain(" 200 OK");
  await send(`cde${get}`);
  expect(transport.sent.match(/ 200 OK/g)).toHaveLength(2);
});

test("a large body that nobody wants ends the connection", async () => {
  const { transport, connection, send } = make();
  await send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
  for (let i = 0; i < 10; i++) connection.onBytes(Buffer.alloc(60_000));
  expect(transport.state).toBe("shutdown");
});

test("retiring closes an idle connection at once, a busy one after its response", async () => {
  const idle = make();
  await idle.send(get);
  idle.connection.retire();
  expect(idle.transport.state).toBe("ended");
  let finish: (reply: Reply) => void = () => {};
  const busy = make(() => new Promise<Reply>((resolve) => (finish = resolve)));
  await busy.send(get);
  busy.connection.retire();
  expect(busy.transport.state).toBe("open");
  finish(reply(emptyBody, 0));
  await settled();
  await settled();
  expect(busy.transport.sent).toContain("Connection: close\r\n");
  expect(busy.transport.state).toBe("ended");
});

test("a half-closed client still gets its answer", async () => {
  let finish: (reply: Reply) => void = () => {};
  const { connection, transport, send } = make(() => new Promise<Reply>((resolve) => (finish = resolve)));
  await send(get);
  connection.onEnd();
  finish(reply(emptyBody, 0));
  await settled();
  await settled();
  expect(transport.sent).toContain(" 200 OK");
  expect(transport.state).toBe("ended");
});

test("two connections have the same hidden shape", () => {
  expect(Object.keys(make().connection)).toEqual(Object.keys(make().connection));
});

test("a client that goes in the middle of a file releases it once", async () => {
  let released = 0;
  const body: Body = { kind: "file", file: { fd: 0, release: () => released++ }, offset: 0, length: 100 };
  const { connection, transport, send } = make(() => reply(body, 100));
  // As a transport does that learns from its write that the peer has gone.
  transport.sendFile = () => {
    connection.onClose();
    return 0;
  };
  await send(get);
  expect(released).toBe(1);
});

test("what becomes of a request is logged: its status, and that its connection closes", async () => {
  const { logged, send } = make(hello, { keepAliveRequests: 2 });
  await send(get);
  await send(get);
  expect(logged).toEqual(["GET 200", "GET 200 close"]);
  const refused = make();
  await refused.send("GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(refused.logged).toEqual([" 400 close"]);
  const left = make(() => new Promise(() => {}));
  await left.send(get);
  left.connection.onClose();
  expect(left.logged).toEqual(["GET 499"]);
});

test("a client that leaves in the middle of a response is logged with the response's status, once", async () => {
  const body: Body = { kind: "stream", source: { pull() {}, cancel() {} } };
  const { connection, logged, send } = make(() => reply(body));
  await send(get);
  connection.onClose();
  expect(logged).toEqual(["GET 200"]);
});

test("what is open is counted: connections, heads that arrive, requests in progress", async () => {
  let finish: (reply: Reply) => void = () => {};
  const { connection, counters, send } = make(() => new Promise<Reply>((resolve) => (finish = resolve)));
  const counts = () => (["active", "reading", "writing", "requests"] as const).map((name) => counters.total(name));
  await send("GET /");
  expect(counts()).toEqual([1, 1, 0, 0]);
  await send(get.slice(5));
  expect(counts()).toEqual([1, 0, 1, 1]);
  finish(reply(emptyBody, 0));
  await settled();
  expect(counts()).toEqual([1, 0, 0, 1]);
  await send("GET /");
  connection.onClose();
  expect(counts()).toEqual([0, 0, 0, 1]);
});

test("444 closes without an answer, and is logged", async () => {
  const silence: Reply = { head: { status: 444, headers: new Headers() }, body: emptyBody };
  const { connection, logged, transport, send } = make(() => silence);
  await send(get);
  expect([transport.sent, transport.state]).toEqual(["", "ended"]);
  connection.onClose();
  expect(logged).toEqual(["GET 444"]);
});

test("lingering_close: off closes at once, always waits even for a peer that is done", async () => {
  const off = make(hello, { lingeringClose: "off" });
  await off.send("BAD\r\n\r\n");
  await settled();
  expect(off.transport.state).toBe("ended");
  const always = make(hello, { lingeringClose: "always", keepAliveTimeoutMs: 0 });
  await always.send(get);
  await settled();
  expect(always.transport.state).toBe("shutdown");
  always.connection.onEnd();
  expect(always.transport.state).toBe("ended");
});

test("reset_timedout_connection: one that is too slow gets a reset in the place of a 408", async () => {
  const { transport, pass, send } = make(hello, { resetTimedOut: true });
  await send("GET / HTTP/1.1\r\n");
  pass(62);
  expect([transport.sent, transport.state]).toEqual(["", "aborted"]);
});

test("a process that is about to leave says with each response that it is the last", async () => {
  const { service, transport, send } = make();
  await send(get);
  service.draining = true;
  await send(get);
  expect(transport.sent.match(/Connection: close/g)).toHaveLength(1);
});
