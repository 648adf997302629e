import { expect, test } from "bun:test";
import { gmt, strftime } from "./strftime.ts";
import { localZone, zoneNames } from "./time_zone.ts";

const at = Date.UTC(2026, 0, 4, 15, 4, 5);
const berlin = { offsetMinutes: 60, name: "CET" };

const cases: readonly [format: string, expected: string][] = [
  ["%A, %d-%b-%Y %H:%M:%S %Z", "Sunday, 04-Jan-2026 15:04:05 GMT"],
  ["%a %B %e %y %j", "Sun January  4 26 004"],
  ["%I:%M %p|%l %P|%k", "03:04 PM| 3 pm|15"],
  ["%D %F %T %R %r", "01/04/26 2026-01-04 15:04:05 15:04 03:04:05 PM"],
  ["%c", "Sun Jan  4 15:04:05 2026"],
  ["%U %W %V %G %g %u %w", "01 00 01 2026 26 7 0"],
  ["%s %C%%%n%t", "1767539045 20%\n\t"],
  ["%Ey %Om %q", "26 01 %q"],
  ["no conversion", "no conversion"],
];

for (const [format, expected] of cases)
  test(`strftime ${JSON.stringify(format)}`, () => expect(strftime(format, at, gmt)).toBe(expected));

test("a zone moves the hour, and the day with it", () => {
  expect(strftime("%H %z %Z", at, berlin)).toBe("16 +0100 CET");
  expect(strftime("%F %R", Date.UTC(2025, 11, 31, 23, 30), berlin)).toBe("2026-01-01 00:30");
});

test("ISO weeks of the turn of a year", () => {
  expect(strftime("%G-%V", Date.UTC(2027, 0, 1), gmt)).toBe("2026-53");
  expect(strftime("%G-%V", Date.UTC(2024, 11, 30), gmt)).toBe("2025-01");
});

test("the names in a zone's rule", () => {
  expect(zoneNames("CET-1CEST,M3.5.0,M10.5.0/3")).toEqual(["CET", "CEST"]);
  expect(zoneNames("<+0330>-3:30")).toEqual(["+0330", "+0330"]);
  expect(zoneNames("")).toEqual(["UTC", "UTC"]);
});

test("this machine's zone has its offset", () => {
  expect(localZone(at).offsetMinutes).toBe(-new Date(at).getTimezoneOffset());
});
