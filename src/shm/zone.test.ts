import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fields, kind } from "../../tests/support/contender.ts";
import { memory } from "../../tests/support/shared_memory.ts";
import { minimalZoneBytes, takeOver, Zone } from "./zone.ts";

const contender = join(import.meta.dir, "../../tests/support/contender.ts");

/** Starts a process on the zone and waits until it has begun. */
async function start(fd: number, task: string, argument = 0) {
  const child = Bun.spawn([process.execPath, contender, task, String(argument)], {
    stdio: ["ignore", "pipe", "inherit", fd],
  });
  const { value } = await child.stdout.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe("begun\n");
  return child;
}

/** Every record is found under its key, the order is whole in both directions, and all places can be had. */
function expectSound(zone: Zone<typeof fields>): void {
  zone.locked(() => {
    const { table } = zone;
    let count = 0;
    let newest: number | undefined;
    for (let node = table.oldest(); node !== undefined; node = table.newer(node)) {
      expect(table.lookup(table.keyOf(node))).toBe(node);
      newest = node;
      count++;
    }
    expect(table.size).toBe(count);
    if (newest !== undefined) {
      const oldest = table.oldest();
      table.touch(newest);
      expect(table.oldest()).toBe(oldest);
    }
    table.evict(count, () => true);
    expect(table.size).toBe(0);
    for (let i = 0; i < table.capacity; i++) if (table.insert(`k${i}`, () => false) === undefined) count = -1;
    expect(count).toBeGreaterThanOrEqual(0);
    expect(table.insert("one too many", () => false)).toBeUndefined();
    expect(table.evict(table.capacity, () => true)).toBe(table.capacity);
  });
}

/** How often a process has gone to sleep. */
function sleepsOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
}

function countedIn(zone: Zone<typeof fields>): number {
  return zone.locked(() => zone.table.get(zone.table.lookup("all") ?? 0, "excess"));
}

test("several processes count exactly", async () => {
  const fd = memory(minimalZoneBytes);
  const children = await Promise.all([1, 2, 3, 4].map(() => start(fd, "count", 50_000)));
  expect(await Promise.all(children.map(({ exited }) => exited))).toEqual([0, 0, 0, 0]);
  const zone = new Zone(fd, kind, fields);
  expect(countedIn(zone)).toBe(200_000);
  expect(zone.brokenLocks).toBe(0);
});

test("a process that is killed with the lock does not stop the others", async () => {
  const fd = memory(minimalZoneBytes);
  const zone = new Zone(fd, kind, fields);
  const holder = await start(fd, "hold");
  const waiting = [1, 2].map(() =>
    Bun.spawn([process.execPath, contender, "count", "20000"], { stdio: ["ignore", "ignore", "inherit", fd] }),
  );
  holder.kill("SIGKILL");
  expect(await Promise.all(waiting.map(({ exited }) => exited))).toEqual([0, 0]);
  expect(countedIn(zone)).toBe(40_000);
  expect(zone.brokenLocks).toBe(1);
});

test("its parent need not have asked how it ended", async () => {
  const fd = memory(minimalZoneBytes);
  const zone = new Zone(fd, kind, fields);
  const holder = await start(fd, "hold");
  holder.kill("SIGKILL");
  // No turn of the event loop in between, in which the runtime would ask.
  expect(zone.locked(() => zone.table.size)).toBe(0);
  expect(zone.brokenLocks).toBe(1);
});

test("a process that lives keeps its lock however long others wait", async () => {
  const fd = memory(minimalZoneBytes);
  const zone = new Zone(fd, kind, fields);
  const holder = await start(fd, "hold");
  const waiter = Bun.spawn([process.execPath, contender, "count", "1"], { stdio: ["ignore", "ignore", "inherit", fd] });
  // Each look at the holder comes after eight sleeps.
  while (waiter.exitCode === null && sleepsOf(waiter.pid) < 200) await new Promise(setImmediate);
  expect(zone.brokenLocks).toBe(0);
  expect(waiter.exitCode).toBeNull();
  holder.kill("SIGKILL");
  expect(await waiter.exited).toBe(0);
  expect(countedIn(zone)).toBe(1);
});

test("a table is sound after its users were killed amid changes", async () => {
  const fd = memory(16 * 4096);
  const zone = new Zone(fd, kind, fields);
  for (let round = 0; round < 60 && zone.brokenLocks < 4; round++) {
    const children = await Promise.all([start(fd, "churn", round), start(fd, "churn", round + 1000)]);
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map(({ exited }) => exited));
    expectSound(zone);
  }
  expect(zone.brokenLocks).toBeGreaterThan(0);
}, 60_000);

test("zones do not nest, and tables are used under their lock only", () => {
  const [zone, other] = [memory(minimalZoneBytes), memory(minimalZoneBytes)].map((fd) => new Zone(fd, kind, fields));
  expect(() => zone?.locked(() => zone.locked(() => 1))).toThrow("inside another");
  expect(() => zone?.locked(() => other?.locked(() => 1))).toThrow("inside another");
  expect(() => zone?.table.lookup("a")).toThrow("without its lock");
  expect(zone?.locked(() => 2)).toBe(2);
});

test("what is thrown inside comes out, and the lock is free again", () => {
  const zone = new Zone(memory(minimalZoneBytes), kind, fields);
  const failing = () => {
    throw new Error("mine");
  };
  expect(() => zone.locked(failing)).toThrow("mine");
  expect(zone.locked(() => 1)).toBe(1);
});

test("a zone is what its maker said", () => {
  const fd = memory(minimalZoneBytes);
  const zone = new Zone(fd, kind, fields);
  zone.locked(() => zone.table.insert("a", () => false));
  const again = new Zone(fd, kind, fields);
  expect(again.locked(() => again.table.lookup("a"))).toBe(1);
  expect(() => new Zone(fd, "limit_req $other", fields)).toThrow("limit_req $key");
  expect(() => new Zone(fd, kind, { excess: "f64" })).toThrow("excess:f64,last:f64,count:u32");
  expect(() => new Zone(memory(4096), `limit_req ${"$x".repeat(1900)}`, fields)).toThrow("too small");
});

test("a megabyte holds about sixteen thousand states of $binary_remote_addr", () => {
  const { capacity } = new Zone(memory(1 << 20), "limit_req $binary_remote_addr", fields).table;
  expect(capacity).toBeGreaterThan(15_800);
  expect(capacity).toBeLessThan(16_384);
});

test("what a new configuration may take over", () => {
  const before = { name: "one", kind: "limit_req $x", sizeBytes: 32768 };
  expect(takeOver(before, { ...before })).toBe("keep");
  expect(takeOver(before, { ...before, sizeBytes: 65536 })).toBe("fresh");
  expect(takeOver(before, { ...before, kind: "limit_conn_zone $x" })).toBe("fresh");
  expect(takeOver({ ...before, kind: "upstream" }, { ...before, kind: "upstream" })).toBe("fresh");
  expect(takeOver(before, { ...before, kind: "limit_req $y z" })).toEqual({
    message: 'limit_req "one" uses the "$y z" key while previously it used the "$x" key',
  });
  expect(takeOver({ ...before, kind: "cache /a" }, { ...before, kind: "cache /b" })).toEqual({
    message: 'cache "one" uses the "/b" cache path while previously it used the "/a" cache path',
  });
});
