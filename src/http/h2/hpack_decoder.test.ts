import { expect, test } from "bun:test";
import { block, integer } from "../../../tests/support/h2.ts";
import { HpackDecoder } from "./hpack_decoder.ts";

function decode(decoder: HpackDecoder, hex: string): string | undefined {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  if (!decoder.decode(bytes, 0, bytes.length)) return undefined;
  return decoder.fields.map(({ name, value }) => `${name.text}: ${value}`).join("; ");
}

/** What is wrong with a block, as a number of RFC 9113 7. */
function fault(hex: string, decoder = new HpackDecoder()): number | undefined {
  return decode(decoder, hex) === undefined ? decoder.error?.code : undefined;
}

test("RFC 7541 C.4: three requests, each shorter than the one before", () => {
  const decoder = new HpackDecoder();
  const base = ":method: GET; :scheme: http; :path: /; :authority: www.example.com";
  expect(decode(decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")).toBe(base);
  expect(decode(decoder, "8286 84be 5886 a8eb 1064 9cbf")).toBe(`${base}; cache-control: no-cache`);
  expect(decode(decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf")).toBe(
    ":method: GET; :scheme: https; :path: /index.html; :authority: www.example.com; custom-key: custom-value",
  );
});

test("indexes that are in no table, and numbers too large, are compression errors", () => {
  expect(fault("80")).toBe(9);
  expect(fault("be")).toBe(9);
  expect(fault("ff80808080808001")).toBe(9);
  expect(fault("7f80808008")).toBe(9);
});

test("a block that ends within a field is a frame too small for what is in it", () => {
  for (const hex of ["ff", "41", "418c", "4003", "400161", "40016102"]) expect(fault(hex)).toBe(6);
});

test("the table is resized at the beginning of a block only, and not above the limit", () => {
  const decoder = new HpackDecoder();
  expect(decode(decoder, "4001610162")).toBe("a: b");
  expect(decode(decoder, "20 be")).toBeUndefined();
  expect(fault("3fe11f 82")).toBeUndefined();
  expect(fault("3fe21f 82")).toBe(9);
  expect(fault("82 20")).toBe(9);
});

test("an entry larger than the table empties it; older ones make room for newer ones", () => {
  const decoder = new HpackDecoder();
  const put = (name: string, size: number) => {
    const bytes = block([[name, "x".repeat(size)]], true);
    expect(decoder.decode(bytes, 0, bytes.length)).toBe(true);
  };
  put("a", 2000);
  put("b", 1000);
  expect(decode(decoder, "bf")?.slice(0, 2)).toBe("a:");
  put("c", 2000);
  expect(decode(decoder, "be")?.slice(0, 2)).toBe("c:");
  expect(decode(decoder, "bf")?.slice(0, 2)).toBe("b:");
  expect(decode(decoder, "c0")).toBeUndefined();
  put("d", 5000);
  expect(decode(decoder, "be")).toBeUndefined();
});

test("the same block means the same while `changes` stays", () => {
  const decoder = new HpackDecoder();
  decode(decoder, "82868400016101 62");
  expect(decoder.changes).toBe(0);
  decode(decoder, "4001610162");
  expect(decoder.changes).toBe(1);
  decode(decoder, "be 1001610162");
  expect(decoder.changes).toBe(1);
});

test("what is measured: characters of all fields, and the longest", () => {
  const decoder = new HpackDecoder();
  const bytes = Buffer.concat([integer(0x80, 7, 2), block([["name", "x".repeat(300)]])]);
  decoder.decode(bytes, 0, bytes.length);
  expect(decoder.length).toBe(":methodGET".length + 304);
  expect(decoder.longest).toBe(300);
});
