import { expect, test } from "bun:test";
import { data, makeFrame, opening } from "../../../tests/support/h2.ts";
import { defaultFrameSize, flag, frame } from "./frames.ts";
import { FrameReader, type Span } from "./reader.ts";

/** What a handler is told of the frames in these pieces: kind, flags, and the payload's text. */
function heard(pieces: readonly Uint8Array[]): string[] {
  const all: string[] = [];
  const tell = (kind: number, flags: number, { bytes, from, to }: Span) => {
    if (kind === frame.data) all.push(`${flags} ${bytes.latin1Slice(from, to)}`);
    return undefined;
  };
  const handler = {
    onFrame: (kind: number, flags: number, _: number, payload: Span) => tell(kind, flags, payload),
    onHeaders: () => undefined,
    onHeadersBegin: () => undefined,
  };
  const reader = new FrameReader(handler, "client", 1000);
  for (const piece of pieces) if (!reader.read(piece)) all.push(reader.error?.detail ?? "");
  return all;
}

test("what has come of a DATA frame is passed on, its end with its last byte", () => {
  const bytes = Buffer.concat([opening, data(1, "hello"), data(1, "")]);
  const at = opening.length + 9;
  expect(heard([bytes])).toEqual(["1 hello", "1 "]);
  expect(heard([bytes.subarray(0, at + 2), bytes.subarray(at + 2)])).toEqual(["0 he", "1 llo", "1 "]);
  expect(heard([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(["1 hello", "1 "]);
  expect(heard([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(["0 h", "0 e", "0 l", "0 l", "1 o", "1 "]);
});

test("a frame with padding is passed on as a whole (6.1)", () => {
  const padded = makeFrame(frame.data, flag.padded | flag.endStream, 1, Buffer.from("\x02hi\0\0", "latin1"));
  const bytes = Buffer.concat([opening, padded]);
  expect(heard([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(["9 \x02hi\0\0"]);
});

test("a frame is as large as it may be where nobody has said otherwise (4.2)", () => {
  const large = "x".repeat(defaultFrameSize);
  expect(heard([opening, data(1, large)])).toEqual([`1 ${large}`]);
  expect(heard([opening, data(1, `${large}x`)])).toEqual([`client sent too large frame: ${defaultFrameSize + 1}`]);
});
