import { expect, test } from "bun:test";
import { parseCacheControl, seconds } from "./cache_control.ts";

const parsed = (...lines: string[]): Record<string, string> => Object.fromEntries(parseCacheControl(lines));

test("directives of all lines, in any case, with and without values", () => {
  expect(parsed("Public, Max-Age=60", "no-transform")).toEqual({ public: "", "max-age": "60", "no-transform": "" });
});

test("the first of two counts", () => {
  expect(parsed("max-age=1, max-age=2")).toEqual({ "max-age": "1" });
});

test("a quoted string is a value, whatever is in it", () => {
  expect(parsed('x="max-age=1, private", max-age="60"')).toEqual({ x: "max-age=1, private", "max-age": "60" });
  expect(parsed('no-cache="a\\"b"')).toEqual({ "no-cache": 'a"b' });
});

test("what is no directive is skipped", () => {
  expect(parsed(',, ="x", max-age=5')).toEqual({ "max-age": "5" });
  expect(parsed("")).toEqual({});
});

test("seconds are digits; more than anybody waits is for ever", () => {
  const control = parseCacheControl(["max-age=060, a=1.5, b=-1, c='1', d, e=99999999999999999999"]);
  expect(seconds(control, "max-age")).toBe(60);
  for (const name of ["a", "b", "c", "d"]) expect(seconds(control, name)).toBe("invalid");
  expect(seconds(control, "e")).toBe(2 ** 31);
  expect(seconds(control, "z")).toBeUndefined();
});
