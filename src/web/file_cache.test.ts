import { expect, test } from "bun:test";
import { type CacheEntry, FileCache } from "./file_cache.ts";

const limits = { bytes: 100, descriptors: 3, validMs: 10, idleMs: 100, forgetMs: 1000 };
const forgotten: string[] = [];

const entry = (name: string, bytes: number, checkedAt: number, descriptors = 0): CacheEntry => ({
  bytes,
  descriptors,
  checkedAt,
  forget: () => void forgotten.push(name),
});

test("what is kept is counted to the byte, and given back", () => {
  const cache = new FileCache(limits);
  const a = entry("a", 40, 0);
  const b = entry("b", 30, 0, 1);
  cache.add(a);
  cache.add(b);
  cache.charge(a, 5, 2);
  expect(cache.usage).toEqual({ entries: 2, bytes: 75, descriptors: 3 });
  cache.drop(a);
  cache.drop(a);
  expect(cache.usage).toEqual({ entries: 1, bytes: 30, descriptors: 1 });
  cache.drop(b);
  expect(cache.usage).toEqual({ entries: 0, bytes: 0, descriptors: 0 });
});

test("room is made by dropping the longest unused, and only what is idle", () => {
  const cache = new FileCache(limits);
  const [a, b, c] = [entry("a", 40, 0), entry("b", 40, 10), entry("c", 20, 20)] as const;
  for (const each of [a, b, c]) cache.add(each);
  forgotten.length = 0;
  expect(cache.room(1, 0, 99)).toBe(false);
  cache.confirm(a, 90);
  expect(cache.room(40, 0, 110)).toBe(true);
  expect(forgotten).toEqual(["b"]);
  expect(cache.room(41, 0, 119)).toBe(false);
  expect(cache.room(41, 0, 120)).toBe(true);
  expect(forgotten).toEqual(["b", "c"]);
  expect(cache.room(61, 0, 189)).toBe(false);
  expect(cache.has(a)).toBe(true);
  expect(cache.room(100, 0, 190)).toBe(true);
  expect(forgotten).toEqual(["b", "c", "a"]);
});

test("what is more than all is never tried", () => {
  const cache = new FileCache(limits);
  cache.add(entry("a", 10, 0));
  forgotten.length = 0;
  expect(cache.room(101, 0, 10_000)).toBe(false);
  expect(cache.room(0, 4, 10_000)).toBe(false);
  expect(forgotten).toEqual([]);
});

test("what nobody wants any more is dropped though there is room", () => {
  const cache = new FileCache(limits);
  cache.add(entry("a", 10, 0));
  cache.add(entry("b", 10, 500));
  forgotten.length = 0;
  cache.sweep(999);
  expect(forgotten).toEqual([]);
  cache.sweep(1000);
  expect(forgotten).toEqual(["a"]);
  cache.sweep(1500);
  expect(cache.usage.entries).toBe(0);
});

test("that happens by itself", async () => {
  const cache = new FileCache({ ...limits, forgetMs: 20 });
  await new Promise<void>((resolve) =>
    cache.add({ bytes: 1, descriptors: 0, checkedAt: performance.now(), forget: resolve }),
  );
  expect(cache.usage.entries).toBe(0);
});
