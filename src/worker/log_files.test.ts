import { expect, test } from "bun:test";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { directoryOf } from "../../tests/support/exchange.ts";
import { until } from "../../tests/support/server.ts";
import { LogFiles } from "./log_files.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));
const buffering = { bytes: 10, flushMs: 0, gzipLevel: 0 };

test("lines of a turn leave together at its end", async () => {
  using directory = directoryOf({});
  const path = join(directory.path, "a.log");
  const log = new LogFiles().openGathered(path, undefined);
  log.write("one\n");
  log.write("\xe9\n");
  expect(readFileSync(path, "latin1")).toBe("");
  await turn();
  expect(readFileSync(path, "latin1")).toBe("one\n\xe9\n");
  log.write("x".repeat(64 * 1024));
  expect(readFileSync(path, "latin1")).toEndWith("xxx");
});

test("a buffer is written when the next line does not fit", () => {
  using directory = directoryOf({});
  const path = join(directory.path, "a.log");
  const log = new LogFiles().openGathered(path, buffering);
  const written = () => readFileSync(path, "latin1");
  log.write("12345\n");
  expect(written()).toBe("");
  log.write("67890\n");
  expect(written()).toBe("12345\n");
  log.write("longer than it\n");
  expect(written()).toBe("12345\n67890\nlonger than it\n");
});

test("… or after a time", async () => {
  using directory = directoryOf({});
  const path = join(directory.path, "a.log");
  new LogFiles().openGathered(path, { ...buffering, flushMs: 20 }).write("one\n");
  await until(() => readFileSync(path, "latin1") === "one\n", "the line");
});

test("compressed pieces make one file", () => {
  using directory = directoryOf({});
  const path = join(directory.path, "a.gz");
  const files = new LogFiles();
  const log = files.openGathered(path, { ...buffering, gzipLevel: 1 });
  log.write("12345\n");
  log.write("67890\n");
  files.flush();
  expect(gunzipSync(readFileSync(path)).toString()).toBe("12345\n67890\n");
});

test("before a file is opened anew, what was gathered for it is in the old one", () => {
  using directory = directoryOf({});
  const path = join(directory.path, "a.log");
  const files = new LogFiles();
  const log = files.openGathered(path, buffering);
  log.write("old\n");
  renameSync(path, `${path}.1`);
  expect(files.reopen()).toEqual([]);
  log.write("new\n");
  files.flush();
  expect([readFileSync(`${path}.1`, "latin1"), readFileSync(path, "latin1")]).toEqual(["old\n", "new\n"]);
});

test("a file that cannot be opened anew stays, and that is told", () => {
  using directory = directoryOf({ "logs/a.log": "" });
  const path = join(directory.path, "logs/a.log");
  const files = new LogFiles();
  const log = files.open(path);
  renameSync(join(directory.path, "logs"), join(directory.path, "moved"));
  expect(files.reopen()).toEqual([`open() "${path}" failed (2: No such file or directory)`]);
  log.write("still\n");
  expect(readFileSync(join(directory.path, "moved/a.log"), "latin1")).toBe("still\n");
});
