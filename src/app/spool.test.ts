import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { Spool } from "./spool.ts";

/** Open temporary files of this process. */
const openFiles = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes("alicorn-");
    } catch {
      return false;
    }
  }).length;

function make() {
  let credit = 0;
  let cancelled = "";
  const spool = new Spool({
    credit: (bytes) => {
      credit += bytes;
    },
    cancel: (reason) => {
      cancelled = reason;
    },
  });
  const got: { bytes: string; last: boolean }[] = [];
  let failed = "";
  const pull = () =>
    new Promise<void>((resolve) => {
      spool.pull({
        push: (bytes, last) => {
          got.push({ bytes: Buffer.from(bytes).toString(), last });
          resolve();
        },
        fail: (reason) => {
          failed = reason;
          resolve();
        },
      });
    });
  return { spool, got, pull, credit: () => credit, cancelled: () => cancelled, failed: () => failed };
}

test("a reader who waits gets each block at once", async () => {
  const { spool, got, pull, credit } = make();
  const first = pull();
  spool.push(Buffer.from("one"));
  await first;
  expect([got, credit()]).toEqual([[{ bytes: "one", last: false }], 3]);
  const last = pull();
  spool.end();
  await last;
  expect(got[1]).toEqual({ bytes: "", last: true });
});

test("what comes before it is asked for is kept in order, and the last piece says so", async () => {
  const { spool, got, pull } = make();
  for (const word of ["a", "b", "c"]) spool.push(Buffer.from(word));
  spool.end();
  for (let i = 0; i < 3; i++) await pull();
  expect(got).toEqual([
    { bytes: "a", last: false },
    { bytes: "b", last: false },
    { bytes: "c", last: true },
  ]);
});

test("a slow reader: the rest goes to a file without a name, and comes back whole", async () => {
  const { spool, got, pull, credit } = make();
  const before = openFiles();
  const block = Buffer.alloc(100_000);
  for (let i = 0; i < 30; i++) spool.push(Buffer.from(block.fill(65 + (i % 26))));
  expect(credit()).toBe(3_000_000);
  expect(openFiles()).toBe(before + 1);
  await pull();
  spool.push(Buffer.from("late"));
  spool.end();
  while (!got.at(-1)!.last) await pull();
  const all = got.map(({ bytes }) => bytes).join("");
  const expected = `${Array.from({ length: 30 }, (_, i) => String.fromCharCode(65 + (i % 26)).repeat(100_000)).join("")}late`;
  expect(all === expected).toBe(true);
  expect(openFiles()).toBe(before);
});

test("a failure comes after what was there before it", async () => {
  const { spool, got, pull, failed } = make();
  spool.push(Buffer.from("part"));
  spool.fail("the worker died");
  await pull();
  await pull();
  expect([got.map(({ bytes }) => bytes), failed()]).toEqual([["part"], "the worker died"]);
});

test("a reader who leaves: the owner hears it, the file goes, nothing more is kept", () => {
  const { spool, cancelled } = make();
  const before = openFiles();
  for (let i = 0; i < 10; i++) spool.push(Buffer.alloc(100_000));
  spool.cancel("gone");
  spool.push(Buffer.alloc(100_000));
  expect([cancelled(), openFiles()]).toEqual(["gone", before]);
});
