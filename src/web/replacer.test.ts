import { expect, test } from "bun:test";
import { Replacer } from "./replacer.ts";

type Pairs = Record<string, string>;

/** The text in pieces of that many bytes. */
function replaced(text: string, pairs: Pairs, { once = false, piece = text.length } = {}): string {
  const replacer = new Replacer(
    Object.entries(pairs).map(([match, by]) => ({ match, value: () => by })),
    once,
  );
  const bytes = Buffer.from(text, "latin1");
  let out = "";
  for (let at = 0; at < bytes.length; at += piece) {
    const end = Math.min(at + piece, bytes.length);
    out += Buffer.from(replacer.change(bytes.subarray(at, end), end === bytes.length)).toString("latin1");
  }
  return out;
}

const cases: readonly [what: string, text: string, pairs: Pairs, expected: string][] = [
  ["one text", "a foo b foo", { foo: "bar" }, "a bar b bar"],
  ["letters of either case", "FOO fOo", { foo: "bar" }, "bar bar"],
  ["bytes that are no ASCII letters have no case", "\xc9\xe9", { "\xe9": "x" }, "\xc9x"],
  ["the leftmost counts", "abcd", { cd: "2", bc: "1" }, "a1d"],
  ["at one place the first one counts", "abcd", { abc: "long", ab: "short" }, "longd"],
  ["… even if it is the shorter one", "abcd", { ab: "short", abc: "long" }, "shortcd"],
  ["a longer one that does not come true gives way", "abcx", { abcd: "long", ab: "short" }, "shortcx"],
  ["a beginning at the end is text", "xxfo", { foo: "bar" }, "xxfo"],
  ["overlapping beginnings", "aaaab", { aab: "X" }, "aaX"],
  ["replacements are not looked at again", "aa", { a: "aa" }, "aaaa"],
  ["nothing in its place", "x--y", { "--": "" }, "xy"],
  ["what expressions find special", "a.b*c", { ".b*": "+" }, "a+c"],
];

for (const [what, text, pairs, expected] of cases)
  test(`${what}, whole and in pieces`, () => {
    for (let piece = 1; piece <= text.length; piece++) expect(replaced(text, pairs, { piece })).toBe(expected);
  });

test("once: each the first time", () => {
  for (const piece of [1, 2, 3, 100])
    expect(replaced("ab ba ab", { a: "1", b: "2" }, { once: true, piece })).toBe("12 ba ab");
});

test("a value is made when it is first needed, and once", () => {
  let made = 0;
  const value = () => String(++made);
  const replacer = new Replacer(
    [
      { match: "x", value },
      { match: "y", value: () => "never" },
    ],
    false,
  );
  expect(made).toBe(0);
  expect(Buffer.from(replacer.change(Buffer.from("xx"), true)).toString()).toBe("11");
});

test("where nothing is found the very bytes go on", () => {
  const replacer = new Replacer([{ match: "foo", value: () => "bar" }], false);
  const bytes = Buffer.from("abc");
  expect(replacer.change(bytes, false)).toBe(bytes);
});

test("no more is held back than may become a match", () => {
  const replacer = new Replacer([{ match: "za", value: () => "ZA" }], false);
  expect(Buffer.from(replacer.change(Buffer.from("xyz"), false)).toString()).toBe("xy");
  expect(Buffer.from(replacer.change(Buffer.from(""), true)).toString()).toBe("z");
});
