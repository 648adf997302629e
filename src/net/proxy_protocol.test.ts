import { expect, test } from "bun:test";
import {
  findTlv,
  type ProxyHeader,
  readProxyHeader,
  sslTlv,
  sslTlvType,
  type Tlv,
  tlvType,
  writeProxyV1,
  writeProxyV2,
} from "./proxy_protocol.ts";

const source = { address: "192.0.2.1", port: 123 };
const destination = { address: "192.0.2.2", port: 5678 };
const source6 = { address: "2001:db8::1", port: 123 };
const destination6 = { address: "2001:db8::2", port: 5678 };
const text = (line: string) => Buffer.from(line, "latin1");
const hex = (digits: string) => Buffer.from(digits.replaceAll(" ", ""), "hex");
const v2 = (rest: string) => hex(`0d0a0d0a000d0a515549540a ${rest}`);

type Ends = Partial<Extract<ProxyHeader, { kind: "header" }>>;
const nobody: Ends = { source: undefined, destination: undefined };

const headers: readonly [string, Buffer, Ends][] = [
  ["version 1, IPv4", text("PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n"), { source, destination }],
  [
    "version 1, IPv6 as it was written",
    text("PROXY TCP6 2001:Db8::1 2001:Db8::2 123 5678\r\n"),
    { source: { address: "2001:Db8::1", port: 123 }, destination: { address: "2001:Db8::2", port: 5678 } },
  ],
  ["version 1, unknown", text("PROXY UNKNOWN\r\n"), nobody],
  ["version 1, unknown with more", text("PROXY UNKNOWN 1 2 3 4 5 6\r\n"), nobody],
  ["version 2, IPv4", v2("21 11 000c c0000201 c0000202 007b 162e"), { source, destination }],
  [
    "version 2, IPv6",
    v2(`21 21 0024 20010db8${"00".repeat(11)}01 20010db8${"00".repeat(11)}02 007b 162e`),
    { source: source6, destination: destination6 },
  ],
  [
    "version 2, with fields",
    v2("21 11 0010 c0000201 c0000202 007b 162e 01 0001 68"),
    { source, destination, tlvs: Uint8Array.of(1, 0, 1, 0x68) },
  ],
  ["version 2, the proxy itself", v2("20 11 000c c0000201 c0000202 007b 162e"), nobody],
  ["version 2, no length", v2("21 00 0000"), nobody],
  ["version 2, datagrams", v2("21 12 000c c0000201 c0000202 007b 162e"), nobody],
  ["version 2, another family", v2("21 41 0004 01020304"), nobody],
];
for (const [what, bytes, expected] of headers) {
  test(`${what}: whole, byte by byte, with bytes behind it`, () => {
    const header = { kind: "header", length: bytes.length, ...expected };
    expect(readProxyHeader(bytes)).toMatchObject(header);
    for (let length = 0; length < bytes.length; length++) {
      expect(readProxyHeader(bytes.subarray(0, length))).toEqual({ kind: "more" });
    }
    expect(readProxyHeader(Buffer.concat([bytes, text("GET / HTTP/1.1\r\n\r\n")]))).toMatchObject(header);
  });
}

const wrong: readonly [string, Buffer, string][] = [
  ["a request", text("GET / HTTP/1.1\r\n"), 'broken header: "GET / HTTP/1.1"'],
  ["lower case", text("proxy TCP4"), 'broken header: "proxy TCP4"'],
  ["another protocol", text("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n"), 'broken header: "PROXY UDP4 1.1.1.1 2.2.2.2 1 2"'],
  ["a name", text("PROXY TCP4 host 2.2.2.2 1 2\r\n"), 'broken header: "PROXY TCP4 host 2.2.2.2 1 2"'],
  [
    "a port too many",
    text("PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n"),
    'broken header: "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536"',
  ],
  ["no port", text("PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n"), 'broken header: "PROXY TCP4 1.1.1.1 2.2.2.2 1 "'],
  [
    "something behind",
    text("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n"),
    'broken header: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3"',
  ],
  ["no end", text(`PROXY UNKNOWN ${"x".repeat(200)}\r\n`), `broken header: "PROXY UNKNOWN ${"x".repeat(93)}"`],
  ["version 3", v2("31 11"), "unknown PROXY protocol version: 3"],
  ["4097 bytes", v2("21 11 0ff1"), "header is too large"],
  [
    "addresses cut off",
    v2("21 11 000b c0000201 c0000202 007b 16"),
    "PROXY protocol header is too short for its addresses",
  ],
];
for (const [what, bytes, message] of wrong) {
  test(`${what} is refused`, () => expect(readProxyHeader(bytes)).toEqual({ kind: "invalid", message }));
}

test("the longest headers", () => {
  const v1 = text(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`);
  expect(v1).toHaveLength(107);
  expect(readProxyHeader(v1)).toMatchObject({ kind: "header", length: 107 });
  expect(readProxyHeader(v2(`21 00 0ff0 ${"00".repeat(4080)}`))).toMatchObject({ kind: "header", length: 4096 });
});

const tlv = (type: number, value: string): Tlv => ({ type, value: text(value) });
const fields = [
  tlv(tlvType.alpn, "h2"),
  tlv(tlvType.authority, "localhost"),
  tlv(tlvType.unique_id, "UNIQ"),
  sslTlv(1, 255, [tlv(sslTlvType.version, "TLSv1.3"), tlv(sslTlvType.cn, "example.com"), tlv(0x23, "AES")]),
  tlv(tlvType.netns, "NET"),
  tlv(0xae, "caf\xe9"),
];

test("fields by their names and numbers", () => {
  const header = readProxyHeader(writeProxyV2(source, destination, fields));
  if (header.kind !== "header") throw new Error(header.kind);
  expect(header).toMatchObject({ source, destination });
  const value = (name: string) => findTlv(header.tlvs, name);
  expect(value("alpn")).toEqual({ value: "h2" });
  expect(value("0x01")).toEqual({ value: "h2" });
  expect(value("authority")).toEqual({ value: "localhost" });
  expect(value("unique_id")).toEqual({ value: "UNIQ" });
  expect(value("netns")).toEqual({ value: "NET" });
  expect(value("0x000ae")).toEqual({ value: "caf\xe9" });
  expect(value("ssl_verify")).toEqual({ value: "255" });
  expect(value("ssl_version")).toEqual({ value: "TLSv1.3" });
  expect(value("ssl_cn")).toEqual({ value: "example.com" });
  expect(value("ssl_0x23")).toEqual({ value: "AES" });
  expect(value("ssl")).toEqual({ value: expect.stringMatching(/^\x01\0\0\0\xff!\0\x07TLSv1\.3/) });
  expect(value("ssl_key_alg")).toBeUndefined();
  expect(value("0x0e")).toBeUndefined();
  expect(value("0x")).toEqual({ error: 'invalid PROXY protocol TLV "0x"' });
  expect(value("crc32c")).toEqual({ error: 'unknown PROXY protocol TLV "crc32c"' });
  expect(value("ssl_x")).toEqual({ error: 'unknown PROXY protocol TLV "ssl_x"' });
});

test("broken fields", () => {
  const error = "broken PROXY protocol TLV";
  expect(findTlv(hex("01 00"), "alpn")).toEqual({ error });
  expect(findTlv(hex("01 0002 61"), "alpn")).toEqual({ error });
  expect(findTlv(hex("20 0004 01000000"), "ssl_verify")).toEqual({ error });
  expect(findTlv(hex("20 0007 0100000000 2100"), "ssl_version")).toEqual({ error });
  expect(findTlv(new Uint8Array(0), "alpn")).toBeUndefined();
  expect(findTlv(new Uint8Array(0), "ssl_cn")).toBeUndefined();
});

test("version 1 as written", () => {
  const written = (...ends: Parameters<typeof writeProxyV1>) => Buffer.from(writeProxyV1(...ends)).toString();
  expect(written(source, destination)).toBe("PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n");
  expect(written(source6, destination6)).toBe("PROXY TCP6 2001:db8::1 2001:db8::2 123 5678\r\n");
  expect(written(undefined, destination)).toBe("PROXY UNKNOWN\r\n");
});

test("version 2 as written: families are made one, the checksum is the last field", () => {
  const written = (...ends: Parameters<typeof writeProxyV2>) => Buffer.from(writeProxyV2(...ends)).toString("hex");
  const start = "0d0a0d0a000d0a515549540a";
  expect(written(source, destination)).toMatch(
    new RegExp(`^${start}21110013c0000201c0000202007b162e030004[0-9a-f]{8}$`),
  );
  expect(written(source, { address: "::ffff:192.0.2.2", port: 5678 })).toBe(written(source, destination));
  expect(written(source, destination6)).toStartWith(`${start}2121002b${"00".repeat(10)}ffffc000020120010db8`);
  expect(written(undefined, destination)).toMatch(new RegExp(`^${start}20000007030004[0-9a-f]{8}$`));
  expect(() => writeProxyV2(source, destination, [{ type: 1, value: new Uint8Array(4096) }])).toThrow(RangeError);
});

test("the checksum is Castagnoli's over the header with zeros in its place", () => {
  const header = Buffer.from(writeProxyV2(undefined, undefined));
  const sum = header.readUInt32BE(header.length - 4);
  header.writeUInt32BE(0, header.length - 4);
  // Bit by bit, as RFC 3720 defines it.
  let crc = 0xffffffff;
  for (const byte of header) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ ((crc & 1) * 0x82f63b78);
  }
  expect(sum).toBe(~crc >>> 0);
});
