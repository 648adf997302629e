import { describe, expect, test } from "bun:test";
import { closeSync, openSync, truncateSync } from "node:fs";
import { directoryOf, drain } from "../../tests/support/exchange.ts";
import type { Source } from "../http/message.ts";
import { readCached } from "../net/libc.ts";
import { fileSource, type ReadCached } from "./file_source.ts";

const content = Buffer.from(Array.from({ length: 1_000_003 }, (_, i) => (i * 7919) >> 8));
const never: ReadCached = () => -1;
/** Sometimes there, sometimes not, and never much at once. */
const moody: ReadCached = (fd, into, length, offset) =>
  offset % 3 === 0 ? -1 : readCached(fd, into, Math.min(length, 10_001), offset);

function opened(path: string) {
  const fd = openSync(path, "r");
  const file = {
    fd,
    released: 0,
    release() {
      file.released++;
      closeSync(fd);
    },
  };
  return file;
}

interface Answer {
  readonly bytes?: Uint8Array;
  readonly last?: boolean;
  readonly failed?: string;
}

const pullOnce = (source: Source): Promise<Answer> =>
  new Promise((resolve) =>
    source.pull({ push: (bytes, last) => resolve({ bytes, last }), fail: (failed) => resolve({ failed }) }),
  );

describe.each([
  ["in memory", readCached],
  ["on disk", never],
  ["half in memory", moody],
])("a file %s", (_, readNow) => {
  test.each([
    ["whole", 0, content.length],
    ["in part", 12_345, 600_000],
    ["its last byte", content.length - 1, 1],
    ["nothing of it", 5, 0],
  ])("%s", async (_, offset, length) => {
    using dir = directoryOf({ content });
    const file = opened(`${dir.path}/content`);
    const bytes = await drain(fileSource({ file, offset, length }, readNow));
    expect(bytes.equals(content.subarray(offset, offset + length))).toBe(true);
    expect(file.released).toBe(1);
  });

  test("that becomes shorter fails, and does not look complete", async () => {
    using dir = directoryOf({ content });
    const file = opened(`${dir.path}/content`);
    const source = fileSource({ file, offset: 0, length: content.length }, readNow);
    expect(await pullOnce(source)).toMatchObject({ last: false });
    truncateSync(`${dir.path}/content`, 70_000);
    await expect(drain(source)).rejects.toThrow("became shorter");
    expect(file.released).toBe(1);
  });

  test("is released when cancelled, once, and not before a read under way has ended", async () => {
    using dir = directoryOf({ content });
    const file = opened(`${dir.path}/content`);
    const source = fileSource({ file, offset: 0, length: content.length }, readNow);
    await pullOnce(source);
    let answers = 0;
    const count = () => {
      answers++;
    };
    source.pull({ push: count, fail: count });
    const before = answers;
    source.cancel("gone");
    source.cancel("gone");
    if (before === 0) expect(file.released).toBe(0);
    while (file.released === 0) await new Promise((resolve) => setImmediate(resolve));
    source.cancel("gone");
    source.pull({ push: count, fail: count });
    expect(file.released).toBe(1);
    expect(answers).toBe(before);
  });
});

test("a read error is a failure", async () => {
  const file = { fd: openSync("/", "r"), release: () => closeSync(file.fd) };
  expect(await pullOnce(fileSource({ file, offset: 0, length: 10 }))).toMatchObject({
    failed: expect.stringContaining("EISDIR"),
  });
});

test("pieces are small at first, and for who asks slowly", async () => {
  using dir = directoryOf({ content });
  const source = fileSource({ file: opened(`${dir.path}/content`), offset: 0, length: content.length });
  const sizes: (number | undefined)[] = [];
  const pull = async () => sizes.push((await pullOnce(source)).bytes?.length);
  await pull();
  await pull();
  await Bun.sleep(110); // What is measured is time.
  await pull();
  expect(sizes).toEqual([65_536, 262_144, 65_536]);
  source.cancel("enough");
});

test("readCached tells the end of a file", () => {
  using dir = directoryOf({ x: "abc" });
  const fd = openSync(`${dir.path}/x`, "r");
  const into = new Uint8Array(10);
  expect(readCached(fd, into, 10, 1)).toBe(2);
  expect(Buffer.from(into).toString("latin1", 0, 2)).toBe("bc");
  expect(readCached(fd, into, 10, 3)).toBe(0);
  closeSync(fd);
  expect(readCached(fd, into, 10, 0)).toBe(-1);
});
