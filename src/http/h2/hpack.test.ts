import { describe, expect, test } from "bun:test";
import { HpackDecoder } from "./hpack_decoder.ts";
import { huffmanDecode, huffmanEncode, huffmanLength } from "./huffman.ts";

function decoded(decoder: HpackDecoder, hex: string): string[] | undefined {
  const block = Buffer.from(hex.replaceAll(" ", ""), "hex");
  if (!decoder.decode(block, 0, block.length)) return undefined;
  return decoder.fields.map(({ name, value }) => `${name.text}: ${value}`);
}

describe("requests, one after the other on a connection (RFC 7541 C.3, C.4)", () => {
  const first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
  const second = [...first, "cache-control: no-cache"];
  const third = [
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
  ];

  test("as plain text", () => {
    const decoder = new HpackDecoder();
    expect(decoded(decoder, "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d")).toEqual(first);
    expect(decoded(decoder, "8286 84be 5808 6e6f 2d63 6163 6865")).toEqual(second);
    expect(decoded(decoder, "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65")).toEqual(third);
  });

  test("in Huffman's code", () => {
    const decoder = new HpackDecoder();
    expect(decoded(decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")).toEqual(first);
    expect(decoded(decoder, "8286 84be 5886 a8eb 1064 9cbf")).toEqual(second);
    expect(decoded(decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf")).toEqual(third);
  });
});

test.each([
  ["index 0 (6.1)", "80"],
  ["an index that is in no table (2.3.3)", "ff00"],
  ["a table larger than we allow (6.3)", "3fe2 1f"],
  ["a change of the table's size behind a field (4.2)", "82 20"],
  ["an integer without an end (5.1)", "ffff ffff ffff ffff ffff"],
  ["a string longer than the block (5.2)", "400a 6375"],
  ["padding of Huffman's code that is not all ones (5.2)", "4001 6181 00"],
])("%s ends the connection", (_, hex) => {
  expect(decoded(new HpackDecoder(), hex)).toBeUndefined();
});

test("every character survives Huffman's code", () => {
  const text = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("");
  const bytes = Buffer.alloc(huffmanLength(text));
  huffmanEncode(text, bytes, 0);
  const back = Buffer.alloc(2 * bytes.length);
  const length = huffmanDecode(bytes, [0, bytes.length], back, false);
  expect(back.latin1Slice(0, Number(length))).toBe(text);
});
