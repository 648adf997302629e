import { expect, test } from "bun:test";
import { type Address, formatAddress, parseAddress, parseIpv6 } from "./address.ts";

const cases: readonly [string, Address][] = [
  ["127.0.0.1:9000", { kind: "tcp", family: 4, host: "127.0.0.1", port: 9000 }],
  ["127.0.0.1", { kind: "tcp", family: 4, host: "127.0.0.1", port: 8000 }],
  [":9000", { kind: "tcp", family: 4, host: "0.0.0.0", port: 9000 }],
  ["localhost:80", { kind: "tcp", family: 4, host: "127.0.0.1", port: 80 }],
  ["[::1]:80", { kind: "tcp", family: 6, host: "::1", port: 80 }],
  ["[::1]", { kind: "tcp", family: 6, host: "::1", port: 8000 }],
  ["tcp://127.0.0.1:1", { kind: "tcp", family: 4, host: "127.0.0.1", port: 1 }],
  ["unix:/run/a.sock", { kind: "unix", path: "/run/a.sock" }],
  ["unix:///run/a.sock", { kind: "unix", path: "/run/a.sock" }],
  ["fd://3", { kind: "fd", fd: 3 }],
];
for (const [text, expected] of cases) {
  test(`${text} is read`, () => expect(parseAddress(text, 8000)).toEqual(expected));
}

for (const text of [
  "127.0.0.1:70000",
  "256.0.0.1",
  "example.com:80",
  "unix:",
  "[::1",
  "[zz]:1",
  "1:2:3",
  "127.0.0.1:x",
  `unix:/${"x".repeat(200)}`,
]) {
  test(`${text.slice(0, 30)} is refused in words`, () => expect(parseAddress(text, 8000)).toBeString());
}

test("addresses are written as they are read", () => {
  for (const text of ["127.0.0.1:9000", "[::1]:80", "unix:/run/a.sock", "fd://3"]) {
    expect(formatAddress(parseAddress(text, 8000) as Address)).toBe(text);
  }
});

test("IPv6 text forms", () => {
  expect(parseIpv6("::")).toEqual(new Uint8Array(16));
  expect(parseIpv6("1:2:3:4:5:6:7:8")?.[15]).toBe(8);
  expect([...(parseIpv6("::ffff:1.2.3.4") ?? [])].slice(10)).toEqual([255, 255, 1, 2, 3, 4]);
  for (const bad of ["1:2", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "::1.2.3"])
    expect(parseIpv6(bad)).toBeUndefined();
});
