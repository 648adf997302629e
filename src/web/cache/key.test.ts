import { expect, test } from "bun:test";
import { Headers } from "../../http/headers.ts";
import { entryPath, hashOfName, keyHash, variantHash } from "./key.ts";

test("files are named by the MD5 of the key, in directories of its last digits", () => {
  const hash = keyHash("a");
  expect(entryPath("/c", [], hash)).toBe("/c/0cc175b9c0f1b6a831c399e269772661");
  expect(entryPath("/c", [1, 2], hash)).toBe("/c/1/66/0cc175b9c0f1b6a831c399e269772661");
  expect(entryPath("/c", [2, 2, 2], hash)).toBe("/c/61/26/77/0cc175b9c0f1b6a831c399e269772661");
  expect(hashOfName("0cc175b9c0f1b6a831c399e269772661")).toBe(hash);
  for (const name of ["x", "0cc175b9c0f1b6a831c399e26977266", "0cc175b9c0f1b6a831c399e269772661.1"])
    expect(hashOfName(name)).toBeUndefined();
});

const variant = (vary: string, ...fields: readonly (readonly [string, string])[]) =>
  variantHash(keyHash("a"), "f", vary, Headers.of(...fields));

test("variants differ in the fields that are named, and in no others", () => {
  expect(variant("foo", ["Foo", "1"], ["Bar", "2"])).toBe(variant("foo", ["foo", "1"]));
  expect(variant("foo", ["Foo", "1"])).not.toBe(variant("foo", ["Foo", "2"]));
  expect(variant("foo", ["Foo", ""])).not.toBe(variant("foo"));
  expect(variant("foo,bar", ["Foo", "1"])).not.toBe(variant("foo,bar", ["Bar", "1"]));
});

test("lists are compared without what means nothing in them", () => {
  const of = (...values: string[]) => variant("accept-encoding", ...values.map((v) => ["Accept-Encoding", v] as const));
  for (const same of ["foo,bar", "foo,,  ,bar , ", "Foo, BAR"]) expect(of(same)).toBe(of("foo, bar"));
  expect(of("foo", "bar")).toBe(of("foo, bar"));
  expect(of("foobar")).not.toBe(of("foo, bar"));
});
