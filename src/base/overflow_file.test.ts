import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { OverflowFile } from "./overflow_file.ts";

/** How many temporary files this process has open: other tests of it may have some. */
const openFiles = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes("alicorn-");
    } catch {
      return false;
    }
  }).length;

const next = (file: OverflowFile): Promise<string> =>
  new Promise((resolve, reject) =>
    file.read(
      (piece) => resolve(Buffer.from(piece).toString()),
      (reason) => reject(new Error(reason)),
    ),
  );

test("what was written is read in order, and an empty file takes no place", async () => {
  const others = openFiles();
  const file = new OverflowFile();
  expect([file.isEmpty, file.bytes, openFiles() - others]).toEqual([true, 0, 0]);
  for (const word of ["one ", "two"]) file.write(Buffer.from(word));
  expect([file.isEmpty, file.bytes, openFiles() - others]).toEqual([false, 7, 1]);
  expect(await next(file)).toBe("one two");
  expect([file.isEmpty, file.bytes, openFiles() - others]).toEqual([true, 0, 0]);
  file.write(Buffer.from("three"));
  expect(await next(file)).toBe("three");
});

test("what is written during a read comes after it", async () => {
  const file = new OverflowFile();
  file.write(Buffer.from("one"));
  const first = next(file);
  file.write(Buffer.from("two"));
  expect([await first, file.bytes]).toEqual(["one", 3]);
  expect(await next(file)).toBe("two");
});

test("a dropped file is closed, after the read that is under way, which is not answered", async () => {
  const others = openFiles();
  const file = new OverflowFile();
  file.write(Buffer.from("one"));
  let answered = false;
  file.read(
    () => (answered = true),
    () => (answered = true),
  );
  file.drop();
  expect([file.isReading, openFiles() - others]).toEqual([true, 1]);
  while (file.isReading) await new Promise(setImmediate);
  expect([answered, file.isEmpty, openFiles() - others]).toEqual([false, true, 0]);
});
