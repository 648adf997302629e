import { expect, test } from "bun:test";
import { byteMap, type Recoder, utf8Map } from "./charset_map.ts";

const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");

/** In pieces of that many bytes. */
function recoded(recoder: Recoder, text: string, piece: number): string {
  const bytes = bytesOf(text);
  const out: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += piece)
    out.push(recoder.recode(bytes.subarray(at, at + piece), at + piece >= bytes.length));
  return Buffer.concat(out).toString("latin1");
}

const pieces = [1, 2, 3, 100];

test("bytes to bytes, and back; what is not mapped is a question mark", () => {
  const map = byteMap("a", "b", [
    [0xc1, 0xe1],
    [0x58, 0x59],
  ]);
  for (const piece of pieces) {
    expect(recoded(map.forth(), "aX\xc1\xc2", piece)).toBe("aY\xe1?");
    expect(recoded(map.back(), "Y\xe1\xe2", piece)).toBe("X\xc1?");
  }
});

const russian = utf8Map("koi8-r", [
  [0xc1, bytesOf("\xd0\xb0")],
  [0x95, bytesOf("\xe2\x88\x99")],
]);

test("bytes to UTF-8", () => {
  for (const piece of pieces) expect(recoded(russian.forth(), "x\xc1\x95\xff", piece)).toBe("x\xd0\xb0\xe2\x88\x99?");
});

test("UTF-8 to bytes: characters in pieces, unknown ones as references, bad ones as question marks", () => {
  for (const piece of pieces) {
    expect(recoded(russian.back(), "x\xd0\xb0\xe2\x88\x99y", piece)).toBe("x\xc1\x95y");
    expect(recoded(russian.back(), "\xc3\xa9 \xf0\x9f\x98\x80", piece)).toBe("&#233; &#128512;");
    expect(recoded(russian.back(), "\xffa\xc0\xafb\xd0", piece)).toBe("?a??b?");
  }
});

test("a bad character takes nothing with it", () => {
  for (const piece of pieces) expect(recoded(russian.back(), "\xd0<b>", piece)).toBe("?<b>");
});

test("many references need more room than their characters", () => {
  expect(recoded(russian.back(), "\xc3\xa9".repeat(500), 1000)).toBe("&#233;".repeat(500));
});
