import { expect, test } from "bun:test";
import { parseArguments, UsageError } from "./options.ts";

const given = (...args: string[]) => parseArguments(args).given;
const complaint = (...args: string[]): string => {
  try {
    parseArguments(args);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
  }
  return "none";
};

test("the ways to write an option", () => {
  for (const args of [["--workers", "4"], ["--workers=4"], ["-w", "4"], ["-w4"], ["--worker", "4"], ["-w", "0x4"]]) {
    expect(given(...args).workers).toBe(4);
  }
  expect(given("-b", "a", "--bind=b").bind).toEqual(["a", "b"]);
  expect(given("--access-logfile", "-").accessLog).toBe("-");
  expect(given("--reload").reload).toBe(true);
  expect(given().keepAlive).toBe(75);
});

test("what is no option is the application; -- ends the options", () => {
  expect(parseArguments(["app:app", "-w", "1"]).positional).toEqual(["app:app"]);
  expect(parseArguments(["--", "--odd"]).positional).toEqual(["--odd"]);
});

test("what cannot be understood is said in words", () => {
  expect(complaint("--wrokers", "4")).toBe("there is no option --wrokers; did you mean --workers?");
  expect(complaint("--workers")).toBe("--workers needs a value: --workers N");
  expect(complaint("--workers", "many")).toBe("--workers many: must be a whole number from 1 on");
  expect(complaint("--workers", "0")).toContain("from 1 on");
  expect(complaint("--reload=yes")).toBe("--reload takes no value");
  expect(complaint("--p")).toContain("may mean");
  expect(complaint("--log-level", "loud")).toContain("must be one of debug");
  expect(complaint("--xyzzy")).toBe("there is no option --xyzzy");
});
