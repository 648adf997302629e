import { describe, expect, test } from "bun:test";
import { decodePath, encodePath, encodeQuery, normalizePath } from "./path.ts";

describe("normalizePath", () => {
  test.each(["/", "/a", "/a/b.txt", "/a/b/", "/a..b/c...", "/a;v=1/b", "/~u/a b", "/caf\xc3\xa9", "*"])(
    "leaves %p as it is",
    (path) => {
      expect(normalizePath(path)).toBe(path);
    },
  );

  test.each([
    ["/a//b", "/a/b"],
    ["//evil.example/", "/evil.example/"],
    ["///", "/"],
    ["/./", "/"],
    ["/.", "/"],
    ["/a/.", "/a/"],
    ["/a/./b", "/a/b"],
    ["/a/..", "/"],
    ["/a/b/..", "/a/"],
    ["/a/../b", "/b"],
    ["/a//../b", "/b"],
    ["/a/b/../../c", "/c"],
    ["/.hidden", "/.hidden"],
    ["/...", "/..."],
    ["/..a/b", "/..a/b"],
    ["/a%20b", "/a b"],
    ["/caf%C3%A9", "/caf\xc3\xa9"],
    ["/caf%c3%a9", "/caf\xc3\xa9"],
    ["/a/%2e%2e/b", "/b"],
    ["/a/%2E./b", "/b"],
    ["/a%2fb", "/a/b"],
    ["/a%2f%2e%2e%2fb", "/b"],
    ["/a%2f%2fb", "/a/b"],
    ["/%2e%2e%2e", "/..."],
    // Decoded once: these are names, however odd.
    ["/%252e%252e/a", "/%2e%2e/a"],
    ["/a%5c..%5cb", "/a\\..\\b"],
    // Overlong UTF-8 of "." is not a dot: bytes are not read as UTF-8.
    ["/%c0%ae%c0%ae/a", "/\xc0\xae\xc0\xae/a"],
    ["/a%3fb%23c", "/a?b#c"],
    ["/%25", "/%"],
  ])("makes %p into %p", (raw, path) => {
    expect(normalizePath(raw)).toBe(path);
  });

  test.each([
    "",
    "a",
    "**",
    "/..",
    "/../",
    "/../etc/passwd",
    "/a/../../b",
    "/a/../..",
    "//..",
    "/./..",
    "/%2e%2e/etc/passwd",
    "/..%2fetc/passwd",
    "/%2e%2e%2f%2e%2e%2fetc",
    "/a\0b",
    "/%00",
    "/a%00.txt",
    "/%",
    "/%2",
    "/%zz",
    "/%2g",
    "/%-1",
    "/a%",
    "/% 41",
  ])("refuses %p", (raw) => {
    expect(normalizePath(raw)).toBeUndefined();
  });

  test("result is a fixed point unless it holds a percent sign", () => {
    for (const raw of ["/a//b/../c/./d", "/%2e/%2f/x", "/a/b/..", "/.a/.b"]) {
      const path = normalizePath(raw) ?? "";
      expect(normalizePath(path)).toBe(path);
    }
  });

  test("never leaves a dot segment, whatever the bytes", () => {
    const pieces = ["/", ".", "..", "a", "%2e", "%2F", "%5c", "%25", "%", "\\", ";"];
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    for (let round = 0; round < 20_000; round++) {
      const raw = `/${Array.from({ length: random(9) }, () => pieces[random(pieces.length)]).join("")}`;
      const path = normalizePath(raw);
      if (path === undefined) continue;
      expect(path.startsWith("/")).toBe(true);
      expect(path).not.toMatch(/\/\/|\/\.\.?(\/|$)/);
    }
  });
});

test("decodePath decodes and does nothing else", () => {
  expect(decodePath("/a//../%2e%2E/%41")).toBe("/a//../../A");
  expect(decodePath("/plain")).toBe("/plain");
  expect(decodePath("")).toBe("");
  expect(decodePath("/%4")).toBeUndefined();
  expect(decodePath("/%00")).toBeUndefined();
});

test("encodePath leaves nothing that could be taken for another part of a URI", () => {
  expect(encodePath("/a b/caf\xc3\xa9?x#y%z\\w")).toBe("/a%20b/caf%C3%A9%3Fx%23y%25z%5Cw");
  expect(encodePath("/a\r\nSet-Cookie: b=1")).toBe("/a%0D%0ASet-Cookie:%20b=1");
  for (let byte = 1; byte < 256; byte++) {
    const path = `/x${String.fromCharCode(byte)}y`;
    expect(decodePath(encodePath(path))).toBe(path);
    expect(encodePath(path)).toMatch(/^[!-~]+$/);
  }
});

test("encodeQuery keeps a query as it came and on one line", () => {
  expect(encodeQuery("a=1&b=%20+[x]|{y}'\"")).toBe("a=1&b=%20+[x]|{y}'\"");
  expect(encodeQuery("a\r\nb\x7f\xe9 ")).toBe("a%0D%0Ab%7F%E9%20");
});
