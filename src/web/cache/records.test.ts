import { expect, test } from "bun:test";
import { join } from "node:path";
import { memory } from "../../../tests/support/shared_memory.ts";
import type { Runtime } from "../module.ts";
import { keyHash } from "./key.ts";
import { Records, type Removed } from "./records.ts";

/** A view of a zone; several of one descriptor are as several processes. */
function recordsOf(fd = memory(64 * 1024)): Records {
  return new Records({ zone: () => fd } as unknown as Runtime, "c", "cache /c");
}

const now = 1_700_000_000;
const a = keyHash("a");
const b = keyHash("b");

const ask = (records: Records, hash = a, minUses = 1, gone: Removed[] = []) => records.ask(hash, minUses, now, gone);

test("an entry is absent, then stored, with another version for each content", () => {
  const records = recordsOf();
  expect(ask(records)).toEqual({ is: "absent", mayExist: true });
  records.setLoaded();
  expect(ask(records)).toEqual({ is: "absent", mayExist: false });
  const first = records.stored(a, 100, []);
  expect(ask(records)).toEqual({ is: "stored", version: first });
  const second = records.stored(a, 50, []);
  expect(second).not.toBe(first);
  records.lost(a, first);
  expect(ask(records)).toEqual({ is: "stored", version: second });
  expect(records.bytes).toBe(50);
  records.lost(a, second);
  expect(ask(records).is).toBe("absent");
  expect(records.bytes).toBe(0);
});

test("what is asked for seldom is scarce", () => {
  const records = recordsOf();
  expect([ask(records, a, 3).is, ask(records, a, 3).is, ask(records, a, 3).is]).toEqual(["scarce", "scarce", "absent"]);
});

test("an error is answered until its time is over", () => {
  const records = recordsOf();
  ask(records);
  records.failed(a, 502, now + 5);
  expect(ask(records)).toEqual({ is: "error", status: 502 });
  expect(records.ask(a, 1, now + 6, []).is).toBe("absent");
});

test("a lock has one holder, until it is released or too old", () => {
  const records = recordsOf();
  ask(records);
  const claim = records.claim(a, 60_000);
  expect(claim).toBeDefined();
  expect(records.claim(a, 60_000)).toBeUndefined();
  expect(records.isLocked(a)).toBe(true);
  if (claim !== undefined) records.release(claim);
  expect(records.isLocked(a)).toBe(false);
  expect(records.claim(a, -1)).toBeDefined();
  const next = records.claim(a, 60_000);
  expect(next).toBeDefined();
  // The one before has no right any more to end it.
  if (claim !== undefined) records.release(claim);
  expect(records.isLocked(a)).toBe(true);
});

test("a lock whose holder was killed is free", async () => {
  const fd = memory(64 * 1024);
  const records = recordsOf(fd);
  ask(records);
  const code = `
    import { Records } from ${JSON.stringify(join(import.meta.dir, "records.ts"))};
    const records = new Records({ zone: () => 3 }, "c", "cache /c");
    const claim = records.claim(Buffer.from(${JSON.stringify(Buffer.from(a, "latin1").toString("hex"))}, "hex").toString("latin1"), 0);
    process.stdout.write(claim === undefined ? "no" : "yes");
    setInterval(() => {}, 1000);
  `;
  const child = Bun.spawn([process.execPath, "-e", code], { stdio: ["ignore", "pipe", "inherit", fd] });
  const { value } = await child.stdout.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe("yes");
  expect(records.claim(a, 0)).toBeUndefined();
  child.kill("SIGKILL");
  await child.exited;
  expect(records.claim(a, 0)).toBeDefined();
});

test("the oldest leave: those nobody asks for, and those that are too much", () => {
  const records = recordsOf();
  for (const hash of [a, b]) {
    ask(records, hash);
    records.stored(hash, 100, []);
  }
  expect(records.expire(60_000, 10)).toEqual([]);
  expect(records.shrink(1000, 10, () => false)).toEqual([]);
  ask(records, a);
  expect(records.shrink(200, 10, () => false)).toEqual([{ hash: b, hadFile: true }]);
  expect(records.bytes).toBe(100);
  expect(records.expire(-1, 10)).toEqual([{ hash: a, hadFile: true }]);
  expect(records.bytes).toBe(0);
});

test("what somebody is at work on stays", () => {
  const records = recordsOf();
  ask(records);
  records.claim(a, 60_000);
  expect(records.expire(-1, 10)).toEqual([]);
});

test("a full zone makes room, and is kept somewhat emptier from then on", () => {
  const records = recordsOf();
  const gone: Removed[] = [];
  let count = 0;
  for (; gone.length === 0; count++) ask(records, keyHash(`${count}`), 1, gone);
  expect(gone).toEqual([{ hash: keyHash("0"), hadFile: false }]);
  const removed = records.shrink(Number.POSITIVE_INFINITY, count, () => false);
  expect(removed.length).toBeWithin(Math.floor(count / 10), Math.ceil(count / 7));
});

test("a purge is noticed by who fills", () => {
  const records = recordsOf();
  expect(records.remove(a)).toBe(false);
  ask(records);
  const before = records.purgesOf(a);
  expect(records.remove(a)).toBe(false);
  expect(records.purgesOf(a)).not.toBe(before);
  records.stored(a, 10, []);
  expect(records.remove(a)).toBe(true);
  expect(ask(records).is).toBe("absent");
});
