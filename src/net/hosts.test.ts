import { expect, test } from "bun:test";
import { lookUpHost } from "./hosts.ts";

test("the system's hosts are found", () => {
  expect(lookUpHost("localhost")).toContainEqual({ family: 4, host: "127.0.0.1" });
  expect(lookUpHost("192.0.2.1")).toEqual([{ family: 4, host: "192.0.2.1" }]);
  expect(lookUpHost("2001:db8::1")).toEqual([{ family: 6, host: "2001:db8::1" }]);
});

test("what is no host has no addresses", () => {
  for (const name of ["", "a..b", "no host", "nul\0byte"]) expect(lookUpHost(name)).toEqual([]);
});
