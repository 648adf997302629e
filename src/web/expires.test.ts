import { expect, test } from "bun:test";
import { formatHttpDate } from "../base/date.ts";
import { expiresFields, parseExpires } from "./expires.ts";

test.each([
  ["off", { kind: "off" }],
  ["epoch", { kind: "epoch" }],
  ["max", { kind: "max" }],
  ["1h 30m", { kind: "access", seconds: 5400 }],
  ["+10", { kind: "access", seconds: 10 }],
  ["-10", { kind: "access", seconds: -10 }],
  ["@24h", { kind: "daily", seconds: 86_400 }],
  ["@24h1s", "daily time value must be less than 24 hours"],
  ["", "invalid value"],
  ["bad", "invalid value"],
  ["--1", "invalid value"],
])("%p", (text, rule) => {
  expect(parseExpires(text, false)).toEqual(rule as ReturnType<typeof parseExpires>);
});

test("behind `modified` there are only times", () => {
  expect(parseExpires("5", true)).toEqual({ kind: "modified", seconds: 5 });
  expect(parseExpires("max", true)).toBe("invalid value");
  expect(parseExpires("@5", true)).toBe('daily time cannot be used with "modified" parameter');
});

const now = 1_700_000_000;
const says = (text: string, modified = false, lastModified?: string) => {
  const rule = parseExpires(text, modified);
  if (typeof rule === "string") throw new Error(rule);
  const found = expiresFields(rule, lastModified, now);
  return found && [found.expires, found.cacheControl];
};

test("from now, and from the last change", () => {
  expect(says("off")).toBeUndefined();
  expect(says("60")).toEqual([formatHttpDate(now + 60), "max-age=60"]);
  expect(says("0")).toEqual([formatHttpDate(now), "max-age=0"]);
  expect(says("-60")).toEqual([formatHttpDate(now - 60), "no-cache"]);
  const before = formatHttpDate(now - 100);
  expect(says("160", true, before)).toEqual([formatHttpDate(now + 60), "max-age=60"]);
  expect(says("40", true, before)).toEqual([formatHttpDate(now - 60), "no-cache"]);
  expect(says("160", true)).toEqual([formatHttpDate(now + 160), "max-age=160"]);
});

test("a time of day is the next one", () => {
  for (const text of ["@0s", "@6h", "@12h", "@18h", "@24h"]) {
    const age = Number(/^max-age=(\d+)$/.exec(says(text)?.[1] ?? "")?.[1]);
    expect(age).toBeGreaterThan(0);
    // A day may be an hour longer.
    expect(age).toBeLessThanOrEqual(25 * 3600 + 86_400 * Number(text === "@24h"));
  }
});
