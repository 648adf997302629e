import { expect, test } from "bun:test";
import { goesFirst, type Priority, parsePriority } from "./priority.ts";

test("a priority field's urgency and incremental (RFC 9218 4)", () => {
  expect(parsePriority("u=5, i")).toEqual({ urgency: 5, incremental: true });
  expect(parsePriority("i=?0,u=0")).toEqual({ urgency: 0, incremental: false });
  expect(parsePriority("")).toEqual({ urgency: 3, incremental: false });
});

test("what is wrong or unknown in it is ignored", () => {
  for (const text of ["u=8", "u=-1", "u", "x=1", "U=1", "u=1x", ",,,", "u=?1"])
    expect(parsePriority(text)).toEqual({ urgency: 3, incremental: false });
  expect(parsePriority("x=2;u=1, u=1;x=3")).toEqual({ urgency: 1, incremental: false });
});

test("urgency first, then one after the other, then turn by turn", () => {
  const of = (id: number, priority: Priority, turn = 0) => ({ id, priority, turn });
  const order = (...all: ReturnType<typeof of>[]) =>
    [...all].sort((a, b) => (goesFirst(a, b) ? -1 : 1)).map(({ id }) => id);
  expect(
    order(
      of(1, { urgency: 5, incremental: false }),
      of(3, { urgency: 3, incremental: true }, 2),
      of(5, { urgency: 3, incremental: true }, 1),
      of(7, { urgency: 3, incremental: false }),
      of(9, { urgency: 0, incremental: true }, 9),
    ),
  ).toEqual([9, 7, 5, 3, 1]);
});
