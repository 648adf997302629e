import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refuseLiving, removePidFile, writePidFile } from "./pidfile.ts";

test("it names this process until it is removed, and is nobody else's to remove", () => {
  const directory = mkdtempSync(join(tmpdir(), "alicorn-test-"));
  const path = join(directory, "pid");
  writePidFile(path);
  expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
  refuseLiving(path);
  removePidFile(path, process.pid + 1);
  expect(existsSync(path)).toBe(true);
  removePidFile(path, process.pid);
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, "1\n");
  expect(() => refuseLiving(path)).toThrow(`already running: ${path} names the living process 1`);
  writeFileSync(path, "4194305\n");
  refuseLiving(path);
  expect(() => writePidFile(join(directory, "no/pid"))).toThrow(
    `open() "${directory}/no/pid" failed (2: No such file or directory)`,
  );
  rmSync(directory, { recursive: true });
});
