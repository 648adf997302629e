import { expect, test } from "bun:test";
import { parseNumber, parseOffset, parseSize, parseTime } from "./values.ts";

test("sizes have k and m, offsets g too", () => {
  expect(["0", "12", "4k", "4K", "2m", "2M"].map(parseSize)).toEqual([0, 12, 4096, 4096, 2_097_152, 2_097_152]);
  expect(["1g", "3G", "4k"].map(parseOffset)).toEqual([1_073_741_824, 3_221_225_472, 4096]);
});

test("what is no size", () => {
  for (const text of ["", "k", "-1", "+1", "1.5m", "1 k", " 1", "1kb", "0x10", "1g", "1t"]) {
    expect(parseSize(text)).toBeUndefined();
  }
});

test("64 bits, and no more", () => {
  expect(parseNumber("9223372036854775807")).toBe(2 ** 63);
  expect(parseNumber("9223372036854775808")).toBeUndefined();
  expect(parseSize("9007199254740991k")).toBe(9007199254740991 * 1024);
  expect(parseSize("9007199254740992k")).toBeUndefined();
});

test("numbers are digits alone", () => {
  expect(parseNumber("007")).toBe(7);
  for (const text of ["", "-1", "1e3", "1 ", "x"]) expect(parseNumber(text)).toBeUndefined();
});

test("times in seconds", () => {
  const cases: [string, number][] = [
    ["90", 90],
    ["1m", 60],
    ["1h 30m", 5400],
    ["1h30m", 5400],
    ["1d12h", 129_600],
    ["1y 2M 3w", 365 * 86_400 + 60 * 86_400 + 21 * 86_400],
    ["1h 30", 3630],
    ["1m  5s", 65],
    ["0", 0],
    [" 5", 5],
  ];
  for (const [text, seconds] of cases) expect([text, parseTime(text, "s")]).toEqual([text, seconds]);
});

test("times in milliseconds", () => {
  expect(parseTime("90", "ms")).toBe(90_000);
  expect(parseTime("1s500ms", "ms")).toBe(1500);
  expect(parseTime("100ms", "ms")).toBe(100);
  expect(parseTime("1w2d", "ms")).toBe(9 * 86_400_000);
});

test("what is no time", () => {
  for (const text of ["", "s", "1x", "-1", "1.5s", "30m 1h", "1m1m", "5 s", "5 m", "1s 2m"]) {
    expect([text, parseTime(text, "s"), parseTime(text, "ms")]).toEqual([text, undefined, undefined]);
  }
  expect(parseTime("100ms", "s")).toBeUndefined();
  expect(parseTime("1M", "ms")).toBeUndefined();
  expect(parseTime("1y", "ms")).toBeUndefined();
  expect(parseTime("9223372036854775807y", "s")).toBeUndefined();
});
