import { expect, test } from "bun:test";
import { readSync } from "node:fs";
import { BodyBuffer } from "./body_buffer.ts";

test("a small body is passed on in memory, in order, unharmed by what the engine does with its bytes later", async () => {
  let wanted = 0;
  const body = new BodyBuffer(() => wanted++);
  const reading = body.read();
  const scratch = Buffer.from("abc");
  body.push(scratch, false);
  scratch.fill("?");
  body.push(Buffer.from("def"), true);
  expect([wanted, await reading]).toEqual([1, { kind: "bytes", bytes: Buffer.from("abcdef") }]);
});

test("a body of one piece is not copied", async () => {
  const body = new BodyBuffer(() => {});
  const reading = body.read();
  const piece = Buffer.from("whole");
  body.push(piece, true);
  const got = await reading;
  expect(got.kind === "bytes" && got.bytes === piece).toBe(true);
});

test("an empty chunked body", async () => {
  const body = new BodyBuffer(() => {});
  const reading = body.read();
  body.push(new Uint8Array(0), true);
  expect(await reading).toEqual({ kind: "bytes", bytes: Buffer.alloc(0) });
});

test("a large body goes to a file without a name", async () => {
  const body = new BodyBuffer(() => {});
  const reading = body.read();
  for (let i = 0; i < 10; i++) body.push(Buffer.alloc(20_000, String(i)), i === 9);
  const got = await reading;
  if (got.kind !== "file") throw new Error("expected a file");
  expect(got.length).toBe(200_000);
  const content = Buffer.alloc(200_000);
  expect(readSync(got.fd, content, 0, 200_000, 0)).toBe(200_000);
  expect(content.toString() === [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => String(i).repeat(20_000)).join("")).toBe(
    true,
  );
  body.release();
  expect(() => readSync(got.fd, content, 0, 1, 0)).toThrow();
});

test("a client that gives up: the reader hears it with the status to answer", async () => {
  const body = new BodyBuffer(() => {});
  const reading = body.read();
  body.push(Buffer.from("part"), false);
  body.fail(408, "too slow");
  expect(await reading.catch(({ status, message }) => [status, message])).toEqual([408, "too slow"]);
});
