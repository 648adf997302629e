import { expect, test } from "bun:test";
import { compileRegex } from "./regex.ts";
import { literalPrefix } from "./regex_prefix.ts";

const cases: readonly (readonly [pattern: string, prefix: string])[] = [
  ["^/shop/15/items/(\\d+)\\.json$", "/shop/15/items/"],
  ["^/a\\.b\\/c$", "/a.b/c"],
  ["/shop", ""],
  ["^", ""],
  ["^/abc?", "/ab"],
  ["^/abc*d", "/ab"],
  ["^/ab+", "/a"],
  ["^/ab{2}", "/a"],
  ["^/ab\\.?", "/ab"],
  ["^/a|^/b", ""],
  ["^/a(b|c)", "/a"],
  ["^/a[|]b|c", ""],
  ["^/a\\|b", "/a|b"],
  ["^/a[(]b|c", ""],
  ["^/a\\d", "/a"],
  ["^/\\x41", "/"],
  ["^(?i)/a", ""],
  ["^(?x) /a", ""],
  ["^/a#b", "/a"],
];

test.each(cases)("%s", (pattern, prefix) => {
  expect(literalPrefix(pattern)).toBe(prefix);
});

test("a pattern means the same with its prefix looked at first", () => {
  const subjects = [
    "/",
    "/a",
    "/ab",
    "/abb",
    "/abc",
    "/abcd",
    "/ac",
    "/b",
    "/a.b/c",
    "/a|b",
    "/A",
    "/shop/15/items/7.json",
    "",
  ];
  for (const [pattern] of cases) {
    const compiled = compileRegex(pattern, false);
    if (typeof compiled === "string") throw new Error(compiled);
    const unanchored = compileRegex(`(?:${pattern})`, false);
    if (typeof unanchored === "string") throw new Error(unanchored);
    for (const subject of subjects) {
      expect(compiled.test(subject)).toBe(unanchored.test(subject));
      expect(compiled.exec(subject)?.[0]).toBe(unanchored.exec(subject)?.[0]);
    }
  }
});

test("without regard to case there is no prefix to look at", () => {
  const compiled = compileRegex("^/abc", true);
  expect(typeof compiled === "string" ? compiled : compiled.test("/ABC")).toBe(true);
});
