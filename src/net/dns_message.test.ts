import { expect, test } from "bun:test";
import {
  DnsError,
  ipv6Text,
  isResponse,
  readAnswers,
  readHead,
  readQuestion,
  reverseName,
  writeQuery,
} from "./dns_message.ts";

/** A response to a question about `a.b` of this type, with these answers as hex. */
function response(type: number, ...answers: string[]): Buffer {
  const question = `01610162 00 ${hex16(type)} 0001`;
  return bytes(`0102 8180 0001 ${hex16(answers.length)} 0000 0000 ${question} ${answers.join("")}`);
}
const hex16 = (n: number) => n.toString(16).padStart(4, "0");
const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");

const read = (message: Buffer) => {
  const head = readHead(message);
  return readAnswers(message, readQuestion(message, head).end, head.answers);
};

test("a query's bytes", () => {
  expect(writeQuery(0x1234, "www.example.com", "AAAA")).toEqual(
    bytes("1234 0100 0001 0000 0000 0000 03777777 076578616d706c65 03636f6d 00 001c 0001"),
  );
});

for (const name of ["", ".", "a..b", ".a", "a.", `${"x".repeat(64)}.com`, "a.".repeat(600)]) {
  test(`"${name.slice(0, 20)}" is no name to ask for`, () => expect(writeQuery(1, name, "A")).toBeUndefined());
}

test("names of addresses", () => {
  expect(reverseName(Uint8Array.of(192, 0, 2, 1))).toBe("1.2.0.192.in-addr.arpa");
  const v6 = new Uint8Array(16);
  v6.set([0x20, 0x01, 0x0d, 0xb8]);
  v6[15] = 0x1f;
  expect(reverseName(v6)).toBe(`f.1.${"0.".repeat(22)}8.b.d.0.1.0.0.2.ip6.arpa`);
  expect(ipv6Text(v6)).toBe("2001:db8::1f");
});

test("only responses to standard queries count", () => {
  expect(isResponse(0x8180)).toBeTrue();
  expect(isResponse(0x81a0)).toBeTrue(); // Authenticated data.
  expect(isResponse(0x0100)).toBeFalse();
  expect(isResponse(0x8980)).toBeFalse();
});

test("the head and the question", () => {
  const message = response(1);
  message[2] = 0x83;
  message[3] = 0x83;
  expect(readHead(message)).toEqual({ id: 258, flags: 0x8383, rcode: 3, truncated: true, questions: 1, answers: 0 });
  expect(readQuestion(message, readHead(message))).toEqual({ name: "a.b", type: 1, class: 1, end: 21 });
});

test("records of every kind", () => {
  expect(read(response(1, "c00c 0001 0001 00000010 0004 7f000001"))).toEqual([
    { type: "A", ttlSeconds: 16, host: "127.0.0.1" },
  ]);
  expect(read(response(28, `c00c 001c 0001 ffffffff 0010 fe80${"00".repeat(13)}01`))).toEqual([
    { type: "AAAA", ttlSeconds: 0, host: "fe80::1" },
  ]);
  expect(read(response(5, "01610162 00 0005 0001 00000001 0004 0158 c00e"))).toEqual([
    { type: "CNAME", ttlSeconds: 1, name: "x.b" },
  ]);
  expect(read(response(33, "c00c 0021 0001 00000001 0008 0001 0002 1f90 c00c"))).toEqual([
    { type: "SRV", ttlSeconds: 1, priority: 1, weight: 2, port: 8080, name: "a.b" },
  ]);
  expect(read(response(12, "c00c 000c 0001 00000001 0002 c00c"))).toEqual([
    { type: "PTR", ttlSeconds: 1, name: "a.b" },
  ]);
  expect(read(response(1, "c00c 0027 0001 00000001 0001 00"))).toEqual([{ type: "other", ttlSeconds: 1, code: 39 }]);
});

const broken: readonly [string, Buffer, string][] = [
  ["no header", bytes("0102"), "short DNS response"],
  ["no question", bytes("0102 8180 0000 0000 0000 0000"), "invalid number of questions in DNS response"],
  [
    "the root is asked for",
    bytes("0102 8180 0001 0000 0000 0000 00 0001 0001"),
    "zero-length domain name in DNS response",
  ],
  [
    "a compressed question",
    bytes("0102 8180 0001 0000 0000 0000 c00c 0001 0001"),
    "unexpected compression pointer in DNS response",
  ],
  ["a question without its end", bytes("0102 8180 0001 0000 0000 0000 0161"), "short DNS response"],
  ["an answer that is missing", bytes("0102 8180 0001 0001 0000 0000 0161 00 0001 0001"), "short DNS response"],
  ["a record without a name", response(1, "00 0001 0001 00000001 0004 7f000001"), "invalid name in DNS response"],
  [
    "a record of another class",
    response(1, "c00c 0001 0003 00000001 0004 7f000001"),
    "unexpected RR class 3 in DNS response",
  ],
  ["an address of two bytes", response(1, "c00c 0001 0001 00000001 0002 7f00"), "invalid A record in DNS response"],
  ["an address that is cut off", response(1, "c00c 0001 0001 00000001 0004 7f00"), "short DNS response"],
  [
    "a pointer to itself",
    response(5, "c00c 0005 0001 00000001 0002 c021"),
    "compression pointers loop in DNS response",
  ],
  ["a pointer out of the message", response(5, "c00c 0005 0001 00000001 0002 ffff"), "name is out of DNS response"],
  ["half a pointer", response(5, "c00c 0005 0001 00000001 0001 c0"), "name is out of DNS response"],
  ["a label out of the message", response(5, "c00c 0005 0001 00000001 0002 3f61"), "name is out of DNS response"],
  [
    "a label of a reserved type",
    response(5, "c00c 0005 0001 00000001 0002 4000"),
    "invalid label type in DNS response",
  ],
  ["a control character", response(5, "c00c 0005 0001 00000001 0003 010a00"), "invalid name in DNS response"],
  ["a service without a target", response(33, "c00c 0021 0001 00000001 0006 0001 0002 1f90"), "short DNS response"],
];
for (const [what, message, complaint] of broken) {
  test(`${what} is refused`, () => expect(() => read(message)).toThrow(new DnsError(complaint)));
}

test("a message cut off anywhere is refused, never read beyond", () => {
  const whole = response(1, "c00c 0005 0001 00000010 0004 0178 c00e", "c025 0001 0001 00000010 0004 7f000001");
  expect(read(whole)).toHaveLength(2);
  for (let length = 0; length < whole.length; length++) {
    expect(() => read(whole.subarray(0, length))).toThrow(DnsError);
  }
});

test("any bytes are a message or a DnsError", () => {
  const whole = response(1, "c00c 0005 0001 00000010 0004 0178 c00e", "c025 0001 0001 00000010 0004 7f000001");
  for (let at = 0; at < whole.length; at++) {
    for (const value of [0, 1, 0x3f, 0x40, 0xc0, 0xff]) {
      const changed = Buffer.from(whole);
      changed[at] = value;
      try {
        read(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(DnsError);
      }
    }
  }
});
