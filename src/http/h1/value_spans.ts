/**
 * Where the values of a head lie, until their text is made: one string for all of them, cut without copying. One for the process: a
 * reader fills and empties it without a pause in between.
 */
import "../../base/bytes.ts";

const most = 128;
const spans = new Int32Array(2 * most);
let count = 0;

/** Notes a value, `bytes[start, end)`. False: there is no room for another one before the values are taken. */
export function noteValue(start: number, end: number): boolean {
  spans[2 * count] = start;
  spans[2 * count + 1] = end;
  return ++count < most;
}

/** Makes the values noted since last time, and appends them. Returns how many. */
export function takeValues(bytes: Buffer, to: string[]): number {
  const taken = count;
  if (taken === 0) return 0;
  count = 0;
  const from = spans[0]!;
  const text = bytes.latin1Slice(from, spans[2 * taken - 1]!);
  for (let i = 0; i < taken; i++) to.push(text.slice(spans[2 * i]! - from, spans[2 * i + 1]! - from));
  return taken;
}
