import { expect, test } from "bun:test";
import { keyHash } from "./key_hash.ts";

/** Bytes 0 to 7, the key of the published examples. */
const seed = [0x03020100, 0x07060504] as const;

test("it is HalfSipHash-1-3", () => {
  const hashes = ["", "\0", "\0\x01", "\0\x01\x02", "\0\x01\x02\x03"].map((text) => keyHash(text, ...seed) >>> 0);
  expect(hashes).toEqual([0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6]);
});

test("the same text and seed, the same hash; another seed, another one", () => {
  expect(keyHash("some key", 1, 2)).toBe(keyHash("some key", 1, 2));
  expect(keyHash("some key", 1, 2)).not.toBe(keyHash("some key", 1, 3));
  expect(keyHash("some key", 1, 2)).not.toBe(keyHash("some key", 2, 2));
});

test("each byte counts, zeros and the length too", () => {
  const texts = [
    "",
    "\0",
    "\0\0",
    "\0\0\0\0",
    "\0\0\0\0\0",
    "\xff",
    "\xff\0",
    "a",
    "b",
    "ab",
    "ba",
    "abcd",
    "abce",
    "abcde",
  ];
  expect(new Set(texts.map((text) => keyHash(text, ...seed))).size).toBe(texts.length);
});

test("neighbours spread evenly over buckets", () => {
  const buckets = new Array<number>(256).fill(0);
  for (let i = 0; i < 25_600; i++) {
    const bucket = (keyHash(String.fromCharCode(10, 0, i >>> 8, i & 255), ...seed) >>> 0) % 256;
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  // 100 on average, a deviation of 10.
  expect(Math.max(...buckets)).toBeLessThan(160);
  expect(Math.min(...buckets)).toBeGreaterThan(50);
});
