import { expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { directoryOf } from "../../tests/support/exchange.ts";
import { LogPaths, missingDirectory, noLogCache } from "./log_paths.ts";

const limits = { max: 2, inactiveMs: 1000, validMs: 100, minUses: 1 };

test("without a cache every line finds its file anew", () => {
  using directory = directoryOf({});
  const paths = new LogPaths(noLogCache);
  const path = join(directory.path, "a.log");
  expect(paths.write(path, "one\n")).toBeUndefined();
  rmSync(path);
  paths.write(path, "two\n");
  expect(readFileSync(path, "latin1")).toBe("two\n");
  expect(paths.open).toBe(0);
});

test("an open file is written to until it is looked at again", () => {
  using directory = directoryOf({});
  let now = 0;
  const paths = new LogPaths(limits, () => now);
  const path = join(directory.path, "a.log");
  paths.write(path, "one\n");
  renameSync(path, `${path}.1`);
  paths.write(path, "two\n");
  expect(readFileSync(`${path}.1`, "latin1")).toBe("one\ntwo\n");
  now = 100;
  paths.write(path, "three\n");
  expect(readFileSync(path, "latin1")).toBe("three\n");
  expect(paths.open).toBe(1);
});

test("the longest unused is closed for a new one, and what is not used is closed at last", () => {
  using directory = directoryOf({});
  let now = 0;
  const paths = new LogPaths(limits, () => now);
  const write = (name: string) => paths.write(join(directory.path, name), "x\n");
  for (const name of ["a", "b", "a", "c"]) write(name);
  expect(paths.open).toBe(2);
  rmSync(join(directory.path, "a"));
  write("a");
  expect(existsSync(join(directory.path, "a"))).toBe(false);
  now = 1000;
  write("d");
  expect(paths.open).toBe(1);
});

test("only what is used often enough is kept open", () => {
  using directory = directoryOf({});
  const paths = new LogPaths({ ...limits, minUses: 2 }, () => 0);
  const path = join(directory.path, "a.log");
  paths.write(path, "one\n");
  expect(paths.open).toBe(0);
  paths.write(path, "two\n");
  expect(paths.open).toBe(1);
  expect(readFileSync(path, "latin1")).toBe("one\ntwo\n");
});

test("what cannot be opened is told, and pushes nothing out", () => {
  using directory = directoryOf({});
  const paths = new LogPaths({ ...limits, max: 1 }, () => 0);
  paths.write(join(directory.path, "a.log"), "x\n");
  const path = join(directory.path, "none/a.log");
  expect(paths.write(path, "x\n")).toBe(`open() "${path}" failed (2: No such file or directory)`);
  expect(paths.write("/a\0", "x\n")).toStartWith("open()");
  expect(paths.open).toBe(1);
});

test("a directory that is there, and what is none", () => {
  using directory = directoryOf({ file: "" });
  expect(missingDirectory(directory.path)).toBeUndefined();
  expect(missingDirectory(join(directory.path, "none"))).toBe("2: No such file or directory");
  expect(missingDirectory(join(directory.path, "file"))).toBe("20: Not a directory");
});
