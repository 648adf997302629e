import { expect, test } from "bun:test";
import { memory } from "../../tests/support/shared_memory.ts";
import { Counters, countersBytes } from "../shm/counters.ts";
import { Zone } from "../shm/zone.ts";
import { countFields, SharedCounts } from "./shared_counts.ts";

/** Processes by their numbers, which share a zone of this size. */
function processes(sizeBytes = 64 * 1024) {
  const counters = new Counters(memory(countersBytes));
  const fd = memory(sizeBytes);
  const zone = () => new Zone(fd, "limit_conn_zone $key", countFields);
  return {
    zone: zone(),
    begin: (pid: number) => new SharedCounts(zone(), counters, counters.claim(pid)),
    end: (pid: number) => counters.release(pid),
  };
}

test("processes count together, each gives back its own", () => {
  const { begin, zone } = processes();
  const all = [1, 2, 3, 4, 5, 6].map(begin);
  expect(all.map((each) => each.add("a", 5))).toEqual([true, true, true, true, true, false]);
  expect(all[5]?.add("b", 5)).toBe(true);
  all[4]?.remove("a");
  expect(all[5]?.add("a", 5)).toBe(true);
  for (const i of [0, 1, 2, 3, 5]) all[i]?.remove("a");
  all[5]?.remove("b");
  // Only the record of the processes is left.
  expect(zone.table.size).toBe(1);
});

test("one process may have several", () => {
  const { begin } = processes();
  const one = begin(1);
  expect([one.add("a", 2), one.add("a", 2), one.add("a", 2)]).toEqual([true, true, false]);
});

test("what an ended process has counted is void: when the limit is reached …", () => {
  const { begin, end } = processes();
  const [one, two] = [begin(1), begin(2)];
  one.add("a", 2);
  two.add("a", 2);
  expect(two.add("a", 2)).toBe(false);
  end(1);
  expect(two.add("a", 2)).toBe(true);
  expect(two.add("a", 2)).toBe(false);
});

test("… and when another process takes its lane", () => {
  const { begin, end, zone } = processes();
  const [one, two] = [begin(1), begin(2)];
  one.add("a", 1);
  two.add("b", 1);
  end(1);
  const three = begin(3);
  expect(zone.table.size).toBe(2);
  expect(three.add("a", 1)).toBe(true);
  expect(three.add("b", 1)).toBe(false);
});

test("a full zone has no room for further keys, but for those of ended processes", () => {
  const { begin, end } = processes(32 * 1024);
  const [one, two] = [begin(1), begin(2)];
  let keys = 0;
  while (one.add(`key ${keys}`, 1) === true) keys++;
  expect(keys).toBeGreaterThan(100);
  expect(two.add("other", 1)).toBeUndefined();
  expect(two.add("key 0", 2)).toBe(true);
  end(1);
  begin(3);
  expect(two.add("other", 1)).toBe(true);
  expect(two.add("key 0", 1)).toBe(false);
});
