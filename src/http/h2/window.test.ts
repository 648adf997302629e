import { expect, test } from "bun:test";
import { maxWindow, ReceiveWindow, SendWindow } from "./window.ts";

test("a window of the peer's may become negative, but not too large (RFC 9113 6.9.1, 6.9.2)", () => {
  const window = new SendWindow(10);
  expect(window.open(-20)).toBe(true);
  expect(window.left).toBe(-10);
  expect(window.open(maxWindow + 10)).toBe(true);
  expect(window.open(1)).toBe(false);
});

test("our window is opened again when half of it is used, as far as nothing is held", () => {
  const window = new ReceiveWindow(100);
  expect(window.take(49)).toBe(true);
  expect(window.due(0)).toBe(0);
  window.take(1);
  expect(window.due(20)).toBe(0);
  expect(window.due(0)).toBe(50);
  expect(window.left).toBe(100);
  window.grow(300);
  expect(window.due(0)).toBe(200);
  expect(window.take(301)).toBe(false);
});
