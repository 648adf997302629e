import { expect, test } from "bun:test";
import type { Sink, Source } from "../http/message.ts";
import { sliced } from "./sliced.ts";

/** Gives these pieces, one for each pull. */
function sourceOf(...pieces: string[]): Source & { readonly cancelled: string[] } {
  const cancelled: string[] = [];
  return {
    cancelled,
    pull(to) {
      const piece = pieces.shift();
      if (piece === undefined) to.fail("nothing left");
      else to.push(Buffer.from(piece), pieces.length === 0);
    },
    cancel: (reason) => void cancelled.push(reason),
  };
}

function collect(source: Source, pulls: number): string[] {
  const got: string[] = [];
  const sink: Sink = {
    push: (bytes, last) => void got.push(`${Buffer.from(bytes)}${last ? "|" : ""}`),
    fail: (reason) => void got.push(reason),
  };
  for (let i = 0; i < pulls; i++) source.pull(sink);
  return got;
}

test("pieces have the size at most, and one pull gets one", () => {
  expect(collect(sliced(sourceOf("abcdefg", "hi", "", "jkl"), 3), 6)).toEqual(["abc", "def", "g", "hi", "", "jkl|"]);
  expect(collect(sliced(sourceOf(""), 3), 1)).toEqual(["|"]);
  expect(collect(sliced(sourceOf("abcd"), 3), 2)).toEqual(["abc", "d|"]);
});

test("failing and cancelling go through", () => {
  const source = sourceOf();
  expect(collect(sliced(source, 3), 1)).toEqual(["nothing left"]);
  sliced(source, 3).cancel("gone");
  expect(source.cancelled).toEqual(["gone"]);
});
