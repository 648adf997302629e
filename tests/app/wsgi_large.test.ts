/** Bodies of a hundred megabytes, in both directions, through processes whose memory does not grow with them. */

import { afterAll, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { Directory, Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { fixture, get, inPieces, Memory, response } from "./support.ts";

const MiB = 1 << 20;
/** What buffers on the way and a garbage collector that takes its time may cost; far below the bodies' size. */
const mostMiB = 48;

const directory = new Directory();
const server = await Server.start(fixture("streams:app", "--workers", "1", "--web-workers", "1"));
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
  expect(server.output).not.toMatch(/AssertionError|WSGIWarning|Traceback/);
});

let memory: Memory;
beforeEach(() => {
  memory = new Memory(server.pid);
});

const noise = (mib: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(mib * MiB);
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
};
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Reads a response without keeping it: its size and digest. */
async function digestOf(got: Response): Promise<string> {
  const digest = createHash("sha256");
  let size = 0;
  for await (const piece of got.body ?? []) {
    digest.update(piece);
    size += piece.length;
  }
  return `${size} ${digest.digest("hex")}`;
}

const uploaded = noise(96);
const digest = sha256(uploaded);

test("upload with a length: 96 MiB", async () => {
  const got = await server.fetch("/drain", { method: "POST", body: uploaded });
  expect(await got.text()).toBe(`${uploaded.length} ${digest}`);
  expect(memory.growth).toBeLessThan(mostMiB);
});

test("upload in chunks: 96 MiB", async () => {
  const got = await server.fetch("/drain", { method: "POST", body: inPieces(uploaded, 100_000) });
  expect(await got.text()).toBe(`${uploaded.length} ${digest}`);
  expect(memory.growth).toBeLessThan(mostMiB);
});

test("download from a generator: 128 MiB", async () => {
  const from = server.output.length;
  const got = await digestOf(await server.fetch("/big?mib=128"));
  const [, given] = await server.logged(/^closed \/big (.*)$/m, from);
  expect(got).toBe(given!);
  expect(got).toStartWith(`${128 * MiB} `);
  expect(memory.growth).toBeLessThan(mostMiB);
});

test("download from a generator of blocks of 8 MiB: 128 MiB", async () => {
  const from = server.output.length;
  const got = await digestOf(await server.fetch(`/big?mib=128&block=${8 * MiB}`));
  const [, given] = await server.logged(/^closed \/big (.*)$/m, from);
  expect(got).toBe(given!);
  expect(memory.growth).toBeLessThan(mostMiB);
});

test("download through wsgi.file_wrapper: 96 MiB", async () => {
  const path = directory.write("large", uploaded);
  expect(await digestOf(await server.fetch(`/file?path=${path}`))).toBe(`${uploaded.length} ${digest}`);
  expect(await digestOf(await server.fetch(`/file?path=${path}&offset=${MiB}`))).toBe(
    `${uploaded.length - MiB} ${sha256(uploaded.subarray(MiB))}`,
  );
  expect(memory.growth).toBeLessThan(mostMiB);
});

test("a reader that does not read at all: 64 MiB wait outside of memory, and arrive whole", async () => {
  const from = server.output.length;
  using slow = await Client.open(server.port);
  slow.socket.pause();
  slow.send(get("/big?mib=64"));
  const [, , given] = await server.logged(/^closed \/big (\d+) (\w+)$/m, from);
  expect(memory.growth).toBeLessThan(mostMiB);
  slow.socket.resume();
  expect(sha256(Buffer.from((await response(slow)).body, "latin1"))).toBe(given!);
  expect(memory.growth).toBeLessThan(mostMiB);
});
