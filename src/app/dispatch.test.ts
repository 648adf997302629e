import { expect, test } from "bun:test";
import { House, ms, turn } from "../../tests/support/app_house.ts";
import { monotonicSeconds } from "../net/libc.ts";
import { frameType } from "./frames.ts";
import { Link } from "./link.ts";

test("requests go to idle workers; what is left over waits for the first that is free", async () => {
  using house = new House();
  const [a, b] = [house.worker(0), house.worker(1)];
  const three = [house.submit(), house.submit(), house.submit()];
  await turn();
  expect([a.requests.length, b.requests.length]).toEqual([1, 1]);
  b.answer(b.requests[0]!);
  await turn();
  expect([a.requests.length, b.requests.length]).toEqual([1, 2]);
  a.answer(a.requests[0]!);
  b.answer(b.requests[1]!);
  expect(await Promise.all(three.map(({ outcome }) => outcome))).toEqual([200, 200, 200]);
  expect([a.load, b.load]).toEqual([0, 0]);
});

test("a request that comes before any worker waits for one", async () => {
  using house = new House();
  const early = house.submit("POST");
  const a = house.worker(0);
  await turn();
  a.answer(a.requests[0]!);
  expect(await early.outcome).toBe(200);
});

test("a worker runs as many requests at once as it has threads", async () => {
  using house = new House();
  const a = house.worker(0, 3);
  for (let i = 0; i < 5; i++) house.submit("POST");
  await turn();
  expect(a.requests).toHaveLength(3);
});

test("requests wait in front of a worker only while it is fast", async () => {
  using house = new House();
  const a = house.worker(0).fast();
  for (let i = 0; i < 10; i++) house.submit(i % 2 === 0 ? "GET" : "POST");
  await turn();
  expect(a.requests).toHaveLength(10);
  a.setTime(56, 0.003);
  house.submit();
  await turn();
  expect(a.requests).toHaveLength(10);
  for (const id of [...a.requests]) a.answer(id);
  await turn();
  expect(a.requests).toHaveLength(11);
});

test("no more than its worth of time waits in front of a worker", async () => {
  using house = new House();
  const a = house.worker(0);
  a.setTime(56, 0.0002);
  for (let i = 0; i < 100; i++) house.submit();
  await turn();
  expect(a.requests).toHaveLength(1 + 5);
  const b = house.worker(1);
  b.setTime(56, 0.0015);
  house.dispatcher.drain();
  await turn();
  expect(b.requests).toHaveLength(1 + 1);
});

test("what waits behind a request that turns out slow is taken back and given to another worker, safe or not", async () => {
  using house = new House();
  const a = house.worker(0).fast();
  const calls = [house.submit(), house.submit("POST"), house.submit()];
  await turn();
  a.running(a.requests[0]!, 50);
  const b = house.worker(1);
  while (b.requests.length === 0) await ms(5);
  expect(a.takenBack).toBe(true);
  b.answer(b.requests[0]!);
  await turn();
  b.answer(b.requests[1]!);
  // Until it has confirmed, it gets nothing new, though it is free now.
  a.answer(a.requests[0]!);
  a.setTime(40, 0);
  expect(await Promise.all(calls.map(({ outcome }) => outcome))).toEqual([200, 200, 200]);
  expect([a.load, a.link.returning]).toEqual([2, true]);
  for (const id of a.requests.slice(1)) a.say(frameType.returned, id);
  expect([a.load, a.link.returning, a.takenBack]).toEqual([0, false, false]);
});

test("a request that both sides saw: the worker gives it back, and it is given to another", async () => {
  using house = new House();
  const a = house.worker(0).fast();
  const [first, second, third] = [house.submit(), house.submit("POST"), house.submit()];
  await turn();
  a.running(a.requests[0]!, 50);
  a.running(a.requests[1]!, 50);
  const b = house.worker(1);
  while (b.requests.length === 0) await ms(5);
  // The third went elsewhere. The second was thought to have begun, but the worker had seen in time that it was taken back.
  a.answer(a.requests[0]!);
  for (const id of a.requests.slice(1)) a.say(frameType.returned, id);
  for (let i = 0; i < 2; i++) {
    b.answer(b.requests[i] ?? 0);
    await turn();
  }
  for (const id of a.requests.slice(3)) a.answer(id);
  expect(await Promise.all([first, second, third].map((each) => each!.outcome))).toEqual([200, 200, 200]);
});

test("confirmations are counted one by one: a cancelled request among them changes nothing", async () => {
  using house = new House();
  const a = house.worker(0).fast();
  const calls = [house.submit(), house.submit(), house.submit(), house.submit()];
  await turn();
  calls[1]!.call.cancel();
  a.running(a.requests[0]!, 50);
  house.worker(1);
  while (!a.link.returning) await ms(5);
  a.say(frameType.returned, a.requests[1]!);
  a.say(frameType.returned, a.requests[2]!);
  expect([a.link.returning, a.takenBack]).toEqual([true, true]);
  a.say(frameType.returned, a.requests[3]!);
  expect([a.link.returning, a.takenBack]).toEqual([false, false]);
});

test("a worker that dies: what runs fails with 502, what had not begun goes elsewhere", async () => {
  using house = new House();
  const a = house.worker(0).fast();
  const [first, second] = [house.submit(), house.submit()];
  await turn();
  a.running(a.requests[0]!, 1);
  a.link.onClose();
  expect(await first!.outcome).toBe(502);
  expect(house.logged.join()).toContain("worker (pid:1000) died while it handled GET /");
  const b = house.worker(1);
  await turn();
  b.answer(b.requests[0]!);
  expect(await second!.outcome).toBe(200);
  expect(a.load).toBe(0);
});

test("a worker that was aborted after its timeout: 504", async () => {
  using house = new House();
  const a = house.worker(0);
  const { outcome } = house.submit();
  await turn();
  a.running(a.requests[0]!, 1);
  a.set(24, 1);
  a.link.onClose();
  expect(await outcome).toBe(504);
});

test("what is not safe and had begun is never given twice", async () => {
  using house = new House();
  const a = house.worker(0);
  const { outcome } = house.submit("POST");
  await turn();
  const b = house.worker(1);
  a.running(a.requests[0]!, 1);
  a.link.onClose();
  expect(await outcome).toBe(502);
  await turn();
  expect(b.requests).toEqual([]);
});

test("DRAINING is answered with LAST, and nothing new is given", async () => {
  using house = new House();
  const a = house.worker(0);
  const first = house.submit();
  a.say(frameType.draining, 0);
  await turn();
  expect([a.requests.length, a.last]).toEqual([1, true]);
  house.submit();
  await turn();
  expect(a.requests).toHaveLength(1);
  a.answer(a.requests[0]!);
  expect(await first.outcome).toBe(200);
});

test("a cancelled request keeps its place until the worker confirms", async () => {
  using house = new House();
  const a = house.worker(0);
  const { call, outcome } = house.submit();
  await turn();
  call.cancel();
  await turn();
  expect([a.cancelled, a.load]).toEqual([a.requests, 1]);
  a.say(frameType.abort, a.requests[0]!);
  expect(a.load).toBe(0);
  expect(await outcome).toBe(502);
});

test("who waits too long for a worker gets 503", async () => {
  using house = new House(5000);
  const { call, outcome } = house.submit();
  house.dispatcher.onTimeout();
  call.queuedAt -= 6000;
  house.dispatcher.onTimeout();
  expect(await outcome).toBe(503);
});

test("the oldest request of all web workers is next", async () => {
  using house = new House();
  const a = house.worker(0);
  house.submit("POST");
  await turn();
  // The other web worker begins to wait, then we do; then the worker is free.
  house.board.setWaiting(1, monotonicSeconds() * 1000 - 100);
  house.submit("POST");
  a.answer(a.requests[0]!);
  await turn();
  expect([a.requests.length, a.poked]).toEqual([1, 1]);
  // It has taken its turn elsewhere, and the worker says so.
  house.board.setWaiting(1, 0);
  a.say(frameType.idle, 0);
  await turn();
  expect(a.requests).toHaveLength(2);
});

test("two web workers never overfill one worker", () => {
  using house = new House();
  const a = house.worker(0);
  expect(house.board.take(0, 0, 1)).toBe(true);
  expect(house.board.take(0, 1, 1)).toBe(false);
  house.board.forget(0, 0);
  expect(a.load).toBe(0);
  expect(house.board.take(0, 1, 1)).toBe(true);
});

test("a stranger without the secret is shown out", () => {
  using house = new House();
  const stranger = house.worker(0);
  const payload = Buffer.alloc(24);
  const link = new Link(stranger, house.dispatcher, "f".repeat(32), house.log);
  const frame = Buffer.concat([Buffer.from([24, 0, 0, 0, frameType.hello, 0, 0, 0, 0, 0, 0, 0]), payload]);
  link.onBytes(frame);
  expect(stranger.state).toBe("aborted");
});
