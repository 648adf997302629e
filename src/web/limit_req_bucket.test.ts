import { expect, test } from "bun:test";
import {
  type Bucket,
  bucketRate,
  delayMs,
  excessWithOneMore,
  firstRequest,
  isIdle,
  longestDelay,
  withOneMore,
} from "./limit_req_bucket.ts";

test("rates are cut to thousandths of a request per second", () => {
  expect(bucketRate(10, "second")).toBe(10_000);
  expect(bucketRate(30, "minute")).toBe(500);
  expect(bucketRate(1, "minute")).toBe(16);
});

test("a burst at one moment: each request after the first adds itself", () => {
  let bucket = firstRequest(5000);
  const seen: number[] = [];
  for (let i = 0; i < 3; i++) {
    bucket = withOneMore(bucket, 1000, 5000);
    seen.push(bucket.excess);
  }
  expect(seen).toEqual([1000, 2000, 3000]);
  expect(bucket.last).toBe(5000);
});

test("it leaks at the rate, cut to thousandths", () => {
  const bucket: Bucket = { excess: 1000, last: 0 };
  expect(excessWithOneMore(bucket, 1000, 1)).toBe(1999);
  expect(excessWithOneMore(bucket, 16, 1)).toBe(2000);
  expect(excessWithOneMore(bucket, 16, 62)).toBe(2000);
  expect(excessWithOneMore(bucket, 16, 63)).toBe(1999);
  expect(excessWithOneMore(bucket, 1000, 2000)).toBe(0);
  expect(excessWithOneMore(bucket, 1000, 1e9)).toBe(0);
});

test("a clock that is behind turns nothing back; one that is far behind begins anew", () => {
  const bucket: Bucket = { excess: 1000, last: 100_000 };
  expect(withOneMore(bucket, 1000, 99_990)).toEqual({ excess: 2000, last: 100_000 });
  expect(withOneMore(bucket, 1000, 40_000)).toEqual({ excess: 2000, last: 100_000 });
  expect(withOneMore(bucket, 1000, 39_999)).toEqual({ excess: 1999, last: 39_999 });
  expect(withOneMore(bucket, 1000, 100_001)).toEqual({ excess: 1999, last: 100_001 });
});

test("what waits, and how long", () => {
  expect(delayMs(1000, 0, 2000)).toBe(500);
  expect(delayMs(1000, 1000, 2000)).toBe(0);
  expect(delayMs(1001, 1000, 2000)).toBe(0);
  expect(delayMs(1002, 1000, 2000)).toBe(1);
  expect(delayMs(1e9, Number.POSITIVE_INFINITY, 1)).toBe(0);
});

test("records may go after a minute, when they are empty", () => {
  expect(isIdle({ excess: 0, last: 0 }, 1000, 59_999)).toBe(false);
  expect(isIdle({ excess: 0, last: 0 }, 1000, 60_000)).toBe(true);
  expect(isIdle({ excess: 0, last: 120_000 }, 1000, 60_000)).toBe(true);
  expect(isIdle({ excess: 960, last: 0 }, 16, 60_000)).toBe(true);
  expect(isIdle({ excess: 961, last: 0 }, 16, 60_000)).toBe(false);
});

test("of several limits the longest delay counts, and the last of equal ones", () => {
  const none = { excess: 0, delay: 0, rate: 1000 };
  const half = { excess: 500, delay: 0, rate: 1000 };
  const whole = { excess: 3000, delay: 1000, rate: 2000 };
  expect(longestDelay([none, none])).toEqual({ delayMs: 0, limit: 1 });
  expect(longestDelay([whole, half])).toEqual({ delayMs: 1000, limit: 0 });
  expect(longestDelay([half, whole, none])).toEqual({ delayMs: 1000, limit: 1 });
  expect(longestDelay([half, half])).toEqual({ delayMs: 500, limit: 1 });
});
