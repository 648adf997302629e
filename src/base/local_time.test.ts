import { expect, test } from "bun:test";
import { isoTime, isoTimeNow, logTime, logTimeNow, secondsText } from "./local_time.ts";

const date = new Date(2026, 10, 4, 9, 2, 3);

test("the forms of the logs, in local time", () => {
  expect(isoTime(date)).toMatch(/^2026-11-04T09:02:03[+-]\d\d:\d\d$/);
  expect(logTime(date)).toMatch(/^04\/Nov\/2026:09:02:03 [+-]\d{4}$/);
});

test("now is now", () => {
  const before = Math.floor(Date.now() / 1000);
  const told = Date.parse(isoTimeNow()) / 1000;
  expect(told).toBeGreaterThanOrEqual(before);
  expect(told).toBeLessThanOrEqual(Date.now() / 1000);
  expect(logTimeNow()).toMatch(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$/);
});

test.each([
  [0, "0.000"],
  [-5, "0.000"],
  [Number.NaN, "0.000"],
  [7.9, "0.007"],
  [42, "0.042"],
  [999, "0.999"],
  [61_100.5, "61.100"],
  [1_795_533_467_387, "1795533467.387"],
])("%d ms", (ms, text) => {
  expect(secondsText(ms)).toBe(text);
});
