import { expect, test } from "bun:test";
import { formatHttpDate } from "../../base/date.ts";
import { Headers } from "../../http/headers.ts";
import { type FreshnessRules, freshness } from "./freshness.ts";

const now = 1_700_000_000;
const date = (offset: number): string => formatHttpDate(now + offset);
const noRules: FreshnessRules = { ignored: new Set(), valid: [] };

/** Seconds that a response may be used; undefined: it is not stored. */
function lifetime(
  fields: readonly (readonly [string, string])[],
  rules: Partial<FreshnessRules> = {},
  more: { readonly status?: number; readonly isAuthorized?: boolean } = {},
): number | undefined {
  const response = { status: 200, isAuthorized: false, ...more, headers: Headers.of(...fields), now };
  const found = freshness(response, { ...noRules, ...rules });
  return found === undefined ? undefined : found.validUntil - now;
}

test("X-Accel-Expires before s-maxage before max-age before Expires before the configuration", () => {
  const fields: [string, string][] = [
    ["Expires", date(40)],
    ["Cache-Control", "max-age=30"],
    ["Cache-Control", "s-maxage=20"],
    ["X-Accel-Expires", "10"],
  ];
  const valid = [{ status: 200, seconds: 50 }];
  expect(lifetime(fields, { valid })).toBe(10);
  expect(lifetime(fields.slice(0, 3), { valid })).toBe(20);
  expect(lifetime(fields.slice(0, 2), { valid })).toBe(30);
  expect(lifetime(fields.slice(0, 1), { valid })).toBe(40);
  expect(lifetime([], { valid })).toBe(50);
  expect(lifetime([])).toBeUndefined();
});

test("fields that are ignored say nothing", () => {
  const fields: [string, string][] = [
    ["Set-Cookie", "a=b"],
    ["Cache-Control", "private"],
    ["Expires", date(-1)],
    ["X-Accel-Expires", "0"],
    ["Vary", "*"],
  ];
  const ignored = new Set(["set-cookie", "cache-control", "expires", "x-accel-expires", "vary"]);
  expect(lifetime(fields, { ignored, valid: [{ status: 0, seconds: 5 }] })).toBe(5);
  for (const name of ignored) {
    const others = new Set([...ignored].filter((each) => each !== name));
    expect(lifetime(fields, { ignored: others, valid: [{ status: 0, seconds: 5 }] })).toBeUndefined();
  }
});

test("X-Accel-Expires: seconds, a time, or never", () => {
  expect(lifetime([["X-Accel-Expires", "@1"]])).toBe(1 - now);
  expect(lifetime([["X-Accel-Expires", "0"]])).toBeUndefined();
  expect(
    lifetime([
      ["X-Accel-Expires", "soon"],
      ["Cache-Control", "max-age=7"],
    ]),
  ).toBe(7);
  expect(
    lifetime([
      ["Cache-Control", "no-store"],
      ["X-Accel-Expires", "9"],
    ]),
  ).toBe(9);
});

test("what has an age already has less time left (RFC 9111 4.2.3)", () => {
  const fields = (age: string): [string, string][] => [
    ["Cache-Control", "max-age=60"],
    ["Age", age],
  ];
  expect(lifetime(fields("50"))).toBe(10);
  expect(lifetime(fields("70"))).toBe(-10);
  for (const age of ["x", "-1", "1.0", "0, 7", "5;a=b"]) expect(lifetime(fields(age))).toBeUndefined();
  expect(
    lifetime([
      ["Expires", date(160)],
      ["Date", date(100)],
      ["Age", "20"],
    ]),
  ).toBe(40);
});

test("Expires: past, none, no date", () => {
  for (const value of [date(-1), date(0), "0", "tomorrow"]) expect(lifetime([["Expires", value]])).toBeUndefined();
});

test("no-store, no-cache, private, max-age=0, a bad number: not stored", () => {
  for (const value of ["no-store", "no-cache", "private", "max-age=0", "max-age=x", "s-maxage=0, max-age=5"])
    expect(lifetime([["Cache-Control", value]], { valid: [{ status: 0, seconds: 5 }] })).toBeUndefined();
});

test("a request with credentials: only what says so is for everybody (RFC 9111 3.5)", () => {
  const asked = (control: string) => lifetime([["Cache-Control", control]], {}, { isAuthorized: true });
  expect(asked("max-age=9")).toBeUndefined();
  for (const word of ["public", "s-maxage=9", "must-revalidate"]) expect(asked(`max-age=9, ${word}`)).toBe(9);
  expect(lifetime([["X-Accel-Expires", "9"]], {}, { isAuthorized: true })).toBe(9);
});

test("statuses: by their own rule, by any; some never", () => {
  const valid = [
    { status: 404, seconds: 1 },
    { status: 0, seconds: 2 },
  ];
  expect(lifetime([], { valid }, { status: 404 })).toBe(1);
  expect(lifetime([], { valid }, { status: 500 })).toBe(2);
  for (const status of [101, 304]) expect(lifetime([], { valid }, { status })).toBeUndefined();
  expect(lifetime([["Cache-Control", "max-age=5, must-understand"]], {}, { status: 599 })).toBeUndefined();
});

test("how long it may be used stale", () => {
  const of = (control: string) =>
    freshness({ status: 200, headers: Headers.of(["Cache-Control", control]), isAuthorized: false, now }, noRules);
  expect(of("max-age=10, stale-while-revalidate=20")).toMatchObject({
    updatingUntil: now + 30,
    errorUntil: now + 30,
  });
  expect(of("max-age=10, stale-while-revalidate=20, stale-if-error=5")).toMatchObject({
    updatingUntil: now + 30,
    errorUntil: now + 15,
  });
  expect(of("max-age=10, stale-if-error=20, must-revalidate")).toMatchObject({
    errorUntil: now + 10,
    mustRevalidate: true,
  });
});

test("Vary: names in lower case; * is nothing to keep", () => {
  const vary = (...lines: string[]) => {
    const fields = lines.map((line): [string, string] => ["Vary", line]);
    const headers = Headers.of(["Cache-Control", "max-age=1"], ...fields);
    return freshness({ status: 200, headers, isAuthorized: false, now }, noRules)?.vary;
  };
  expect(vary()).toBe("");
  expect(vary(",, Accept-Encoding , ,", "Foo")).toBe("accept-encoding,foo");
  for (const lines of [["*"], ["a, *"], ["a", "*"]]) expect(vary(...lines)).toBeUndefined();
});
