import { expect, test } from "bun:test";
import { findUser, nobody } from "./users.ts";

test("users and groups by name", () => {
  expect(findUser("root", undefined)).toEqual({ name: "root", uid: 0, gid: 0 });
  expect(findUser("root", "daemon")).toMatchObject({ uid: 0, gid: 1 });
  expect(findUser("no such one", undefined)).toBe('getpwnam("no such one") failed');
  expect(findUser("root", "no such one")).toBe('getgrnam("no such one") failed');
  expect(nobody()).toMatchObject({ name: "nobody" });
});
