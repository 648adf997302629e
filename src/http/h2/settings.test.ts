import { expect, test } from "bun:test";
import { settings } from "../../../tests/support/h2.ts";
import { PeerSettings, setting } from "./settings.ts";

/** The error's number; undefined: all were taken. */
function apply(peer: PeerSettings, ...entries: readonly (readonly [number, number])[]): number | undefined {
  const frame = settings(...entries);
  return peer.apply(frame, 9, frame.length)?.code;
}

test("each value replaces the one before; unknown ones are ignored (RFC 9113 6.5)", () => {
  const peer = new PeerSettings();
  expect(apply(peer, [4, 42], [4, 100], [1, 0], [5, 20000], [99, 1], [2, 1])).toBeUndefined();
  expect([peer.initialWindowSize, peer.headerTableSize, peer.maxFrameSize]).toEqual([100, 0, 20000]);
});

test("values that no setting has (RFC 9113 6.5.2)", () => {
  expect(apply(new PeerSettings(), [setting.enablePush, 2])).toBe(1);
  expect(apply(new PeerSettings(), [setting.initialWindowSize, 0x80000000])).toBe(3);
  expect(apply(new PeerSettings(), [setting.maxFrameSize, 16383])).toBe(1);
  expect(apply(new PeerSettings(), [setting.maxFrameSize, 16777216])).toBe(1);
});
