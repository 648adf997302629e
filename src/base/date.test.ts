import { describe, expect, setSystemTime, test } from "bun:test";
import { formatHttpDate, httpDateNow, parseHttpDate } from "./date.ts";

const example = 784_111_777; // RFC 9110 5.6.7

describe("formatHttpDate", () => {
  test("writes IMF-fixdate", () => {
    expect(formatHttpDate(example)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
    expect(formatHttpDate(0)).toBe("Thu, 01 Jan 1970 00:00:00 GMT");
    expect(formatHttpDate(example + 0.999)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  });

  test("keeps to four digits of year", () => {
    expect(formatHttpDate(1e15)).toBe("Fri, 31 Dec 9999 23:59:59 GMT");
    expect(formatHttpDate(-1e15)).toBe("Sat, 01 Jan 0000 00:00:00 GMT");
    expect(formatHttpDate(-1)).toBe("Wed, 31 Dec 1969 23:59:59 GMT");
  });
});

describe("parseHttpDate", () => {
  test.each(["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])(
    "reads %s",
    (text) => {
      expect(parseHttpDate(text)).toBe(example);
    },
  );

  test("is the inverse of formatHttpDate", () => {
    for (const seconds of [0, 1, 951_782_400, 4_107_542_399, 253_402_300_799, -62_167_219_200])
      expect(parseHttpDate(formatHttpDate(seconds))).toBe(seconds);
  });

  test("places a two-digit year at most 50 years ahead", () => {
    const in2026 = Date.UTC(2026, 0, 1) / 1000;
    const year = (text: string) =>
      new Date((parseHttpDate(`Sunday, 06-Nov-${text} 08:49:37 GMT`, in2026) ?? 0) * 1000).getUTCFullYear();
    expect(year("26")).toBe(2026);
    expect(year("76")).toBe(2076);
    expect(year("77")).toBe(1977);
    expect(year("99")).toBe(1999);
    expect(year("00")).toBe(2000);
  });

  test("takes a leap second for the one that follows", () => {
    expect(parseHttpDate("Sat, 31 Dec 2016 23:59:60 GMT")).toBe(parseHttpDate("Sun, 01 Jan 2017 00:00:00 GMT"));
  });

  test.each([
    "",
    "0",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT",
    "Wed, 31 Feb 1994 08:49:37 GMT",
    "Thu, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 06-Nov-94 08:49:37 GMT",
  ])("refuses %p", (text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });
});

test("httpDateNow follows the clock, one string per second", () => {
  try {
    setSystemTime(new Date(example * 1000));
    const first = httpDateNow();
    expect(first).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
    setSystemTime(new Date(example * 1000 + 999));
    expect(httpDateNow()).toBe(first);
    setSystemTime(new Date(example * 1000 + 1000));
    expect(httpDateNow()).toBe("Sun, 06 Nov 1994 08:49:38 GMT");
  } finally {
    setSystemTime();
  }
});
