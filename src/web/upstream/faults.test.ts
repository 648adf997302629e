/** A connection against a real server that misbehaves as it is told to. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  answering,
  ask,
  bodyOf,
  connectionTo,
  get,
  hello,
  pass,
  Recorder,
  UpstreamServer,
} from "../../../tests/support/upstream.ts";
import { closeFd, listenOn, localAddress } from "../../net/libc.ts";
import type { UpstreamFailure } from "./failure.ts";

const upstream = new UpstreamServer();
beforeAll(() => upstream.listen());
afterAll(() => upstream.close());

/** What a fault is told as. */
async function fault(answer: string): Promise<Omit<UpstreamFailure, "reused" | "requestSent">> {
  upstream.serve = answering(answer);
  const { recorder, connection } = await ask(upstream.connect());
  expect(connection.reusable).toBe(false);
  if (recorder.failure === undefined) throw new Error(`no failure, but ${recorder.seen}`);
  const { kind, phase, detail, reused, requestSent } = recorder.failure;
  expect([reused, requestSent]).toEqual([false, true]);
  return { kind, phase, detail };
}

const whileHead = "while reading response header from upstream";

test("faults before and within a head", async () => {
  const closed = {
    kind: "closed",
    phase: "head",
    detail: `upstream prematurely closed connection ${whileHead}`,
  } as const;
  expect(await fault(".")).toEqual(closed);
  expect(await fault("HTTP/1.1 200 OK\r\nX: y.")).toEqual(closed);
  const reset = {
    kind: "reset",
    phase: "head",
    detail: `recv() failed (104: Connection reset by peer) ${whileHead}`,
  } as const;
  expect(await fault("!")).toEqual(reset);
  expect(await fault("HTTP/1.1 200 OK\r\nX: y!")).toEqual(reset);
  const invalid = (detail: string) => ({ kind: "invalid", phase: "head", detail: `${detail} ${whileHead}` }) as const;
  expect(await fault("SSH-2.0-OpenSSH\r\n")).toEqual(invalid("upstream sent no valid HTTP/1.0 header"));
  expect(await fault(`HTTP/1.1 200 OK\r\nX: ${"y".repeat(5000)}`)).toEqual(invalid("upstream sent too big header"));
});

test("faults within a body", async () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
  const closed = "upstream prematurely closed connection while reading upstream";
  expect(await fault(`${head}.`)).toEqual({ kind: "closed", phase: "body", detail: closed });
  const reset = "recv() failed (104: Connection reset by peer) while reading upstream";
  expect(await fault(`${head}!`)).toEqual({ kind: "reset", phase: "body", detail: reset });
  const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect(await fault(`${chunks}5\r\nhelloX`)).toEqual({
    kind: "invalid",
    phase: "body",
    detail: "upstream sent invalid chunked response while reading upstream",
  });
});

test("a body that breaks off does so for its reader, behind what had come", async () => {
  upstream.serve = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello.");
  const { recorder } = await ask(upstream.connect());
  expect(await bodyOf(recorder)).toBe("hello\nupstream prematurely closed connection while reading upstream");
});

test("a longer body is cut to its length, and the connection closed", async () => {
  upstream.serve = answering(`${hello} and more`);
  const { recorder, connection } = await ask(upstream.connect());
  expect(await bodyOf(recorder)).toBe("hello");
  expect(recorder.seen[1]).toBe(
    'upstream sent more data than specified in "Content-Length" header while reading upstream',
  );
  expect(connection.reusable).toBe(false);
});

test("nobody listens", async () => {
  const fd = listenOn({ kind: "tcp", family: 4, host: "127.0.0.1", port: 0 }, { backlog: 1, reusePort: false });
  const closed = localAddress(fd);
  closeFd(fd);
  const { recorder } = await ask(connectionTo(closed));
  expect(recorder.failure).toEqual({
    kind: "connect",
    phase: "connecting",
    detail: "connect() failed (111: Connection refused) while connecting to upstream",
    reused: false,
    requestSent: false,
  });
  const none = await ask(connectionTo({ kind: "unix", path: "/nonexistent/socket" }));
  expect(none.recorder.failure?.detail).toBe(
    "connect() to unix:/nonexistent/socket failed (2: No such file or directory) while connecting to upstream",
  );
});

const timedOut = "upstream timed out (110: Connection timed out)";

test("an upstream that does not accept", async () => {
  const fd = listenOn({ kind: "tcp", family: 4, host: "127.0.0.1", port: 0 }, { backlog: 0, reusePort: false });
  const full = localAddress(fd);
  // The queue takes one connection; the next one gets no answer.
  const first = new Recorder();
  const filling = connectionTo(full);
  filling.request(get(), first);
  await first.until((seen) => seen.includes("connect"));
  const recorder = new Recorder();
  connectionTo(full).request(get(), recorder);
  pass(999);
  expect(recorder.seen).toEqual([]);
  pass(1000);
  expect(recorder.seen).toEqual([`${timedOut} while connecting to upstream`]);
  expect(recorder.failure?.requestSent).toBe(false);
  filling.close();
  closeFd(fd);
});

test("an upstream that stalls before, within and behind its head", async () => {
  const stall = async (answer: string, last: string) => {
    upstream.serve = answering(answer);
    const recorder = new Recorder();
    const connection = upstream.connect();
    connection.request(get(), recorder);
    await recorder.until((seen) => seen.includes(last));
    while (connection.bytesReceived < answer.length) await new Promise<void>((resolve) => setImmediate(resolve));
    pass(2999);
    expect(recorder.failure).toBeUndefined();
    pass(1000);
    return recorder.failure?.detail;
  };
  expect(await stall("", "connect")).toBe(`${timedOut} ${whileHead}`);
  expect(await stall("HTTP/1.1 200", "connect")).toBe(`${timedOut} ${whileHead}`);
  expect(await stall("HTTP/1.1 200 OK\r\n\r\n", "200 stream")).toBe(`${timedOut} while reading upstream`);
});

test("an upstream that does not read", async () => {
  upstream.serve = (socket) => socket.pause();
  const recorder = new Recorder();
  upstream.connect().request(get({ bodyLength: 64 * 1024 * 1024 }, new Uint8Array(64 * 1024 * 1024)), recorder);
  await recorder.until((seen) => seen.includes("connect"));
  // As long as bytes leave, it is not stuck.
  for (let i = 0; i < 20 && recorder.failure === undefined; i++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    pass(2500);
  }
  expect(recorder.failure?.detail).toBe(`${timedOut} while sending request to upstream`);
});

test("an idle connection that the upstream closes is lost", async () => {
  upstream.serve = answering(hello);
  const { connection } = await ask(upstream.connect());
  const lost = new Promise<void>((resolve) => {
    connection.whenLost = () => resolve();
  });
  for (const socket of upstream.sockets) socket.end();
  await lost;
  expect(connection.reusable).toBe(false);
  expect(() => connection.request(get(), new Recorder())).toThrow("not idle");
});

test("an idle connection closes itself when its time to rest is over", async () => {
  upstream.serve = answering(hello);
  const { connection } = await ask(upstream.connect());
  let lost = 0;
  connection.whenLost = () => lost++;
  connection.rest(60_000);
  pass(59_000);
  expect([lost, connection.reusable]).toEqual([0, true]);
  pass(2000);
  expect([lost, connection.reusable]).toEqual([1, false]);
});

test("an idle connection on which the upstream speaks is lost", async () => {
  upstream.serve = answering(hello);
  const { connection } = await ask(upstream.connect());
  const lost = new Promise<void>((resolve) => {
    connection.whenLost = () => resolve();
  });
  for (const socket of upstream.sockets) socket.write(hello);
  await lost;
  expect(connection.reusable).toBe(false);
});

test("a connection that is closed at the moment of its reuse says that it was used before", async () => {
  for (const answer of [".", "!"]) {
    upstream.serve = answering(hello, answer);
    const { connection } = await ask(upstream.connect());
    const { recorder } = await ask(connection);
    expect(recorder.seen).toEqual([recorder.failure?.detail ?? ""]);
    expect(recorder.failure).toMatchObject({ phase: "head", reused: true, requestSent: true });
  }
});
