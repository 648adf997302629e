import { expect, test } from "bun:test";
import { ConnectionPool, type KeepLimits, type Poolable } from "./pool.ts";

class Stub implements Poolable {
  reusable = true;
  requests = 1;
  connectedAt = 0;
  closed = false;
  whenLost: (() => void) | undefined;
  restMs = -1;
  rest(timeoutMs: number): void {
    this.restMs = timeoutMs;
  }
  close(): void {
    this.closed = true;
    this.reusable = false;
  }
}

const usual: KeepLimits = { maxIdle: 2, timeoutMs: 60_000, timeMs: 3_600_000, requests: 1000 };

function setUp() {
  let now = 0;
  const pool = new ConnectionPool<Stub>(() => now);
  const advance = (ms: number) => {
    now += ms;
  };
  return { pool, advance };
}

test("what was given last is taken first, and only by its key", () => {
  const { pool } = setUp();
  const [a, b] = [new Stub(), new Stub()];
  pool.give("x", a, usual);
  pool.give("x", b, usual);
  expect(pool.take("y")).toBeUndefined();
  expect(pool.take("x")).toBe(b);
  expect(pool.take("x")).toBe(a);
  expect(pool.take("x")).toBeUndefined();
  expect(a.whenLost).toBeUndefined();
});

test("too many: the one that was idle longest is closed, whosever it is", () => {
  const { pool } = setUp();
  const [a, b, c] = [new Stub(), new Stub(), new Stub()];
  pool.give("x", a, usual);
  pool.give("y", b, usual);
  pool.give("y", c, usual);
  expect([a.closed, b.closed, c.closed]).toEqual([true, false, false]);
  expect(pool.size).toBe(2);
  expect(pool.take("x")).toBeUndefined();
});

test("connections are told how long they may wait", () => {
  const { pool } = setUp();
  const a = new Stub();
  pool.give("x", a, usual);
  expect(a.restMs).toBe(60_000);
});

test("connections that are spent are not kept", () => {
  const { pool, advance } = setUp();
  const refused = (change: Partial<Stub>, limits: Partial<KeepLimits> = {}) => {
    const connection = Object.assign(new Stub(), change);
    pool.give("x", connection, { ...usual, ...limits });
    return connection.closed && pool.size === 0;
  };
  expect(refused({ reusable: false })).toBe(true);
  expect(refused({ requests: 1000 })).toBe(true);
  expect(refused({}, { maxIdle: 0 })).toBe(true);
  advance(3_600_001);
  expect(refused({})).toBe(true);
  expect(refused({ requests: 999, connectedAt: 3_600_000 })).toBe(false);
});

test("a connection that is lost leaves the pool", () => {
  const { pool } = setUp();
  const a = new Stub();
  pool.give("x", a, usual);
  a.whenLost?.();
  expect(pool.size).toBe(0);
  expect(pool.take("x")).toBeUndefined();
  expect(a.closed).toBe(false);
});

test("all are closed at the end", () => {
  const { pool } = setUp();
  const [a, b] = [new Stub(), new Stub()];
  pool.give("x", a, usual);
  pool.give("y", b, usual);
  pool.closeAll();
  expect([a.closed, b.closed, pool.size]).toEqual([true, true, 0]);
});
