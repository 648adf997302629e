import { expect, test } from "bun:test";
import { fieldName } from "../headers.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import { HpackEncoder, outName } from "./hpack_encoder.ts";

type Fields = readonly (readonly [name: string, value: string])[];

function encode(encoder: HpackEncoder, fields: Fields, status = 200): Buffer {
  const out = Buffer.alloc(64 * 1024);
  encoder.begin(out, 0);
  encoder.status(status);
  for (const [name, value] of fields) encoder.field(outName(fieldName(name)), value);
  return out.subarray(0, encoder.end());
}

/** Both ends of a connection. */
function pair() {
  const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()];
  return {
    encoder,
    send(fields: Fields, status = 200) {
      const bytes = encode(encoder, fields, status);
      expect(decoder.decode(bytes, 0, bytes.length)).toBe(true);
      return { size: bytes.length, text: decoder.fields.map(({ name, value }) => `${name.text}: ${value}`).join("; ") };
    },
  };
}

test("names become lower case, fields of HTTP/1's connections are left out", () => {
  const { send } = pair();
  expect(
    send([
      ["Content-Type", "text/plain"],
      ["Connection", "close"],
      ["Keep-Alive", "timeout=1"],
      ["X-A", "é"],
    ]).text,
  ).toBe(":status: 200; content-type: text/plain; x-a: é");
  expect(send([], 418).text).toBe(":status: 418");
});

test("what repeats is an index: at once if it is known to, else from the third time on", () => {
  const { send } = pair();
  const usual: Fields = [
    ["Server", "alicorn"],
    ["Date", "Tue, 24 Nov 2026 11:00:00 GMT"],
  ];
  send(usual);
  expect(send(usual).size).toBe(3);
  const own: Fields = [["X-Own", "some value"]];
  send(own);
  send(own);
  expect(send(own).size).toBe(2);
});

test("lengths, tags and cookies never enter the table, nor do long values", () => {
  for (const name of ["Content-Length", "ETag", "Set-Cookie"]) {
    const { send } = pair();
    const sizes = Array.from({ length: 4 }, () => send([[name, "12345"]]).size);
    expect(new Set(sizes).size).toBe(1);
  }
  const { send } = pair();
  const long: Fields = [["X-Long", "x".repeat(1025)]];
  send(long);
  send(long);
  expect(send(long).size).toBeGreaterThan(500);
});

test("a peer with a smaller table is told so, and its table never holds more", () => {
  const { encoder, send } = pair();
  send([["Server", "alicorn"]]);
  encoder.limit(0);
  expect(send([["Server", "alicorn"]]).text).toBe(":status: 200; server: alicorn");
  encoder.limit(4096);
  send([["Server", "alicorn"]]);
  expect(send([["Server", "alicorn"]]).size).toBe(2);
});

test("the smallest of several sizes is told, too", () => {
  const encoder = new HpackEncoder();
  encode(encoder, [["Server", "alicorn"]]);
  encoder.limit(100);
  encoder.limit(200);
  expect(encode(encoder, []).toString("hex")).toBe("3f453fa90188");
});

test("thousands of different values keep both ends in step", () => {
  const { send } = pair();
  for (let i = 0; i < 3000; i++) {
    const fields: Fields = [
      ["Date", `day ${i >> 2}`],
      ["Vary", `v${i % 150}`],
      ["X-Own", `w${(i >> 1) % 40}`],
      ["Age", `${i}`],
    ];
    expect(send(fields).text).toBe(
      `:status: 200; date: day ${i >> 2}; vary: v${i % 150}; x-own: w${(i >> 1) % 40}; age: ${i}`,
    );
  }
});

test("a block that was given up leaves both ends in step", () => {
  const { encoder, send } = pair();
  send([["Server", "alicorn"]]);
  expect(() =>
    encode(encoder, [
      ["Date", "now"],
      ["X-A", "a\r\nb: c"],
    ]),
  ).toThrow("invalid character");
  encoder.abort();
  expect(
    send([
      ["Server", "alicorn"],
      ["Date", "now"],
    ]).text,
  ).toBe(":status: 200; server: alicorn; date: now");
  expect(send([["Date", "now"]]).text).toBe(":status: 200; date: now");
});

test("no line end leaves in a value, no name that is none", () => {
  for (const value of ["a\nb", "a\rb", "a\0b", "Ā"]) expect(() => encode(new HpackEncoder(), [["X", value]])).toThrow();
  expect(() => encode(new HpackEncoder(), [["a b", "c"]])).toThrow("invalid name");
});
