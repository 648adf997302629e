import { expect, test } from "bun:test";
import { huffmanDecode, huffmanEncode, huffmanLength } from "./huffman.ts";

function decode(hex: string, loosely = false): string | undefined {
  const bytes = Buffer.from(hex, "hex");
  const out = Buffer.alloc(bytes.length * 2);
  const length = huffmanDecode(bytes, [0, bytes.length], out, loosely);
  return length < 0 ? undefined : out.toString("latin1", 0, length);
}

test("the RFC's examples", () => {
  expect(decode("f1e3c2e5f23a6ba0ab90f4ff")).toBe("www.example.com");
  expect(decode("25a849e95bb8e8b4bf")).toBe("custom-value");
  expect(decode("")).toBe("");
});

test("every byte comes back as it was", () => {
  const text = Array.from({ length: 512 }, (_, i) => String.fromCharCode(i & 255)).join("");
  for (let from = 0; from < 8; from++) {
    const part = text.slice(from);
    const out = Buffer.alloc(4 * part.length);
    const end = huffmanEncode(part, out, 3);
    expect(end - 3).toBe(huffmanLength(part));
    expect(decode(out.toString("hex", 3, end))).toBe(part);
  }
});

test("padding is the beginning of EOS, and shorter than a byte", () => {
  // "0" is 00000, then 111; or 000; or a byte too many.
  expect(decode("07")).toBe("0");
  expect(decode("00")).toBeUndefined();
  expect(decode("07ff")).toBeUndefined();
  expect(decode("ffffffff")).toBeUndefined();
  // EOS itself.
  expect(decode("fffffffc")).toBeUndefined();
});

test("loosely, a whole byte of padding passes, and no more", () => {
  // "bf" is eight ones' beginning: "&" is 11111000.
  expect(decode("f8ff")).toBeUndefined();
  expect(decode("f8ff", true)).toBe("&");
  expect(decode("07ff", true)).toBeUndefined();
});
