import { expect, test } from "bun:test";
import { murmurHash2 } from "./murmur_hash.ts";

test.each([
  ["", 0],
  ["a", 0x92685f5e],
  ["abc", 0x13577c9b],
  ["abcd", 0x26873021],
  ["hello world", 0x44a81419],
  ["\xff\xfe\xfd\xfc\xfb", 0xfae45ebc],
])("%j", (text, hash) => {
  expect(murmurHash2(text)).toBe(hash);
});
