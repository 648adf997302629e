import { expect, test } from "bun:test";
import { join } from "node:path";
import { memory } from "../../tests/support/shared_memory.ts";
import { Counters, countersBytes } from "./counters.ts";

test("totals are sums over the lanes", () => {
  const fd = memory(countersBytes);
  const [one, two] = [new Counters(fd), new Counters(fd)];
  const lanes = [one.claim(11), two.claim(12)];
  expect(lanes).toEqual([0, 1]);
  one.add(0, "requests", 5);
  two.add(1, "requests", 2 ** 40);
  one.add(0, "active", 3);
  one.add(0, "active", -1);
  two.add(1, "active", 1);
  expect(two.total("requests")).toBe(2 ** 40 + 5);
  expect(two.total("active")).toBe(3);
  expect(two.total("handled")).toBe(0);
});

test("of a process that has ended the counters stay, the gauges go, and its lane is free", () => {
  const counters = new Counters(memory(countersBytes));
  const [gone, other] = [counters.claim(11), counters.claim(12)];
  for (const lane of [gone, other]) {
    counters.add(lane, "accepted", 10);
    for (const name of ["active", "reading", "writing"] as const) counters.add(lane, name, 4);
  }
  counters.release(11);
  expect(counters.total("accepted")).toBe(20);
  for (const name of ["active", "reading", "writing"] as const) expect(counters.total(name)).toBe(4);
  expect(counters.claim(13)).toBe(gone);
  counters.add(gone, "accepted", 1);
  expect(counters.total("accepted")).toBe(21);
  counters.release(99);
  expect(counters.total("active")).toBe(4);
});

test("there are lanes for 256 processes", () => {
  const counters = new Counters(memory(countersBytes));
  for (let pid = 1; pid <= 256; pid++) counters.claim(pid);
  expect(() => counters.claim(257)).toThrow("256");
});

test("processes that count at once count exactly", async () => {
  const fd = memory(countersBytes);
  const code = `
    import { Counters } from ${JSON.stringify(join(import.meta.dir, "counters.ts"))};
    const counters = new Counters(3);
    const lane = counters.claim(process.pid);
    for (let i = 0; i < 100_000; i++) counters.add(lane, "requests", 1);
  `;
  const children = [1, 2, 3].map(() =>
    Bun.spawn([process.execPath, "-e", code], { stdio: ["ignore", "ignore", "inherit", fd] }),
  );
  expect(await Promise.all(children.map(({ exited }) => exited))).toEqual([0, 0, 0]);
  expect(new Counters(fd).total("requests")).toBe(300_000);
});
