import { expect, test } from "bun:test";
import { readClientHello } from "./client_hello.ts";

const short = (value: number): number[] => [value >> 8, value & 255];
const vector = (size: 1 | 2, bytes: readonly number[]): number[] =>
  size === 1 ? [bytes.length, ...bytes] : [...short(bytes.length), ...bytes];
const text = (words: string): number[] => [...Buffer.from(words, "latin1")];
const extension = (type: number, content: readonly number[]): number[] => [...short(type), ...vector(2, content)];

const extensions = [
  ...extension(0, vector(2, [0, ...vector(2, text("www.example.com"))])),
  ...extension(16, vector(2, [...vector(1, text("h2")), ...vector(1, text("http/1.1"))])),
  ...extension(43, vector(1, [3, 4, 3, 3])),
  ...extension(10, vector(2, [0, 29, 0, 23])),
  ...extension(13, vector(2, [4, 3, 8, 4])),
];

/** `rest`: what comes behind the compression methods. */
function hello(rest: readonly number[]): number[] {
  const body = [
    3,
    3,
    ...new Array<number>(32).fill(7),
    ...vector(1, []),
    ...vector(2, [0x13, 1, 0xc0, 0x2b]),
    ...vector(1, [0]),
    ...rest,
  ];
  return [1, 0, ...short(body.length), ...body];
}

const record = (content: readonly number[]): number[] => [22, 3, 1, ...vector(2, content)];
const bytes = (...parts: readonly (readonly number[])[]): Uint8Array => new Uint8Array(parts.flat());

const whole = {
  serverName: "www.example.com",
  protocols: ["h2", "http/1.1"],
  versions: [0x0304, 0x0303],
  ciphers: [0x1301, 0xc02b],
  groups: [29, 23],
  signatureAlgorithms: [0x0403, 0x0804],
  hasEarlyData: false,
};

test("all that a hello says", () => {
  expect(readClientHello(bytes(record(hello(vector(2, extensions)))))).toEqual(whole);
});

test("in several records, with something behind it, and cut anywhere", () => {
  const message = hello(vector(2, extensions));
  const parts = bytes(record(message.slice(0, 3)), record(message.slice(3, 50)), record(message.slice(50)));
  expect(readClientHello(parts)).toEqual(whole);
  expect(readClientHello(bytes([...parts], [23, 3, 3]))).toEqual(whole);
  for (let end = 0; end < parts.length; end++) expect(readClientHello(parts.subarray(0, end))).toBe("more");
});

test("an old client names nothing", () => {
  const found = readClientHello(bytes(record(hello([]))));
  expect(found).toEqual({
    serverName: undefined,
    protocols: undefined,
    versions: [0x0303],
    ciphers: [0x1301, 0xc02b],
    groups: [],
    signatureAlgorithms: [],
    hasEarlyData: false,
  });
});

test("what is not TLS, and what only begins so", () => {
  expect(readClientHello(Buffer.from("GET / HTTP/1.1\r\n"))).toBe("other");
  expect(readClientHello(bytes([0x80, 0x2e]))).toBe("broken");
  expect(readClientHello(bytes([22, 3, 1, 0, 0]))).toBe("broken");
  expect(readClientHello(bytes(record([2, 0, 0, 1, 0])))).toBe("broken");
  expect(readClientHello(bytes(record([1, 1, 0, 0, 1])))).toBe("broken");
  const lying = hello(vector(2, extensions));
  lying[lying.length - 30] = 255;
  expect(readClientHello(bytes(record([1, 0, 0, 40, ...lying.slice(4, 44)])))).toBe("broken");
});
