import { expect, test } from "bun:test";
import { connectionTo, get, hello, reply, settled } from "../../tests/support/connection.ts";
import { type Body, emptyBody, type Reply, type Sink } from "../http/message.ts";
import type { Exchange } from "../web/exchange.ts";
import type { Handler } from "../web/pipeline.ts";

test("answers, and stays open for the next request", async () => {
  const { transport, send } = connectionTo();
  await send(get);
  await send(get);
  expect(transport.sent.match(/HTTP\/1.1 200 OK\r\n/g)).toHaveLength(2);
  expect(transport.sent).toMatch(/Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
  expect(transport.state).toBe("open");
});

test("an idle connection is closed after the keep-alive timeout", async () => {
  const { transport, pass, send } = connectionTo();
  await send(get);
  pass(74);
  expect(transport.state).toBe("open");
  pass(2);
  expect(transport.state).toBe("ended");
});

test("keep-alive 0: one request per connection", async () => {
  const { transport, send } = connectionTo(hello, { keepAliveTimeoutMs: 0 });
  await send(get);
  expect(transport.sent).toContain("Connection: close\r\n");
  await settled();
  expect(transport.state).toBe("ended");
});

test("a client that never asks is closed without an answer", () => {
  const { transport, pass } = connectionTo();
  pass(61);
  expect([transport.state, transport.sent]).toEqual(["ended", ""]);
});

test("a head that drips is answered 408 when its time is over, however steadily it drips", async () => {
  const { transport, pass, send, connection } = connectionTo();
  await send("GET / HTTP/1.1\r\nHost: x\r\n");
  pass(58, () => connection.onBytes(Buffer.from("A: b\r\n")));
  expect(transport.sent).toBe("");
  pass(4);
  await settled();
  expect(transport.sent).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
  expect(transport.state).toBe("shutdown");
});

test("after a refusal the rest is read away for a while, then the connection ends (RFC 9112 9.6)", async () => {
  const { transport, pass, send, connection } = connectionTo();
  await send("BAD\r\n\r\n");
  expect(transport.sent).toStartWith("HTTP/1.1 400 ");
  expect(transport.state).toBe("shutdown");
  pass(4, () => connection.onBytes(Buffer.from("more")));
  expect(transport.state).toBe("shutdown");
  pass(6);
  expect(transport.state).toBe("ended");
});

test("lingering has an end, however steadily the peer sends", async () => {
  const { transport, pass, send, connection } = connectionTo(hello, { lingeringTimeMs: -1 });
  await send("BAD\r\n\r\n");
  pass(1, () => connection.onBytes(Buffer.from("more")));
  expect(transport.state).toBe("ended");
});

const readBody: Handler = (exchange: Exchange) =>
  exchange.body
    ?.read(exchange.location.limits)
    .then((body) => reply({ kind: "bytes", bytes: Buffer.from(`${body.kind}`) }));

test("a body that stops is answered 408; one that goes on slowly is waited for", async () => {
  const { transport, pass, send, connection } = connectionTo(readBody);
  await send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  pass(200, () => connection.onBytes(Buffer.from("x")));
  expect(transport.sent).toBe("");
  pass(62);
  await settled();
  expect(transport.sent).toStartWith("HTTP/1.1 408 ");
});

test("100 Continue is sent when a handler reads the body, not before (RFC 9110 10.1.1)", async () => {
  const expecting = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  const reading = connectionTo(readBody);
  await reading.send(expecting);
  expect(reading.transport.sent).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  await reading.send("abc");
  await settled();
  expect(reading.transport.sent).toContain("HTTP/1.1 200 OK\r\n");
  const ignoring = connectionTo();
  await ignoring.send(expecting);
  expect(ignoring.transport.sent).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(ignoring.transport.sent).toContain("Connection: close\r\n");
});

test("a reader that is stuck is cut off; one that is slow is not", async () => {
  const { transport, pass, send } = connectionTo();
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
  const { transport, connection, send } = connectionTo(asking, { keepAliveRequests: 20_000 });
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
  const { transport, connection } = connectionTo();
  connection.onBytes(Buffer.from(get));
  connection.onBytes(Buffer.from(get));
  await settled();
  expect(transport.sent.match(/200 OK/g)).toHaveLength(2);
});

test("a handler that waits hears when the client goes", async () => {
  let gone = 0;
  const { connection, send, connections } = connectionTo((exchange) => {
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
  const { connection, transport, send } = connectionTo(() => reply(body));
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
  const { transport, send, log } = connectionTo(() => reply(body));
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
    const { transport, send, log } = connectionTo(handler);
    await send(get);
    await settled();
    expect(transport.sent).toStartWith("HTTP/1.1 500 Internal Server Error\r\n");
    expect(transport.sent).not.toContain("our bug");
    expect(log.join()).toContain("connection.test.ts");
  }
});

test("a body that nobody wants is read away, so that the next request is understood", async () => {
  const { transport, send } = connectionTo();
  await send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  expect(transport.sent).toContain(" 200 OK");
  await send(`cde${get}`);
  expect(transport.sent.match(/ 200 OK/g)).toHaveLength(2);
});

test("a large body that nobody wants ends the connection", async () => {
  const { transport, connection, send } = connectionTo();
  await send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
  for (let i = 0; i < 10; i++) connection.onBytes(Buffer.alloc(60_000));
  expect(transport.state).toBe("shutdown");
});

test("retiring closes an idle connection at once, a busy one after its response", async () => {
  const idle = connectionTo();
  await idle.send(get);
  idle.connection.retire();
  expect(idle.transport.state).toBe("ended");
  let finish: (reply: Reply) => void = () => {};
  const busy = connectionTo(() => new Promise<Reply>((resolve) => (finish = resolve)));
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
  const { connection, transport, send } = connectionTo(() => new Promise<Reply>((resolve) => (finish = resolve)));
  await send(get);
  connection.onEnd();
  finish(reply(emptyBody, 0));
  await settled();
  await settled();
  expect(transport.sent).toContain(" 200 OK");
  expect(transport.state).toBe("ended");
});

test("two connections have the same hidden shape", () => {
  expect(Object.keys(connectionTo().connection)).toEqual(Object.keys(connectionTo().connection));
});

test("a client that goes in the middle of a file releases it once", async () => {
  let released = 0;
  const body: Body = { kind: "file", file: { fd: 0, release: () => released++ }, offset: 0, length: 100 };
  const { connection, transport, send } = connectionTo(() => reply(body, 100));
  // As a transport does that learns from its write that the peer has gone.
  transport.sendFile = () => {
    connection.onClose();
    return 0;
  };
  await send(get);
  expect(released).toBe(1);
});

test("lingering_close: off closes at once, always waits even for a peer that is done", async () => {
  const off = connectionTo(hello, { lingeringClose: "off" });
  await off.send("BAD\r\n\r\n");
  await settled();
  expect(off.transport.state).toBe("ended");
  const always = connectionTo(hello, { lingeringClose: "always", keepAliveTimeoutMs: 0 });
  await always.send(get);
  await settled();
  expect(always.transport.state).toBe("shutdown");
  always.connection.onEnd();
  expect(always.transport.state).toBe("ended");
});

test("reset_timedout_connection: one that is too slow gets a reset in the place of a 408", async () => {
  const { transport, pass, send } = connectionTo(hello, { resetTimedOut: true });
  await send("GET / HTTP/1.1\r\n");
  pass(62);
  expect([transport.sent, transport.state]).toEqual(["", "aborted"]);
});

test("a process that is about to leave says with each response that it is the last", async () => {
  const { service, transport, send } = connectionTo();
  await send(get);
  service.draining = true;
  await send(get);
  expect(transport.sent.match(/Connection: close/g)).toHaveLength(1);
});
