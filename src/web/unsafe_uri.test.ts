import { expect, test } from "bun:test";
import { innerUri } from "./unsafe_uri.ts";

test("path and arguments; only the path is decoded", () => {
  expect(innerUri("/a%20b?c=%20?d")).toEqual({ uri: "/a b", args: "c=%20?d" });
  expect(innerUri("/a%3fb")).toEqual({ uri: "/a?b", args: "" });
  expect(innerUri("/a..b/...")).toEqual({ uri: "/a..b/...", args: "" });
});

for (const unsafe of ["", "?a", "..", "../a", "/a/..", "/a/../b", "/%2e%2e/a", "/a%2f..%2fb", "/a%00", "/a\0", "/%zz"])
  test(`${JSON.stringify(unsafe)} is unsafe`, () => expect(innerUri(unsafe)).toBeUndefined());
