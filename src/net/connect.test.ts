import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address } from "../base/address.ts";
import { type ConnectFailure, type ConnectHandler, connectTo, type PeerAddress } from "./connect.ts";
import { closeFd, listenOn, localAddress } from "./libc.ts";
import type { Transport } from "./transport.ts";

const loopback = (port: number) => ({ kind: "tcp", family: 4, host: "127.0.0.1", port }) as const;

/** Writes down what happens, and lets a test wait for it. */
class Recorder implements ConnectHandler {
  transport: Transport | undefined;
  failure: ConnectFailure | undefined;
  readonly seen: string[] = [];
  #wake: () => void = () => {};

  #note(what: string): void {
    this.seen.push(what);
    this.#wake();
  }
  onConnect(transport: Transport): void {
    this.transport = transport;
    this.#note("connect");
  }
  onConnectError(failure: ConnectFailure): void {
    this.failure = failure;
    this.#note(`failed ${failure.call} ${failure.code}`);
  }
  onBytes(bytes: Uint8Array): void {
    this.#note(Buffer.from(bytes).toString("latin1"));
  }
  onEnd(): void {
    this.#note("end");
  }
  onDrain(): void {
    this.#note("drain");
  }
  onClose(code = "close"): void {
    this.#note(code);
  }

  async until(last: string): Promise<string[]> {
    while (!this.seen.includes(last)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.seen;
  }
}

/** A server on a free port, or at a path, for as long as `use` runs. */
async function withServer(
  onSocket: (socket: Socket) => void,
  use: (address: PeerAddress) => Promise<void>,
  path?: string,
): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  const bound = server.address();
  try {
    await use(typeof bound === "object" && bound !== null ? loopback(bound.port) : { kind: "unix", path: path ?? "" });
  } finally {
    server.close();
  }
}

const dial = (address: PeerAddress, bind?: Extract<Address, { kind: "tcp" }>): Recorder => {
  const recorder = new Recorder();
  connectTo(address, recorder, { noDelay: true, keepAlive: true, ...(bind === undefined ? {} : { bind }) });
  return recorder;
};

/** Answers what it gets, and closes when the other side has closed its half. */
const answer = (socket: Socket): void => {
  socket.on("data", (bytes) => socket.write(`re:${bytes}`));
  socket.on("end", () => socket.end("bye"));
};

async function talk(address: PeerAddress): Promise<void> {
  const recorder = dial(address);
  expect(recorder.seen).toEqual([]);
  await recorder.until("connect");
  recorder.transport?.write(["he", new Uint8Array([0x79])]);
  await recorder.until("re:hey");
  // Our half is closed, theirs is still open.
  recorder.transport?.shutdown();
  await recorder.until("bye");
  // When they close theirs, nothing is left to be closed.
  await recorder.until("close");
  expect(recorder.seen.filter((what) => what !== "drain")).toEqual(["connect", "re:hey", "bye", "close"]);
}

test("talks over TCP, and each side closes its half by itself", () => withServer(answer, talk));

test("talks over a Unix socket", () => withServer(answer, talk, join(tmpdir(), `connect-${process.pid}.sock`)));

test("a refused connection says so", async () => {
  const fd = listenOn(loopback(0), { backlog: 1, reusePort: false });
  const address = localAddress(fd);
  closeFd(fd);
  const recorder = dial(address);
  await recorder.until("failed connect ECONNREFUSED");
  expect(recorder.failure).toEqual({ call: "connect", code: "ECONNREFUSED", errno: 111, atOnce: false });
  expect(recorder.seen).toEqual(["failed connect ECONNREFUSED"]);
});

test("what fails at once is told later, and by name", async () => {
  const none = dial({ kind: "unix", path: "/nonexistent/socket" });
  expect(none.seen).toEqual([]);
  await none.until("failed connect ENOENT");
  expect(none.failure?.atOnce).toBe(true);
  // Not an address of this machine (RFC 5737).
  const foreign = { kind: "tcp", family: 4, host: "192.0.2.1", port: 0 } as const;
  await dial(loopback(1), foreign).until("failed bind EADDRNOTAVAIL");
});

test("comes from the address that it is told to come from", () =>
  withServer(
    (socket) => socket.end(socket.remoteAddress ?? ""),
    async (address) => {
      const recorder = dial(address, { kind: "tcp", family: 4, host: "127.0.0.7", port: 0 });
      await recorder.until("127.0.0.7");
      recorder.transport?.end();
      await recorder.until("close");
    },
  ));

test("a reset is told from an end", () =>
  withServer(
    (socket) => socket.once("data", () => socket.resetAndDestroy()),
    async (address) => {
      const recorder = dial(address);
      await recorder.until("connect");
      recorder.transport?.write(["x"]);
      await recorder.until("ECONNRESET");
      expect(recorder.seen).not.toContain("end");
    },
  ));

test("an attempt is given up while it is under way", async () => {
  const fd = listenOn(loopback(0), { backlog: 0, reusePort: false });
  const address = localAddress(fd);
  // The queue takes one connection; the next ones get no answer.
  const first = dial(address);
  await first.until("connect");
  const before = readdirSync("/proc/self/fd").length;
  const recorder = new Recorder();
  const waiting = Array.from({ length: 20 }, () => connectTo(address, recorder, { noDelay: true }));
  expect(readdirSync("/proc/self/fd").length).toBe(before + 20);
  for (const each of waiting) each.abort();
  await first.until("connect");
  expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before);
  expect(recorder.seen).toEqual([]);
  first.transport?.abort();
  closeFd(fd);
});

test("nothing stays open after many connections", () =>
  withServer(
    (socket) => socket.resume().end(),
    async (address) => {
      let before = 0;
      for (let i = 0; i < 300; i++) {
        const recorder = dial(address);
        await recorder.until("end");
        recorder.transport?.end();
        await recorder.until("close");
        if (i === 20) before = readdirSync("/proc/self/fd").length;
      }
      // The other ends are in this process, too, and close a little later.
      expect(readdirSync("/proc/self/fd").length).toBeLessThan(before + 20);
    },
  ));
