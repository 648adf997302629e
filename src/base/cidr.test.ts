import { expect, test } from "bun:test";
import { binaryAddress, type Cidr, CidrSet, CidrTable, meaninglessBits, parseCidr } from "./cidr.ts";
import { PrefixTable } from "./prefix_table.ts";

const cidr = (text: string): Cidr => parseCidr(text)!.cidr;
const address = (text: string) => binaryAddress(text)!;

test("addresses in text", () => {
  expect([...address("192.0.2.1")]).toEqual([192, 0, 2, 1]);
  expect([...address("::ffff:192.0.2.1")]).toEqual([192, 0, 2, 1]);
  expect(address("::1")).toHaveLength(16);
  expect(address("")).toHaveLength(0);
  expect(address("unix:")).toHaveLength(0);
  expect(binaryAddress("localhost")).toBeUndefined();
});

test("networks in text", () => {
  expect(cidr("10.0.0.0/8")).toEqual({ family: 4, address: Uint8Array.of(10, 0, 0, 0), bits: 8 });
  expect(cidr("192.0.2.1")).toEqual({ family: 4, address: Uint8Array.of(192, 0, 2, 1), bits: 32 });
  expect(cidr("::1")).toMatchObject({ family: 6, bits: 128 });
  expect(cidr("unix:")).toMatchObject({ family: 0 });
  expect(cidr("0.0.0.0/0")).toMatchObject({ bits: 0 });
});

test("bits beyond the network are cleared and reported", () => {
  expect(parseCidr("10.1.255.3/9")).toEqual({
    cidr: { family: 4, address: Uint8Array.of(10, 0, 0, 0), bits: 9 },
    lowBits: true,
  });
  expect(parseCidr("2001:db8::1/33")).toMatchObject({ lowBits: true });
  expect(parseCidr("2001:db8::/33")).toMatchObject({ lowBits: false });
  expect(meaninglessBits("10.1.0.0/8")).toBe("low address bits of 10.1.0.0/8 are meaningless");
});

for (const text of [
  "",
  "10.0.0.0/33",
  "::/129",
  "10.0.0.0/",
  "10.0.0.0/x",
  "10.0.0/8",
  "/8",
  "a/8",
  "10.0.0.0/8/8",
  "all",
]) {
  test(`"${text}" is no network`, () => expect(parseCidr(text)).toBeUndefined());
}

const inside: readonly [string, string, boolean][] = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["192.0.2.1", "192.0.2.1", true],
  ["192.0.2.1", "192.0.2.2", false],
  ["128.0.0.0/1", "255.0.0.1", true],
  ["128.0.0.0/1", "127.0.0.1", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "::1", false],
  ["0.0.0.0/0", "::ffff:203.0.113.9", true],
  ["::ffff:0.0.0.0/96", "::ffff:203.0.113.9", false],
  ["::/0", "2001:db8::1", true],
  ["::/0", "10.0.0.1", false],
  ["2001:db8::/33", "2001:db8:7fff::1", true],
  ["2001:db8::/33", "2001:db8:8000::1", false],
  ["2001:db8::1", "2001:db8::1", true],
  ["2001:db8::1", "2001:db8::2", false],
  ["unix:", "", true],
  ["unix:", "10.0.0.1", false],
  ["0.0.0.0/0", "unix:", false],
];
for (const [network, who, expected] of inside) {
  test(`${who || "a Unix peer"} is ${expected ? "" : "not "}in ${network}`, () => {
    const set = new CidrSet();
    expect(set.has(address(who))).toBeFalse();
    set.add(cidr(network));
    expect(set.size).toBe(1);
    expect(set.has(address(who))).toBe(expected);
  });
}

test("the first network that matches decides", () => {
  const table = new CidrTable<string>();
  table.add(cidr("10.1.0.0/16"), "deny");
  table.add(cidr("10.0.0.0/8"), "allow");
  table.add(cidr("2001:db8::/32"), "allow");
  table.addAll("rest");
  table.add(cidr("unix:"), "too late");
  expect(table.find(address("10.1.2.3"))).toBe("deny");
  expect(table.find(address("10.2.2.3"))).toBe("allow");
  expect(table.find(address("11.2.2.3"))).toBe("rest");
  expect(table.find(address("2001:db8::1"))).toBe("allow");
  expect(table.find(address("2001:db9::1"))).toBe("rest");
  expect(table.find(address(""))).toBe("rest");
});

test("the longest prefix that matches decides", () => {
  const table = new PrefixTable<string>();
  expect(table.find(address("10.0.0.1"))).toBeUndefined();
  table.setDefault("world");
  expect(table.set(cidr("10.0.0.0/8"), "ten")).toBeUndefined();
  table.set(cidr("10.1.0.0/16"), "one");
  table.set(cidr("10.1.1.1"), "host");
  table.set(cidr("2001:db8::/32"), "six");
  expect(table.find(address("10.2.0.1"))).toBe("ten");
  expect(table.find(address("10.1.0.1"))).toBe("one");
  expect(table.find(address("10.1.1.1"))).toBe("host");
  expect(table.find(address("::ffff:10.1.1.1"))).toBe("host");
  expect(table.find(address("11.0.0.1"))).toBe("world");
  expect(table.find(address("2001:db8::1"))).toBe("six");
  expect(table.find(address("2001:db9::1"))).toBe("world");
});

test("a network of a prefix table is replaced and deleted by itself", () => {
  const table = new PrefixTable<string>();
  table.set(cidr("10.0.0.0/8"), "ten");
  expect(table.set(cidr("10.0.0.0/8"), "new")).toBe("ten");
  table.set(cidr("10.1.0.0/16"), "one");
  expect(table.delete(cidr("10.0.0.0/9"))).toBeFalse();
  expect(table.delete(cidr("192.0.2.0/24"))).toBeFalse();
  expect(table.delete(cidr("10.0.0.0/8"))).toBeTrue();
  expect(table.find(address("10.2.0.1"))).toBeUndefined();
  expect(table.find(address("10.1.0.1"))).toBe("one");
});

test("a Unix peer is looked up as 255.255.255.255", () => {
  const table = new PrefixTable<string>();
  table.set(cidr("0.0.0.0/0"), "world");
  expect(table.find(address(""))).toBe("world");
  table.set(cidr("255.255.255.255"), "nobody");
  expect(table.find(address(""))).toBe("nobody");
});
