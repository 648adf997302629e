/** A connection against a real server that behaves. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import {
  answering,
  ask,
  bodyOf,
  get,
  hello,
  pass,
  Recorder,
  readAll,
  UpstreamServer,
} from "../../../tests/support/upstream.ts";
import { Headers } from "../../http/headers.ts";
import type { Source } from "../../http/message.ts";
import type { UpstreamConnection } from "./connection.ts";
import { ConnectionPool } from "./pool.ts";

const upstream = new UpstreamServer();
beforeAll(() => upstream.listen());
afterAll(() => upstream.close());

test("a response that comes in one piece is given in one piece", async () => {
  upstream.serve = answering(hello);
  const { recorder, connection } = await ask(upstream.connect());
  expect(recorder.seen).toEqual(["connect", "200 bytes", "end"]);
  expect(await bodyOf(recorder)).toBe("hello");
  expect(connection.reusable).toBe(true);
  expect([connection.bytesReceived, connection.bytesSent]).toEqual([hello.length, 27]);
  connection.close();
});

test("a connection is used again and again, and costs no descriptor", async () => {
  upstream.serve = answering(hello);
  const pool = new ConnectionPool<UpstreamConnection>();
  const limits = { maxIdle: 4, timeoutMs: 60_000, timeMs: 3_600_000, requests: 100 };
  let connects = 0;
  let before = 0;
  for (let i = 0; i < 1000; i++) {
    const connection = pool.take("a") ?? upstream.connect();
    const { recorder } = await ask(connection);
    expect(recorder.seen.at(-1)).toBe("end");
    if (recorder.seen[0] === "connect") connects++;
    pool.give("a", connection, limits, performance.now());
    if (i === 100) before = readdirSync("/proc/self/fd").length;
  }
  expect(connects).toBe(10);
  expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before + 2);
  pool.closeAll();
});

test("a body that is longer than one piece is a stream, which its reader paces", async () => {
  const size = 8 * 1024 * 1024;
  let written = 0;
  upstream.serve = (socket) => {
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      const more = () => {
        while (written < size) {
          written += 65536;
          if (!socket.write(Buffer.alloc(65536, "x"))) return void socket.once("drain", more);
        }
      };
      more();
    });
  };
  const recorder = new Recorder();
  const connection = upstream.connect();
  connection.request(get(), recorder);
  await recorder.until((seen) => seen.includes("200 stream"));
  // Nobody reads: nobody is timed, and the upstream cannot get rid of it.
  for (let i = 0; i < 200 && written < size; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  expect(written).toBeLessThan(size);
  const text = await bodyOf(recorder);
  expect(text.length).toBe(size);
  await recorder.over();
  expect(connection.reusable).toBe(true);
  connection.close();
});

test("interim responses and trailers", async () => {
  upstream.serve = answering(
    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n",
  );
  const { recorder, connection } = await ask(upstream.connect());
  expect(recorder.seen).toEqual(["connect", "interim 103", "200 bytes", "end"]);
  expect(recorder.response?.trailers?.get("t")).toBe("1");
  connection.close();
});

test("a body until the end of the connection", async () => {
  upstream.serve = answering("HTTP/1.1 200 OK\r\n\r\nhello.");
  const { recorder, connection } = await ask(upstream.connect());
  expect(await bodyOf(recorder)).toBe("hello");
  expect(connection.reusable).toBe(false);
});

/** A body in `count` pieces of 64 KB, each given when it is asked for. */
function pieces(count: number): Source {
  return {
    pull: (to) => {
      count--;
      setImmediate(() => to.push(Buffer.alloc(65536, "y"), count === 0));
    },
    cancel: () => {},
  };
}

test("a request's body goes out at the upstream's pace", async () => {
  let received = 0;
  upstream.serve = (socket) => {
    socket.on("data", (bytes) => {
      received += bytes.length;
      if (received >= 64 * 65536) socket.write(hello);
    });
    socket.pause();
    setImmediate(() => socket.resume());
  };
  const { recorder, connection } = await ask(
    upstream.connect(),
    get({ method: "POST", bodyLength: 64 * 65536 }, pieces(64)),
  );
  expect(recorder.seen.at(-1)).toBe("end");
  expect(connection.reusable).toBe(true);
  connection.close();
});

test("what is wrong with a request is told at once, and changes nothing", async () => {
  upstream.serve = answering(hello);
  const connection = upstream.connect();
  expect(() => connection.request(get({ target: "/\r\n" }), new Recorder())).toThrow("target");
  expect(() => connection.request(get({ bodyLength: 3 }, new Uint8Array(2)), new Recorder())).toThrow("3");
  await ask(connection);
  expect(connection.reusable).toBe(true);
  connection.close();
});

test("an early answer ends an exchange, and the connection", async () => {
  upstream.serve = (socket) =>
    socket.once("data", () => socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"));
  let cancelled = "";
  const never: Source = { pull: () => {}, cancel: (reason) => (cancelled = reason) };
  const { recorder, connection } = await ask(upstream.connect(), get({ bodyLength: 10 }, never));
  expect(recorder.seen).toEqual(["connect", "413 empty", "end"]);
  expect(connection.reusable).toBe(false);
  expect(cancelled).toBe("the upstream has answered already");
});

test("a request's body that breaks off breaks the connection", async () => {
  upstream.serve = () => {};
  const broken: Source = { pull: (to) => queueMicrotask(() => to.fail("client gone")), cancel: () => {} };
  const { recorder } = await ask(upstream.connect(), get({ bodyLength: 10 }, broken));
  expect(recorder.failure?.detail).toBe("client gone while sending request to upstream");
});

test("a reader that goes away ends the exchange and the connection", async () => {
  upstream.serve = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  const recorder = new Recorder();
  const connection = upstream.connect();
  connection.request(get(), recorder);
  await recorder.until((seen) => seen.includes("200 stream"));
  const body = recorder.response?.body;
  if (body?.kind === "stream") body.source.cancel("the client has gone");
  expect(recorder.seen).toEqual(["connect", "200 stream", "end"]);
  expect(connection.reusable).toBe(false);
});

test("a connection that is given up says nothing more", async () => {
  upstream.serve = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  const recorder = new Recorder();
  const connection = upstream.connect();
  connection.request(get(), recorder);
  await recorder.until((seen) => seen.includes("200 stream"));
  const text = bodyOf(recorder);
  connection.close();
  expect(await text).toBe("hello\nthe connection to the upstream was given up");
  expect(recorder.seen).toEqual(["connect", "200 stream"]);
});

const upgrade = () => get({ headers: Headers.of(["Host", "a"], ["Upgrade", "x"], ["Connection", "upgrade"]) });
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";

test("a tunnel: both ways, and each side ends by itself", async () => {
  upstream.serve = (socket) => {
    socket.once("data", () => {
      socket.write(`${switching}first;`);
      socket.on("data", (bytes) => socket.write(`re:${bytes};`));
      socket.on("end", () => socket.end("bye"));
    });
  };
  const recorder = new Recorder();
  const connection = upstream.connect();
  connection.request(upgrade(), recorder);
  await recorder.until((seen) => seen.includes("tunnel"));
  const { tunnel } = recorder;
  if (tunnel === undefined) throw new Error("no tunnel");
  let wanted = 0;
  tunnel.onWanted = () => wanted++;
  tunnel.sink.push(Buffer.from("hey"), false);
  expect(wanted).toBe(1);
  tunnel.sink.push(new Uint8Array(0), true);
  expect(await readAll(tunnel.source)).toBe("first;re:hey;bye");
  await recorder.over();
  expect(recorder.failure).toBeUndefined();
  expect(connection.reusable).toBe(false);
});

test("a tunnel whose upstream ends first lets the client finish", async () => {
  let heard = "";
  const closed = new Promise<void>((resolve) => {
    upstream.serve = (socket) => {
      socket.once("data", () => {
        socket.end(switching);
        socket.on("data", (bytes) => (heard += bytes));
        socket.on("end", resolve);
      });
    };
  });
  const recorder = new Recorder();
  upstream.connect().request(upgrade(), recorder);
  await recorder.until((seen) => seen.includes("tunnel"));
  const { tunnel } = recorder;
  if (tunnel === undefined) throw new Error("no tunnel");
  expect(await readAll(tunnel.source)).toBe("");
  tunnel.sink.push(Buffer.from("still here"), false);
  tunnel.sink.push(new Uint8Array(0), true);
  await closed;
  expect(heard).toBe("still here");
  expect(recorder.seen.at(-1)).toBe("end");
});

test("a tunnel that breaks, and one in which nothing happens", async () => {
  upstream.serve = answering(`${switching}!`);
  const broken = new Recorder();
  upstream.connect().request(upgrade(), broken);
  await broken.over();
  expect(broken.failure).toMatchObject({ kind: "reset", phase: "tunnel" });
  upstream.serve = answering(switching);
  const silent = new Recorder();
  upstream.connect().request(upgrade(), silent);
  await silent.until((seen) => seen.includes("tunnel"));
  pass(2999);
  expect(silent.failure).toBeUndefined();
  pass(1000);
  expect(silent.failure?.detail).toBe(
    `upstream timed out (110: Connection timed out) while proxying upgraded connection`,
  );
});
