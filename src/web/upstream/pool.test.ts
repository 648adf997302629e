import { expect, test } from "bun:test";
import { ConnectionPool, type KeepLimits, type Poolable } from "./pool.ts";

class Stub implements Poolable {
  reusable = true;
  requests = 1;
  connectedAt = 0;
  closed = false;
  whenLost: Poolable["whenLost"];
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
  const pool = new ConnectionPool<Stub>();
  return { pool };
}

test("what was given last is taken first, and only by its key", () => {
  const { pool } = setUp();
  const [a, b] = [new Stub(), new Stub()];
  pool.give("x", a, usual, 0);
  pool.give("x", b, usual, 0);
  expect(pool.take("y")).toBeUndefined();
  expect(pool.take("x")).toBe(b);
  expect(pool.take("x")).toBe(a);
  expect(pool.take("x")).toBeUndefined();
  expect(a.whenLost).toBeUndefined();
});

test("too many: the one that was idle longest is closed, whosever it is", () => {
  const { pool } = setUp();
  const [a, b, c] = [new Stub(), new Stub(), new Stub()];
  pool.give("x", a, usual, 0);
  pool.give("y", b, usual, 0);
  pool.give("y", c, usual, 0);
  expect([a.closed, b.closed, c.closed]).toEqual([true, false, false]);
  expect(pool.size).toBe(2);
  expect(pool.take("x")).toBeUndefined();
});

test("connections are told how long they may wait", () => {
  const { pool } = setUp();
  const a = new Stub();
  pool.give("x", a, usual, 0);
  expect(a.restMs).toBe(60_000);
});

test("connections that are spent are not kept", () => {
  const { pool } = setUp();
  let now = 0;
  const refused = (change: Partial<Stub>, limits: Partial<KeepLimits> = {}) => {
    const connection = Object.assign(new Stub(), change);
    pool.give("x", connection, { ...usual, ...limits }, now);
    return connection.closed && pool.size === 0;
  };
  expect(refused({ reusable: false })).toBe(true);
  expect(refused({ requests: 1000 })).toBe(true);
  expect(refused({}, { maxIdle: 0 })).toBe(true);
  now = 3_600_001;
  expect(refused({})).toBe(true);
  expect(refused({ requests: 999, connectedAt: 3_600_000 })).toBe(false);
});

test("a connection that is lost leaves the pool", () => {
  const { pool } = setUp();
  const a = new Stub();
  pool.give("x", a, usual, 0);
  a.whenLost?.(a);
  expect(pool.size).toBe(0);
  expect(pool.take("x")).toBeUndefined();
  expect(a.closed).toBe(false);
});

test("all are closed at the end", () => {
  const { pool } = setUp();
  const [a, b] = [new Stub(), new Stub()];
  pool.give("x", a, usual, 0);
  pool.give("y", b, usual, 0);
  pool.closeAll();
  expect([a.closed, b.closed, pool.size]).toEqual([true, true, 0]);
});
