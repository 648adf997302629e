/** Workers with several threads. */
import { expect, test } from "bun:test";
import { House, ms, turn } from "../../tests/support/app_house.ts";
import { frameType } from "./frames.ts";

test("requests wait in front of the threads only while they are fast", async () => {
  using house = new House();
  const a = house.worker(0, 2).fast();
  for (let i = 0; i < 10; i++) house.submit(i % 2 === 0 ? "GET" : "POST");
  await turn();
  expect(a.requests).toHaveLength(10);
  a.setTime(56, 0.003);
  house.submit();
  await turn();
  expect(a.requests).toHaveLength(10);
});

test("where very many run at once, nothing waits in front of them", async () => {
  using house = new House();
  const a = house.worker(0, 100).fast();
  for (let i = 0; i < 110; i++) house.submit();
  await turn();
  expect(a.requests).toHaveLength(100);
});

test("what waits behind slow requests is asked for once, and given to another worker when it comes back", async () => {
  using house = new House();
  const a = house.worker(0, 2).fast();
  const calls = [house.submit(), house.submit("POST"), house.submit("POST"), house.submit()];
  await turn();
  a.running(a.requests[1]!, 50);
  const b = house.worker(1, 2);
  while (a.askedBack.length === 0) await ms(5);
  expect(a.askedBack).toEqual(a.requests.slice(2));
  await ms(25);
  expect(a.askedBack).toHaveLength(2);
  // One has begun meanwhile: it is answered from there.
  a.say(frameType.returned, a.requests[3]!);
  await turn();
  expect([b.requests.length, a.load]).toEqual([1, 3]);
  b.answer(b.requests[0]!);
  for (const id of a.requests.slice(0, 3)) a.answer(id);
  expect(await Promise.all(calls.map(({ outcome }) => outcome))).toEqual([200, 200, 200, 200]);
  expect(a.load).toBe(0);
});

test("a worker that dies: what had not begun goes elsewhere, nothing else does", async () => {
  using house = new House();
  const a = house.worker(0, 2).fast();
  const calls = [house.submit(), house.submit("POST"), house.submit("POST"), house.submit()];
  await turn();
  a.running(a.requests[1]!, 1);
  a.link.onClose();
  expect(await Promise.all(calls.slice(0, 2).map(({ outcome }) => outcome))).toEqual([502, 502]);
  const b = house.worker(1, 2);
  await turn();
  for (const id of [...b.requests]) b.answer(id);
  expect(await Promise.all(calls.slice(2).map(({ outcome }) => outcome))).toEqual([200, 200]);
});
