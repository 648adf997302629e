import { expect, test } from "bun:test";
import { binaryAddress } from "./cidr.ts";
import { type AddressRange, formatRange, parseRange, RangeTable } from "./range_table.ts";

const range = (text: string): AddressRange => parseRange(text)!;

/** A table of "RANGE value" lines, all of which fit. */
function tableOf(...lines: string[]): RangeTable<string> {
  const table = new RangeTable<string>();
  for (const line of lines) {
    const [text = "", value = ""] = line.split(" ");
    expect(table.add(range(text), value)).toEqual({ replaced: [], overlaps: undefined });
  }
  return table;
}
const find = (table: RangeTable<string>, text: string) => table.find(binaryAddress(text)!);

test("ranges in text", () => {
  expect(range("0.0.0.1-0.0.1.0")).toEqual({ first: 1, last: 256 });
  expect(range("0.0.0.0-255.255.255.255")).toEqual({ first: 0, last: 0xffffffff });
  expect(formatRange(range("192.0.2.0-255.0.2.255"))).toBe("192.0.2.0-255.0.2.255");
  for (const text of ["", "192.0.2.1", "192.0.2.1-", "-192.0.2.1", "192.0.2.2-192.0.2.1", "::1-::2", "a-b"]) {
    expect(parseRange(text)).toBeUndefined();
  }
});

test("a range holds its ends and what is between, over many blocks", () => {
  const table = tableOf("10.10.3.0-10.12.2.255 foo", "10.13.0.0-10.13.0.0 one");
  expect(find(table, "10.10.2.255")).toBeUndefined();
  for (const text of ["10.10.3.0", "10.10.255.255", "10.11.0.0", "10.12.2.255"]) expect(find(table, text)).toBe("foo");
  expect(find(table, "10.12.3.0")).toBeUndefined();
  expect(find(table, "10.13.0.0")).toBe("one");
  expect(find(table, "::ffff:10.13.0.0")).toBe("one");
});

const within: readonly [string, string][] = [
  ["127.0.0.1-127.0.0.2", "wide new new wide"],
  ["127.0.0.0-127.0.0.1", "new new wide wide"],
  ["127.0.0.2-127.0.0.3", "wide wide new new"],
];
for (const [text, expected] of within) {
  test(`a range within another: ${text}`, () => {
    const table = tableOf("127.0.0.0-127.0.0.3 wide", `${text} new`);
    expect([0, 1, 2, 3].map((i) => find(table, `127.0.0.${i}`)).join(" ")).toBe(expected);
  });
}

test("ranges side by side, in either order", () => {
  const table = tableOf("127.0.0.4-127.0.0.5 b", "127.0.0.0-127.0.0.3 a", "127.0.0.6-127.0.0.9 c");
  expect([3, 4, 5, 6].map((i) => find(table, `127.0.0.${i}`))).toEqual(["a", "b", "b", "c"]);
});

test("the same range again replaces", () => {
  const table = tableOf("127.0.0.0-127.0.0.3 old");
  expect(table.add(range("127.0.0.0-127.0.0.3"), "new")).toEqual({ replaced: ["old"], overlaps: undefined });
  expect(find(table, "127.0.0.1")).toBe("new");
});

test("a range across another's end is refused with the other", () => {
  for (const text of ["127.0.0.0-127.0.0.4", "127.0.0.6-127.0.0.8", "127.0.0.0-127.0.0.255"]) {
    const { overlaps } = tableOf("127.0.0.3-127.0.0.6 a").add(range(text), "b");
    expect(formatRange(overlaps!)).toBe("127.0.0.3-127.0.0.6");
  }
});

test("ranges are deleted as they were added", () => {
  const table = tableOf("127.0.0.0-127.1.0.0 two", "127.2.0.0-127.2.0.9 rest");
  expect(table.delete(range("127.0.0.0-127.0.0.9"))).toBeFalse();
  expect(find(table, "127.0.0.1")).toBe("two");
  expect(table.delete(range("127.0.0.0-127.1.0.0"))).toBeTrue();
  expect(find(table, "127.0.0.1")).toBeUndefined();
  expect(find(table, "127.1.0.0")).toBeUndefined();
  expect(find(table, "127.2.0.5")).toBe("rest");
});

test("who has no IPv4 address is looked up as 255.255.255.255", () => {
  const table = tableOf("255.255.255.255-255.255.255.255 nobody", "0.0.0.0-127.255.255.255 low");
  for (const text of ["", "2001:db8::1"]) expect(find(table, text)).toBe("nobody");
  expect(find(table, "127.0.0.1")).toBe("low");
});
