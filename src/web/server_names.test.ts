import { describe, expect, test } from "bun:test";
import { exchangeFor } from "../../tests/support/exchange.ts";
import { compileRegex } from "../config/regex.ts";
import { type ServerName, ServerNames } from "./server_names.ts";

function regex(text: string): ServerName {
  const pattern = compileRegex(text, true);
  if (typeof pattern === "string") throw new Error(pattern);
  return { kind: "regex", pattern, captured: (exchange, found) => (exchange.captures = found) };
}

/** As in a configuration: "a.example", "*.example", ".example", "www.*", "~^re$"; each leads to its own text. */
function namesOf(...texts: readonly string[]): ServerNames<string> {
  const names = new ServerNames<string>();
  for (const text of texts) for (const name of read(text)) names.add(name, text);
  return names;
}

function read(text: string): ServerName[] {
  if (text.startsWith("~")) return [regex(text.slice(1))];
  if (text.startsWith("*.")) return [{ kind: "head", suffix: text.slice(1) }];
  if (text.startsWith("."))
    return [
      { kind: "exact", name: text.slice(1) },
      { kind: "head", suffix: text },
    ];
  return [text.endsWith(".*") ? { kind: "tail", prefix: text.slice(0, -1) } : { kind: "exact", name: text }];
}

const find = (names: ServerNames<string>, host: string): string | undefined => names.find(host, () => {});

describe("exact, then the longest *.name, then the longest name.*, then expressions in their order", () => {
  const names = namesOf(
    "~^(?:www|mail)\\.",
    "~^m",
    "www.example.com",
    "*.example.com",
    "*.deep.example.com",
    "www.*",
    "www.example.*",
    ".dot.org",
    "",
  );
  for (const [host, name] of [
    ["www.example.com", "www.example.com"],
    ["mail.example.com", "*.example.com"],
    ["a.b.example.com", "*.example.com"],
    ["a.deep.example.com", "*.deep.example.com"],
    ["deep.example.com", "*.example.com"],
    ["example.com", undefined],
    ["notexample.com", undefined],
    ["www.example.org", "www.example.*"],
    ["www.example.co.uk", "www.example.*"],
    ["www.other.org", "www.*"],
    ["www.com.evil", "www.*"],
    ["dot.org", ".dot.org"],
    ["a.dot.org", ".dot.org"],
    ["adot.org", undefined],
    ["mail.org", "~^(?:www|mail)\\."],
    ["mx.org", "~^m"],
    ["", ""],
    ["unknown", undefined],
  ] as const)
    test(`${host} is ${name}`, () => expect(find(names, host)).toBe(name));
});

test("the first who claims a name keeps it; expressions may be the same", () => {
  const names = new ServerNames<number>();
  const add = (text: string, value: number) => read(text).map((name) => names.add(name, value));
  expect([add("a", 1), add("a", 2)]).toEqual([[true], [false]]);
  expect([add("*.a", 1), add(".a", 2)]).toEqual([[true], [false, false]]);
  expect([add("a.*", 1), add("a.*", 2)]).toEqual([[true], [false]]);
  expect([add("~^x", 1), add("~^x", 2)]).toEqual([[true], [true]]);
  expect(names.find("x", () => {})).toBe(1);
});

test("an expression that decided tells of its match; another name does not", () => {
  const names = namesOf("~^(\\w+)\\.user\\.example$", "plain.user.example");
  const exchange = exchangeFor("/");
  const told = (host: string) => names.find(host, (name, found) => name.captured(exchange, found));
  told("plain.user.example");
  expect(exchange.captures).toBeUndefined();
  told("alice.user.example");
  expect(exchange.captures).toEqual(["alice.user.example", "alice"]);
});
