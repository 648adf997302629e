import { afterAll, afterEach, expect, setSystemTime, test } from "bun:test";
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bareLocation, exchangeFor } from "../../tests/support/exchange.ts";
import type { Reply } from "../http/message.ts";
import { type FileAccess, FileFailure, plainAccess } from "./file_access.ts";
import { FileCache, settledMs } from "./file_cache.ts";
import { ServedFiles, type Unserved } from "./served_files.ts";

const root = mkdtempSync(join(tmpdir(), "alicorn-served-"));
afterAll(() => rmSync(root, { recursive: true }));

// Content is kept only of files whose time stamps prove something; nobody can set the time of a change back, but the clock forward.
afterEach(() => {
  setSystemTime();
});

function directory() {
  let opens = 0;
  const fileAccess: FileAccess = {
    ...plainAccess,
    open: (exchange, path) => {
      opens++;
      return plainAccess.open(exchange, path);
    },
  };
  const files = new ServedFiles({ etag: true, cache: new FileCache() });
  const location = { ...bareLocation, fileAccess };
  const ask = (uri: string, at: number): Reply | Unserved => {
    const exchange = exchangeFor(uri, { at });
    exchange.location = location;
    return files.recent(exchange) ?? files.serve(exchange, root + uri);
  };
  return { ask, opens: () => opens };
}

function text(reply: Reply | Unserved): string {
  if (typeof reply === "string") return reply;
  if (reply instanceof FileFailure) return reply.code;
  return reply.body.kind === "bytes" ? Buffer.from(reply.body.bytes).toString("latin1") : reply.body.kind;
}

test("a file that has not changed lately is read once, looked at each second, and read again when it has changed", () => {
  const { ask, opens } = directory();
  writeFileSync(`${root}/old`, "first");
  setSystemTime(Date.now() + settledMs + 100);
  expect([0, 999, 1000, 1001].map((at) => text(ask("/old", at)))).toEqual(["first", "first", "first", "first"]);
  expect(opens()).toBe(1);
  writeFileSync(`${root}/old`, "other");
  expect(text(ask("/old", 1999))).toBe("first");
  expect(text(ask("/old", 2000))).toBe("other");
  unlinkSync(`${root}/old`);
  expect(text(ask("/old", 3000))).toBe("ENOENT");
});

test("one that has just changed is read each time", () => {
  const { ask, opens } = directory();
  writeFileSync(`${root}/new`, "a");
  expect(text(ask("/new", 0))).toBe("a");
  writeFileSync(`${root}/new`, "b");
  expect(text(ask("/new", 1))).toBe("b");
  expect(opens()).toBe(2);
});

test("what is no file is told", () => {
  const { ask } = directory();
  expect(text(ask("/", 0))).toBe("directory");
  expect(text(ask("/none", 0))).toBe("ENOENT");
});
