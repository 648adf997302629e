import { expect, test } from "bun:test";
import { type Timed, Timers } from "./timers.ts";

function make() {
  let now = 0;
  const timers = new Timers(() => now);
  const fired: number[] = [];
  const entry: Timed = { deadline: 0, tick: -1, onTimeout: () => fired.push(now) };
  const goTo = (ms: number) => {
    while (now < ms) {
      now += 250;
      timers.tick();
    }
  };
  return { timers, fired, entry, goTo };
}

test("fires once, at the deadline or one tick later", () => {
  const { timers, fired, entry, goTo } = make();
  timers.set(entry, 5000);
  goTo(4750);
  expect(fired).toEqual([]);
  goTo(20_000);
  expect(fired).toHaveLength(1);
  expect(fired[0]).toBeGreaterThanOrEqual(5000);
  expect(fired[0]).toBeLessThanOrEqual(5250);
});

test("a later deadline postpones, an earlier one brings forward", () => {
  const { timers, fired, entry, goTo } = make();
  timers.set(entry, 2000);
  goTo(1000);
  timers.set(entry, 5000);
  goTo(5500);
  expect(fired).toEqual([]);
  goTo(6500);
  expect(fired).toHaveLength(1);
  timers.set(entry, 60_000);
  timers.set(entry, 1000);
  goTo(8000);
  expect(fired).toHaveLength(2);
  goTo(80_000);
  expect(fired).toHaveLength(2);
});

test("cleared and set again after clearing", () => {
  const { timers, fired, entry, goTo } = make();
  timers.set(entry, 1000);
  timers.clear(entry);
  goTo(3000);
  expect(fired).toEqual([]);
  timers.set(entry, 2000);
  timers.clear(entry);
  timers.set(entry, 1000);
  goTo(4500);
  expect(fired).toHaveLength(1);
});

test("deadlines beyond one turn of the wheel", () => {
  const { timers, fired, entry, goTo } = make();
  timers.set(entry, 600_000);
  goTo(599_000);
  expect(fired).toEqual([]);
  goTo(601_000);
  expect(fired).toHaveLength(1);
});

test("a long pause of the process fires everything that is due", () => {
  let now = 0;
  const timers = new Timers(() => now);
  let fired = 0;
  for (let i = 1; i <= 200; i++) timers.set({ deadline: 0, tick: -1, onTimeout: () => fired++ }, i * 1000);
  now = 10_000_000;
  timers.tick();
  expect(fired).toBe(200);
});
