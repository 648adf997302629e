import { expect, test } from "bun:test";
import { Headers } from "../http/headers.ts";
import type { Body } from "../http/message.ts";
import { gather } from "./body_change.ts";
import { firstSlice, parseContentRange, type Slice, SlicesSource } from "./slices.ts";

const content = "0123456789";

/** Slices of four bytes, in pieces of one. */
function sliceAt(start: number, asked: number[] = [], short = 0): Slice {
  asked.push(start);
  const end = Math.min(start + 4, content.length);
  let at = start;
  const body: Body = {
    kind: "stream",
    source: {
      pull(to) {
        at++;
        to.push(Buffer.from(content.slice(at - 1, at)), at === end - short);
      },
      cancel() {},
    },
  };
  return { start, end, body };
}

async function between(first: number, last: number, ready: number): Promise<{ text: string; asked: number[] }> {
  const asked: number[] = [];
  const source = new SlicesSource(
    (start) => Promise.resolve(sliceAt(start, asked)),
    4,
    { first, last },
    sliceAt(ready),
  );
  const bytes = await gather({ kind: "stream", source });
  return { text: Buffer.from(bytes).toString(), asked };
}

test("the whole: the first slice is there, the others are fetched in order", async () => {
  expect(await between(0, 9, 0)).toEqual({ text: content, asked: [4, 8] });
});

test("a part: only the slices that it lies in", async () => {
  expect(await between(5, 6, 4)).toEqual({ text: "56", asked: [] });
  expect(await between(3, 4, 0)).toEqual({ text: "34", asked: [4] });
});

test("what was fetched first may not be needed", async () => {
  expect(await between(9, 9, 0)).toEqual({ text: "9", asked: [8] });
  expect(await between(0, 0, 4)).toEqual({ text: "0", asked: [0] });
});

test("a slice that ends early breaks the whole off", async () => {
  const fetch = (start: number) => Promise.resolve(sliceAt(start, [], 1));
  const source = new SlicesSource(fetch, 4, { first: 0, last: 9 }, sliceAt(0));
  await expect(gather({ kind: "stream", source })).rejects.toThrow("a slice is shorter than it should be");
});

test("so does one that cannot be had", async () => {
  const source = new SlicesSource(() => Promise.reject(new Error("no")), 4, { first: 0, last: 9 }, sliceAt(0));
  await expect(gather({ kind: "stream", source })).rejects.toThrow("no");
});

test("Content-Range", () => {
  expect(parseContentRange("bytes 2-3/10")).toEqual({ start: 2, end: 4, complete: 10 });
  expect(parseContentRange("bytes 2-3/*")).toBe("incomplete");
  for (const bad of [undefined, "", "bytes", "bytes 2-/10", "bytes */10", "lines 2-3/10"])
    expect(parseContentRange(bad)).toBe("invalid");
});

test("the slice that a request needs first", () => {
  const first = (range: string, ...more: [string, string][]) => firstSlice(Headers.of(["Range", range], ...more), 4);
  expect(first("bytes=5-6")).toBe(4);
  expect(first("bytes=8-")).toBe(8);
  expect(first("bytes=-2")).toBe(0);
  expect(first("bytes=5-6,8-9")).toBe(0);
  expect(first("bytes=5-6", ["If-Range", '"x"'])).toBe(0);
  expect(firstSlice(new Headers(), 4)).toBe(0);
});
