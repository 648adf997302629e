import { expect, test } from "bun:test";
import { gunicornPolicy, strictPolicy } from "./policy.ts";
import { isAuthority, isLooseAuthority, parseTarget } from "./target.ts";

test("hosts and ports (RFC 3986 3.2.2, 3.2.3)", () => {
  const valid = [
    "a",
    "a.b",
    "a-b_c~d",
    "A:80",
    "a:",
    "a:0",
    "a:65535",
    "127.0.0.1:80",
    "0.0.0.0=5000",
    "%41",
    "a;b,c",
    "[::]",
    "[::1]:80",
    "[1:2:3:4:5:6:7:8]",
    "[1::8]",
    "[::ffff:1.2.3.4]",
    "[1:2:3:4:5:6:1.2.3.4]",
    "[v1.a:b]",
  ];
  for (const text of valid) expect([text, isAuthority(text)]).toEqual([text, true]);
  const invalid = [
    "",
    ":80",
    "a:b",
    "a:65536",
    "a:-1",
    "a:+1",
    "a:1:2",
    "a b",
    "a/",
    "a?",
    "a#",
    "a@b",
    "a\\b",
    'a"',
    "a<b",
    "%",
    "%4",
    "%4g",
    "\xe9",
    "\u0100",
    "[",
    "[]",
    "[:]",
    "[:::]",
    "[::1",
    "[::1]x",
    "[::1]:x",
    "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]",
    "[1:2:3:4:5:6:7::8]",
    "[1::2::3]",
    "[12345::]",
    "[g::]",
    "[::1.2.3]",
    "[::1.2.3.256]",
    "[1.2.3.4]",
    "[fe80::1%25eth0]",
    "::1",
  ];
  for (const text of invalid) expect([text, isAuthority(text)]).toEqual([text, false]);
});

test("forms that the policies treat alike", () => {
  expect(parseTarget("/a?b", "GET", strictPolicy)).toEqual({ path: "/a", query: "b", authority: undefined });
  expect(parseTarget("http://[::1]:8/a?b", "GET", strictPolicy)).toEqual({
    path: "/a",
    query: "b",
    authority: "[::1]:8",
  });
  expect(parseTarget("a:443", "CONNECT", strictPolicy)).toEqual({ path: "/", query: "", authority: "a:443" });
  expect(parseTarget("a", "CONNECT", strictPolicy)).toHaveProperty("status", 400);
  expect(parseTarget("https:/a", "GET", strictPolicy)).toHaveProperty("status", 400);
});

test("user information is refused, or thrown away", () => {
  expect(parseTarget("http://u:p@a@b/", "GET", strictPolicy)).toHaveProperty("status", 400);
  expect(parseTarget("http://u:p@b/", "GET", gunicornPolicy)).toEqual({ path: "/", query: "", authority: "b" });
});

test("hosts and ports as Nginx takes them", () => {
  const valid = [
    "l",
    "a.b.",
    "a.b:",
    "a.b.:80",
    ".a",
    "a_b~!$&'()*+,;=%",
    "[::1]",
    "[::1]:80",
    "[x.y]",
    "a:65535",
    "127.0.0.1",
  ];
  for (const text of valid) expect([text, isLooseAuthority(text)]).toEqual([text, true]);
  const invalid = [
    "",
    ".",
    ".:80",
    ":80",
    "..a",
    "a..b",
    "a..",
    "a:65536",
    "a:1.2",
    "a:1:2",
    "a/b",
    "a\\b",
    "a@b",
    "a b",
    "a\x02",
    "\xe9",
    "[]",
    "[::1",
    "[a..b]",
    "[::1].",
    "[::1].:8",
    "[/]",
    "x[::1]",
  ];
  for (const text of invalid) expect([text, isLooseAuthority(text)]).toEqual([text, false]);
});
