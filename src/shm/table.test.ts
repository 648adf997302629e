import { expect, test } from "bun:test";
import { memory } from "../../tests/support/shared_memory.ts";
import type { SharedTable } from "./table.ts";
import { maxKeyBytes } from "./table.ts";
import { minimalZoneBytes, Zone } from "./zone.ts";

const fields = { count: "u32", debt: "i32", last: "f64" } as const;
type Table = SharedTable<typeof fields>;

/** Runs a test on a table of its own, under its lock. */
function onTable(work: (table: Table) => void, sizeBytes = minimalZoneBytes): void {
  const zone = new Zone(memory(sizeBytes), "test $key", fields);
  zone.locked(() => work(zone.table));
}

const always = () => true;
const never = () => false;

function insert(table: Table, key: string, mayEvict: (node: number) => boolean = never): number {
  const node = table.insert(key, mayEvict);
  if (node === undefined) throw new Error("no room");
  return node;
}

function keys(table: Table): string[] {
  const found: string[] = [];
  for (let node = table.oldest(); node !== undefined; node = table.newer(node)) found.push(table.keyOf(node));
  return found;
}

test("records begin as zeros and keep what they are given", () => {
  onTable((table) => {
    expect(table.lookup("a")).toBeUndefined();
    const a = insert(table, "a");
    const b = insert(table, "b");
    for (const name of ["count", "debt", "last"] as const) expect(table.get(a, name)).toBe(0);
    table.set(a, "count", 4_294_967_295);
    table.set(a, "debt", -7);
    table.set(a, "last", 1.5e15);
    expect([table.get(a, "count"), table.get(a, "debt"), table.get(a, "last")]).toEqual([4_294_967_295, -7, 1.5e15]);
    expect([table.get(b, "count"), table.get(b, "debt"), table.get(b, "last")]).toEqual([0, 0, 0]);
    expect(table.lookup("a")).toBe(a);
    expect(table.lookup("b")).toBe(b);
    table.remove(a);
    expect(table.lookup("a")).toBeUndefined();
    const again = insert(table, "a");
    expect(again).toBe(a);
    expect(table.get(again, "count")).toBe(0);
    expect(table.size).toBe(2);
  });
});

test("keys of any bytes and lengths, those that are the beginning of others too", () => {
  onTable((table) => {
    const lengths = [0, 1, 3, 4, 5, 8, 15, 16, 17, 20, 71, 72, 73, 128, 129, 500, 4000, 16_000];
    const long = Array.from({ length: 16_000 }, (_, i) => String.fromCharCode((i * 7) % 256)).join("");
    const nodes = lengths.map((length) => insert(table, long.slice(0, length)));
    expect(new Set(nodes).size).toBe(lengths.length);
    for (const [i, length] of lengths.entries()) {
      expect(table.lookup(long.slice(0, length))).toBe(nodes[i]);
      expect(table.keyOf(nodes[i] ?? 0)).toBe(long.slice(0, length));
    }
    expect(table.lookup(`${long.slice(0, 499)}!`)).toBeUndefined();
    table.evict(99, always);
    expect(table.size).toBe(0);
    // All is free again, the ends of long keys too.
    for (let i = 0; i < table.capacity; i++) insert(table, `${i}`);
    expect(table.insert("more", never)).toBeUndefined();
  });
});

test("the longest key", () => {
  onTable((table) => {
    expect(table.lookup("x".repeat(maxKeyBytes))).toBeUndefined();
    const node = insert(table, "x".repeat(maxKeyBytes));
    expect(table.keyOf(node)).toHaveLength(maxKeyBytes);
    expect(table.insert("x".repeat(maxKeyBytes + 1), always)).toBeUndefined();
    expect(table.size).toBe(1);
  }, 1 << 20);
});

test("a key that the whole table cannot hold evicts nobody", () => {
  onTable((table) => {
    insert(table, "a");
    expect(table.insert("x".repeat(60_000), always)).toBeUndefined();
    expect(keys(table)).toEqual(["a"]);
  });
});

test("the order is that of touches", () => {
  onTable((table) => {
    const [a, b, c] = ["a", "b", "c"].map((key) => insert(table, key));
    expect(keys(table)).toEqual(["a", "b", "c"]);
    table.lookup("a");
    expect(keys(table)).toEqual(["a", "b", "c"]);
    table.touch(b ?? 0);
    expect(keys(table)).toEqual(["a", "c", "b"]);
    table.touch(a ?? 0);
    table.touch(a ?? 0);
    expect(keys(table)).toEqual(["c", "b", "a"]);
    table.remove(b ?? 0);
    expect(keys(table)).toEqual(["c", "a"]);
    table.remove(c ?? 0);
    table.remove(a ?? 0);
    expect(keys(table)).toEqual([]);
    expect(table.oldest()).toBeUndefined();
  });
});

test("a full table evicts its oldest, if it may", () => {
  onTable((table) => {
    for (let i = 0; i < table.capacity; i++) insert(table, `${i}`);
    expect(table.insert("new", (node) => table.keyOf(node) !== "0")).toBeUndefined();
    insert(table, "new", (node) => table.keyOf(node) === "0");
    expect(table.lookup("0")).toBeUndefined();
    expect(keys(table)[0]).toBe("1");
    // A long key costs several.
    insert(table, "l".repeat(300), always);
    expect(table.size).toBeLessThan(table.capacity - 3);
    expect(table.lookup("new")).toBeDefined();
    expect(table.evict(2, always)).toBe(2);
    expect(table.evict(5, never)).toBe(0);
  });
});

test("chains survive the removal of any member", () => {
  onTable((table) => {
    const all = Array.from({ length: table.capacity }, (_, i) => `${i}`);
    for (const key of all) insert(table, key);
    const gone = all.filter((_, i) => (i * 7) % 3 === 1);
    for (const key of gone) table.remove(table.lookup(key) ?? 0);
    for (const key of all) expect(table.lookup(key) === undefined).toBe(gone.includes(key));
    for (const key of gone) insert(table, key);
    for (const key of all) expect(table.keyOf(table.lookup(key) ?? 0)).toBe(key);
  });
});

test("a record is removed once", () => {
  onTable((table) => {
    const node = insert(table, "a");
    table.remove(node);
    expect(() => table.remove(node)).toThrow("does not exist");
  });
});

test("repair keeps records, order, and the room", () => {
  onTable((table) => {
    for (const key of ["a", "b".repeat(200), "c", "d"]) insert(table, key);
    table.touch(table.lookup("a") ?? 0);
    table.set(table.lookup("c") ?? 0, "debt", -3);
    table.remove(table.lookup("d") ?? 0);
    table.repair();
    expect(keys(table)).toEqual(["b".repeat(200), "c", "a"]);
    expect(table.size).toBe(3);
    expect(table.get(table.lookup("c") ?? 0, "debt")).toBe(-3);
    table.evict(3, always);
    for (let i = 0; i < table.capacity; i++) insert(table, `${i}`);
    expect(table.insert("more", never)).toBeUndefined();
  });
});

test("two views of one memory are one table", () => {
  const fd = memory(minimalZoneBytes);
  const [one, two] = [1, 2].map(() => new Zone(fd, "test $key", fields));
  const node = one?.locked(() => insert(one.table, "key of both"));
  expect(two?.locked(() => two.table.lookup("key of both"))).toBe(node);
});
