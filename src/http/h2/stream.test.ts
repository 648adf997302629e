import { expect, test } from "bun:test";
import { H2Stream, Streams, transitions } from "./stream.ts";

test("closed is for ever, and each end closes its half once (RFC 9113 5.1)", () => {
  for (const to of Object.values(transitions.closed)) expect(to).toBe("closed");
  for (const row of Object.values(transitions)) expect(row.reset).toBe("closed");
  const stream = new H2Stream(1, 0, 0);
  stream.move("received END_STREAM");
  expect([stream.state, stream.receives]).toEqual(["half-closed (remote)", false]);
  stream.move("sent END_STREAM");
  expect(stream.state).toBe("closed");
  const other = new H2Stream(3, 0, 0);
  other.move("sent END_STREAM");
  expect([other.state, other.receives]).toEqual(["half-closed (local)", true]);
  other.move("received END_STREAM");
  expect(other.state).toBe("closed");
});

test("idle is what comes after the last one, and all even numbers", () => {
  const streams = new Streams();
  streams.last = 5;
  expect([1, 3, 5, 7, 2].map((id) => streams.isIdle(id))).toEqual([false, false, false, true, true]);
});

test("of streams that were reset the last few hundred are remembered", () => {
  const streams = new Streams();
  for (let id = 1; id < 1001; id += 2) streams.remember(id);
  expect([streams.wasReset(1), streams.wasReset(999), streams.wasReset(1001)]).toEqual([false, true, false]);
});
