import { describe, expect, test } from "bun:test";
import { closeSync, fstatSync, openSync, renameSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { directoryOf } from "../../tests/support/exchange.ts";
import { isUnchanged, liesWithin, openPath, readWhole, realPath, SharedFile, statPath } from "./files.ts";

test("what is absent says so, without throwing", () => {
  using dir = directoryOf({ file: "" });
  for (const name of ["none", "file/x", "n".repeat(300)]) {
    expect(statPath(`${dir.path}/${name}`)).toBe("missing");
    expect(openPath(`${dir.path}/${name}`)).toBe("missing");
    expect(realPath(`${dir.path}/${name}`)).toBeUndefined();
  }
});

test("opening a FIFO does not wait for a writer", () => {
  using dir = directoryOf({});
  expect(Bun.spawnSync(["mkfifo", `${dir.path}/fifo`]).exitCode).toBe(0);
  // In a process of its own: what waits here would wait for ever.
  const script = `require("node:fs").closeSync(require(${JSON.stringify(`${import.meta.dir}/files.ts`)}).openPath("fifo"))`;
  const { exitCode } = Bun.spawnSync([process.execPath, "-e", script], { cwd: dir.path, timeout: 5000 });
  expect(exitCode).toBe(0);
});

describe("isUnchanged", () => {
  const before = new Date("2024-05-01T10:20:30Z");

  test.each([
    ["longer", (path: string) => writeFileSync(path, "longer")],
    ["newer", (path: string) => utimesSync(path, before, new Date())],
    // Same length, and its date set back: the change time tells.
    [
      "rewritten in secret",
      (path: string) => {
        writeFileSync(path, "two");
        utimesSync(path, before, before);
      },
    ],
  ])("sees a file that is %s", (_, change) => {
    using dir = directoryOf({ x: "one" });
    const path = `${dir.path}/x`;
    utimesSync(path, before, before);
    const stats = statSync(path);
    expect(isUnchanged(stats, statSync(path))).toBe(true);
    // The system's time stamps are some milliseconds coarse.
    while (statSync(path).ctimeMs === stats.ctimeMs) change(path);
    expect(isUnchanged(stats, statSync(path))).toBe(false);
  });

  test("sees another file, though all times and the size agree", () => {
    using dir = directoryOf({ x: "one", y: "two" });
    const stats = statSync(`${dir.path}/x`);
    const other = Object.assign(statSync(`${dir.path}/y`), { mtimeMs: stats.mtimeMs, ctimeMs: stats.ctimeMs });
    expect(isUnchanged(stats, other)).toBe(false);
  });
});

test("readWhole gives all of the file that was found, or nothing", () => {
  using dir = directoryOf({ x: "content" });
  const path = `${dir.path}/x`;
  const fd = openSync(path, "r");
  const stats = fstatSync(fd);
  expect(Buffer.from(readWhole(fd, stats) ?? []).toString()).toBe("content");
  writeFileSync(path, "content, and more");
  expect(readWhole(fd, stats)).toBeUndefined();
  truncateSync(path, 3);
  expect(readWhole(fd, stats)).toBeUndefined();
  closeSync(fd);
});

test("liesWithin asks where the open file is, not where it was named", () => {
  using dir = directoryOf({ "in/x": "", "in-between/x": "", "out/x": "" });
  const fd = openSync(`${dir.path}/in/x`, "r");
  expect(liesWithin(fd, `${dir.path}/in`)).toBe(true);
  expect(liesWithin(fd, `${dir.path}/i`)).toBe(false);
  expect(liesWithin(fd, `${dir.path}/out`)).toBe(false);
  expect(liesWithin(fd, "/")).toBe(true);
  renameSync(`${dir.path}/in/x`, `${dir.path}/out/y`);
  expect(liesWithin(fd, `${dir.path}/in`)).toBe(false);
  closeSync(fd);
});

test("a shared file is closed with its last reader", () => {
  using dir = directoryOf({ x: "" });
  const file = new SharedFile(openSync(`${dir.path}/x`, "r"));
  file.acquire().release();
  expect(fstatSync(file.fd).size).toBe(0);
  file.release();
  expect(() => fstatSync(file.fd)).toThrow("EBADF");
});
