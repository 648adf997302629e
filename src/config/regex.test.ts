import { expect, test } from "bun:test";
import { compileRegex, type Pattern } from "./regex.ts";

function pattern(source: string, caseless = false): Pattern {
  const compiled = compileRegex(source, caseless);
  if (typeof compiled === "string") throw new Error(compiled);
  return compiled;
}

/** Patterns with texts that they match, then texts that they do not. */
function check(cases: readonly (readonly [source: string, matching: string[], others: string[]])[], caseless = false) {
  for (const [source, matching, others] of cases) {
    const { test: matches } = pattern(source, caseless);
    for (const text of matching) expect([source, text, matches(text)]).toEqual([source, text, true]);
    for (const text of others) expect([source, text, matches(text)]).toEqual([source, text, false]);
  }
}

test("what locations are made of", () => {
  check([
    ["\\.php$", ["/a.php"], ["/a.php/b", "/aphp"]],
    ["^/(?:css|js)/.+\\.min\\.", ["/js/a.min.js"], ["/img/a.min.js"]],
    ["^/u/\\d{1,3}/?$", ["/u/1", "/u/123/"], ["/u/1234"]],
    ["/a{,3}/", ["/a{,3}/"], ["/aa/"]],
  ]);
});

test("a dollar matches before a newline at the end, too", () => {
  check([
    ["\\.php$", ["/a.php\n"], ["/a.php\n\n"]],
    ["a\\Z", ["a", "a\n"], ["ab"]],
    ["a\\z", ["a"], ["a\n"]],
    ["(?m)^b$", ["a\nb\nc", "b\n"], ["ab\n"]],
    ["(?m)a\\n^", ["a\nb"], ["a\n"]],
  ]);
});

test("the dot leaves out the newline, and nothing else", () => {
  check([
    ["^.$", ["\r", "\xe9", "a"], ["\n"]],
    ["^(?s).\\z", ["\n"], []],
    ["^\\N\\z", ["\r"], ["\n"]],
  ]);
});

test("only ASCII has cases, letters, digits and blanks", () => {
  check(
    [
      ["^image$", ["IMAGE", "ImaGe"], []],
      ["^\xc3\xa9$", ["\xc3\xa9"], ["\xe3\xa9"]],
      ["^[^a-c]$", ["d", "D"], ["a", "A"]],
      ["^(a)\\1$", ["aA", "Aa"], ["ab"]],
      ["^[[:upper:]]$", ["a", "A"], ["1"]],
    ],
    true,
  );
  check([
    ["^\\w$", ["a", "_", "0"], ["\xe9", "-"]],
    ["^\\s$", [" ", "\t", "\v"], ["\xa0"]],
    ["^\\h$", [" ", "\t", "\xa0"], ["\n"]],
    ["^\\H$", ["a"], [" "]],
    ["^\\p{Lu}\\PL$", ["A1"], ["aa", "a1"]],
    ["^www\\p{N}+$", ["www12"], ["wwwa"]],
  ]);
});

test("classes", () => {
  check([
    ["^[]abc]+$", ["]a"], ["d"]],
    ["^[^]abc]+$", ["d["], ["]", "a"]],
    ["^[[:alpha:]_]+$", ["ab_"], ["1"]],
    ["^[[:^digit:]]+$", ["ab"], ["1"]],
    ["^[\\w-]+$", ["a-b"], ["."]],
    ["^[a-c-e]+$", ["abc-e"], ["d"]],
    ["^[\\Q]^\\E-]+$", ["]^-"], ["a"]],
    ["^[\\x41-\\x{43}\\103\\b]+$", ["ABC\b"], ["D"]],
    ["^[a[:]+$", ["a[:"], ["b"]],
  ]);
});

test("escapes", () => {
  check([
    ["^\\Qa.b*\\E+$", ["a.b*", "a.b**"], ["axb*"]],
    ["^\\x41\\x{42}\\x$", ["AB\0"], ["AB"]],
    ["^\\R$", ["\r\n", "\n", "\r", "\x85"], ["\r\r"]],
    ["^\\e\\a\\cA\\0$", ["\x1b\x07\x01\0"], []],
    ["^\\/\\-\\_$", ["/-_"], []],
    ["\\Aa", ["ab"], ["ba"]],
  ]);
});

test("flags hold to the end of their group", () => {
  check([
    ["(?i)^abc$", ["ABC"], []],
    ["^a(?i:b)c$", ["aBc"], ["aBC"]],
    ["^(?:(?i)a|b)c$", ["Ac", "Bc"], ["AC"]],
    ["^(?i)a(?-i)b$", ["Ab"], ["AB"]],
    ["(?x) ^ a b # comment\n c $", ["abc"], ["a b"]],
    ["^a(?#comment)+$", ["aa"], []],
  ]);
  expect(pattern("(?U)(a+)(a+?)").exec("aaa")).toEqual(["aaa", "a", "aa"]);
  expect(pattern("(?n)(a)(?<x>b)").exec("ab")).toEqual(["ab", "b"]);
});

test("groups have their numbers and names", () => {
  const user = pattern("^/(?<user>\\w+)/(?P<page>\\w+)(?'rest'/.*)?(x)?$");
  expect(user.names).toEqual([
    ["user", 1],
    ["page", 2],
    ["rest", 3],
  ]);
  expect(user.groupCount).toBe(4);
  expect(user.exec("/anna/home")).toEqual(["/anna/home", "anna", "home", "", ""]);
  expect(user.exec("/anna")).toBeUndefined();
});

test("references", () => {
  check([
    ["^(a|b)\\1$", ["aa", "bb"], ["ab"]],
    ["^(?<n>a|b)\\k<n>(?P=n)\\k{n}\\k'n'\\g{n}$", ["aaaaaa"], ["aaaaab"]],
    ["^(a|b)(c)\\g{-1}\\g1\\g{2}$", ["accac"], ["acaac"]],
    ["^(a)\\10$", ["a\x08"], ["a0"]],
    ["^(a)(?:\\1)0$", ["aa0"], []],
  ]);
});

test("what is possessive or atomic gives nothing back, and the other groups keep their numbers", () => {
  check([
    ["^a++a", [], ["aaa"]],
    ["^(?>a|ab)c", ["ac"], ["abc"]],
    ["^[^/]*+/", ["ab/"], ["ab"]],
    ["^(?:a{1,2}+b)+$", ["aabab"], ["aaab"]],
  ]);
  const both = pattern("^(a)(?>(b+)|x)(c)++\\3?(?<end>d)$");
  expect(both.exec("abbccd")).toEqual(["abbccd", "a", "bb", "c", "d"]);
  expect(both.groupCount).toBe(4);
  expect(both.names).toEqual([["end", 4]]);
  expect(pattern("(a)(?>b)").exec("ab")).toEqual(["ab", "a"]);
});

test("assertions", () => {
  check([
    ["^/(?!admin).*(?<!\\.bak)$", ["/a"], ["/admin", "/a.bak"]],
    ["^(?=.*x)(?<=^)a", ["abx"], ["ab"]],
    ["^(?=a)*b", ["b"], []],
  ]);
});

test("what cannot be is told as PCRE2 tells it, with its place", () => {
  const cases: [string, string][] = [
    ["(a", 'missing closing parenthesis in "(a"'],
    ["a)b", 'unmatched closing parenthesis in "a)b" at ")b"'],
    ["*a", 'quantifier does not follow a repeatable item in "*a" at "*a"'],
    ["a**", 'quantifier does not follow a repeatable item in "a**" at "*"'],
    ["[a", 'missing terminating ] for character class in "[a"'],
    ["[z-a]", 'range out of order in character class in "[z-a]" at "a]"'],
    ["[\\w-.]x", 'invalid range in character class in "[\\w-.]x" at "-.]x"'],
    ["[[:foo:]]", 'unknown POSIX class name in "[[:foo:]]" at "foo:]]"'],
    ["a{3,2}b", 'numbers out of order in {} quantifier in "a{3,2}b" at "}b"'],
    ["a\\", '\\ at end of pattern in "a\\"'],
    ["\\y", 'unrecognized character follows \\ in "\\y" at "y"'],
    ["(a)\\2", 'reference to non-existent subpattern in "(a)\\2" at "2"'],
    ["(?z)", 'unrecognized character after (? or (?- in "(?z)" at "z)"'],
    ["(?<1>a)", 'subpattern name must start with a non-digit in "(?<1>a)" at "1>a)"'],
    ["(?<a>b)(?<a>c)", 'two named subpatterns have the same name (PCRE2_DUPNAMES not set) in "(?<a>b)(?<a>c)" at "c)"'],
    ["\\x{100}", 'character code point value in \\x{} or \\o{} is too large in "\\x{100}" at "}"'],
    ["(?R)", 'recursion and calls of subpatterns are not supported in "(?R)" at ")"'],
  ];
  for (const [source, message] of cases) expect(compileRegex(source, false)).toBe(`pcre2_compile() failed: ${message}`);
});
