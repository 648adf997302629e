import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readSync } from "node:fs";
import { bareLocation, directoryOf } from "../../tests/support/exchange.ts";
import type { Sink } from "../http/message.ts";
import { BodyBuffer } from "./body_buffer.ts";

const { limits } = bareLocation;

/** A body whose connection remembers what it was told. */
function make() {
  const told: string[] = [];
  const body = new BodyBuffer({
    onBodyWanted: () => told.push("wanted"),
    pauseBody: (paused) => told.push(paused ? "pause" : "resume"),
  });
  return { body, told };
}

/** Keeps what it is given. */
function sinkOf() {
  const got: string[] = [];
  const sink: Sink = {
    push: (bytes, last) => got.push(`${Buffer.from(bytes)}${last ? "." : ""}`),
    fail: (reason) => got.push(`failed: ${reason}`),
  };
  return { got, sink };
}

test("a small body is passed on in memory, in order, unharmed by what the engine does with its bytes later", async () => {
  const { body, told } = make();
  const reading = body.read(limits);
  const scratch = Buffer.from("abc");
  body.push(scratch, false);
  scratch.fill("?");
  body.push(Buffer.from("def"), true);
  expect([told, await reading]).toEqual([["wanted"], { kind: "bytes", bytes: Buffer.from("abcdef") }]);
});

test("a body of one piece is not copied", async () => {
  const { body } = make();
  const reading = body.read(limits);
  const piece = Buffer.from("whole");
  body.push(piece, true);
  const got = await reading;
  expect(got.kind === "bytes" && got.bytes === piece).toBe(true);
});

test("an empty chunked body", async () => {
  const { body } = make();
  const reading = body.read(limits);
  body.push(new Uint8Array(0), true);
  expect(await reading).toEqual({ kind: "bytes", bytes: Buffer.alloc(0) });
});

test("a large body goes to a file without a name", async () => {
  const { body } = make();
  const reading = body.read(limits);
  for (let i = 0; i < 10; i++) body.push(Buffer.alloc(20_000, String(i)), i === 9);
  const got = await reading;
  if (got.kind !== "file") throw new Error("expected a file");
  expect([got.length, got.path]).toEqual([200_000, undefined]);
  const content = Buffer.alloc(200_000);
  expect(readSync(got.fd, content, 0, 200_000, 0)).toBe(200_000);
  expect(content.toString() === [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => String(i).repeat(20_000)).join("")).toBe(
    true,
  );
  body.release();
  expect(() => readSync(got.fd, content, 0, 1, 0)).toThrow();
});

test("client_body_in_file_only: a file with a name, which only `on` keeps", async () => {
  for (const bodyInFile of ["on", "clean"] as const) {
    using directory = directoryOf({});
    const { body } = make();
    const reading = body.read({ ...limits, bodyInFile, bodyTempPath: `${directory.path}/bodies` });
    body.push(Buffer.from("content"), true);
    const got = await reading;
    if (got.kind !== "file" || got.path === undefined) throw new Error("expected a file with a name");
    expect([readdirSync(`${directory.path}/bodies`).length, readFileSync(got.path, "utf8")]).toEqual([1, "content"]);
    body.release();
    expect(existsSync(got.path)).toBe(bodyInFile === "on");
  }
});

test("a client that gives up: the reader hears it with the status to answer", async () => {
  const { body } = make();
  const reading = body.read(limits);
  body.push(Buffer.from("part"), false);
  body.fail(408, "too slow");
  expect(await reading.catch(({ status, message }) => [status, message])).toEqual([408, "too slow"]);
});

test("one that turns out larger than it may be is refused on the way", async () => {
  const { body } = make();
  const reading = body.read({ ...limits, maxBodyBytes: 5 });
  body.push(Buffer.from("abc"), false);
  body.push(Buffer.from("def"), false);
  expect(await reading.catch(({ status, message }) => [status, message])).toEqual([
    413,
    "client intended to send too large chunked body: 6 bytes",
  ]);
});

test("asked twice it is read once; asked as a stream after that, it is what was read", async () => {
  const { body, told } = make();
  const reading = body.read(limits);
  expect(body.read(limits)).toBe(reading);
  const { got, sink } = sinkOf();
  body.stream(limits).pull(sink);
  body.push(Buffer.from("all"), true);
  await reading;
  expect(told).toEqual(["wanted"]);
  await Promise.resolve();
  expect(got).toEqual(["all."]);
});

test("a stream is read from the client as fast as it is pulled, and no faster", () => {
  const { body, told } = make();
  const { got, sink } = sinkOf();
  const source = body.stream(limits);
  source.pull(sink);
  body.push(Buffer.from("a"), false);
  expect(told).toEqual(["wanted", "resume", "pause"]);
  // What the engine had already understood is kept until the next pull.
  body.push(Buffer.from("b"), false);
  body.push(Buffer.from("c"), false);
  expect(got).toEqual(["a"]);
  source.pull(sink);
  expect(got).toEqual(["a", "bc"]);
  source.pull(sink);
  body.push(Buffer.from("d"), true);
  expect(got).toEqual(["a", "bc", "d."]);
});

test("a stream hears that the client has gone, at once or with the next pull", () => {
  const waiting = make();
  const { got, sink } = sinkOf();
  waiting.body.stream(limits).pull(sink);
  waiting.body.fail(400, "gone");
  const later = make();
  const source = later.body.stream(limits);
  later.body.push(Buffer.from("a"), false);
  later.body.fail(400, "gone, too");
  source.pull(sink);
  expect(got).toEqual(["failed: gone", "failed: gone, too"]);
});

test("a stream that nobody wants any more is read away", () => {
  const { body, told } = make();
  const { got, sink } = sinkOf();
  const source = body.stream(limits);
  source.pull(sink);
  body.push(Buffer.from("a"), false);
  source.cancel("enough");
  body.push(Buffer.from("b"), true);
  expect([got, told.at(-1)]).toEqual([["a"], "resume"]);
});

test("who holds it keeps its file beyond the end of the response", async () => {
  const { body } = make();
  const reading = body.read({ ...limits, bodyBufferBytes: 1 });
  body.push(Buffer.from("content"), true);
  const got = await reading;
  if (got.kind !== "file") throw new Error("expected a file");
  body.hold();
  body.release();
  expect(readSync(got.fd, Buffer.alloc(7), 0, 7, 0)).toBe(7);
  body.release();
  expect(() => readSync(got.fd, Buffer.alloc(7), 0, 7, 0)).toThrow();
});
