import { describe, expect, test } from "bun:test";
import { bareLocation, exchangeFor } from "../../tests/support/exchange.ts";
import type { ClientLimits } from "../web/limits.ts";
import { mayFollow } from "./keep_alive.ts";

/** May another request follow a first GET? */
function follows(limits: Partial<ClientLimits>, { agent = "", method = "GET", requests = 1, ageMs = 0 } = {}): boolean {
  const exchange = exchangeFor("/", { method, at: 10_000, headers: agent === "" ? {} : { "User-Agent": agent } });
  exchange.client = { ...exchange.client, requests, acceptedAt: exchange.startedAt - ageMs };
  return mayFollow(exchange, { ...bareLocation.limits, ...limits });
}

test("unless something speaks against it", () => {
  expect(follows({})).toBe(true);
});

test("not where the response has decided that the connection closes", () => {
  const exchange = exchangeFor("/");
  exchange.closes = true;
  expect(mayFollow(exchange, bareLocation.limits)).toBe(false);
});

test("keepalive_timeout 0: never", () => {
  expect(follows({ keepAliveTimeoutMs: 0 })).toBe(false);
});

test("keepalive_requests: the last of them closes", () => {
  const counts = [1, 2, 3, 4].map((requests) => follows({ keepAliveRequests: 3 }, { requests }));
  expect(counts).toEqual([true, true, false, false]);
});

test("keepalive_time: not on a connection of that age", () => {
  expect([999, 1000].map((ageMs) => follows({ keepAliveMs: 1000 }, { ageMs }))).toEqual([true, false]);
});

describe("keepalive_disable", () => {
  const msie6 = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)";
  const safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X) AppleWebKit/312.1 (KHTML, like Gecko) Safari/312";
  const chrome =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
  for (const [disabled, agent, method, may] of [
    [["msie6"], msie6, "POST", false],
    [["msie6"], msie6, "GET", true],
    [["msie6"], msie6.replace("6.0", "7.0"), "POST", true],
    [["msie6"], `${msie6} Opera 7.0`, "POST", true],
    [["msie6"], safari, "POST", true],
    [["msie6"], "", "POST", true],
    [["safari"], safari, "GET", false],
    [["safari"], safari, "POST", false],
    [["safari"], chrome, "POST", true],
    [["safari"], msie6, "POST", true],
    [["msie6", "safari"], safari, "GET", false],
    [[], msie6, "POST", true],
  ] as const)
    test(`${disabled.join(" ")}: ${method} of ${agent || "nobody"}`, () =>
      expect(follows({ keepAliveDisabled: disabled }, { agent, method })).toBe(may));
});
