import { expect, test } from "bun:test";
import { Kept } from "./kept.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

test("bytes come out in the order in which they went in, however they are taken", () => {
  const kept = new Kept();
  let put = "";
  let got = "";
  for (let i = 0; i < 2000; i++) {
    const piece = `${i},`.repeat(1 + (i % 40));
    put += piece;
    kept.append(bytes(`<${piece}>`), 1, 1 + piece.length);
    const count = Math.min(kept.size, (i * 7) % 90);
    got += kept.buffer.toString("latin1", kept.start, kept.start + count);
    kept.dropTo(kept.start + count);
  }
  expect(got + kept.buffer.toString("latin1", kept.start, kept.end)).toBe(put);
});

test("what was seen stays until the next append", () => {
  const kept = new Kept();
  kept.append(bytes("abc"), 0, 3);
  const view = kept.buffer.subarray(kept.start, kept.end);
  kept.dropTo(3);
  expect(kept.size).toBe(0);
  expect(view.toString()).toBe("abc");
  // Empty, it holds nothing.
  expect(kept.buffer.length).toBe(0);
});
