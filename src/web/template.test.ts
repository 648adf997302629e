// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax of variables.
import { describe, expect, test } from "bun:test";
import { exchangeFor } from "../../tests/support/exchange.ts";
import { ConfigError } from "../config/statement.ts";
import type { Exchange } from "./exchange.ts";
import { Template } from "./template.ts";
import { Variables } from "./variables.ts";

const at = { file: "nginx.conf", line: 7 };

function variables(): Variables {
  const known = new Variables();
  known.declare(
    {
      uri: { summary: "", get: ({ uri }) => uri },
      nothing: { summary: "", get: () => undefined },
      a_1: { summary: "", get: () => "one", plain: true },
    },
    { arg_: { summary: "", get: (rest) => () => `<${rest}>` } },
  );
  return known;
}

const exchange: Exchange = exchangeFor("/path");
exchange.captures = ["whole", "first", undefined];

function valued(text: string): string {
  const template = new Template(text, at);
  template.resolve(variables());
  return template.value(exchange);
}

describe("values", () => {
  for (const [text, value] of [
    ["", ""],
    ["text alone", "text alone"],
    ["$uri", "/path"],
    ["${uri}", "/path"],
    ["${uri}x$uri", "/pathx/path"],
    ["a$uri", "a/path"],
    ["$uri$uri$uri.", "/path/path/path."],
    ["$uri-$a_1.html", "/path-one.html"],
    ["${a_1}2", "one2"],
    ["$URI and $Uri", "/path and /path"],
    ["<$nothing>", "<>"],
    ["$nothing", ""],
    ["$arg_page$arg_X", "<page><x>"],
    // A digit is a capture, and one digit alone.
    ["$1", "first"],
    ["$10", "first0"],
    ["${1}0", "first0"],
    ["$0", "whole"],
    ["[$2][$9]", "[][]"],
  ] as const)
    test(JSON.stringify(text), () => expect(valued(text)).toBe(value));
});

test("without variables the value is known before any request", () => {
  expect(new Template("a b", at).constant).toBe("a b");
  expect(new Template("", at).constant).toBe("");
  expect(new Template("$uri", at).constant).toBeUndefined();
});

describe("what is no variable", () => {
  for (const [text, message] of [
    ["$", "invalid variable name"],
    ["a$", "invalid variable name"],
    ["a $ b", "invalid variable name"],
    ["$-x", "invalid variable name"],
    ["$$", "invalid variable name"],
    ["${}", "invalid variable name"],
    ["${", "invalid variable name"],
    ["${-}", 'the closing bracket in "" variable is missing'],
    ["${uri", 'the closing bracket in "uri" variable is missing'],
    ["x${uri-y}", 'the closing bracket in "uri" variable is missing'],
    ["$unknown", 'unknown "unknown" variable'],
    ["$uri${Unknown}", 'unknown "Unknown" variable'],
  ] as const)
    test(JSON.stringify(text), () => {
      try {
        valued(text);
        throw new Error("it was accepted");
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as ConfigError).message).toBe(`${message} in nginx.conf:7`);
      }
    });
});

test("it knows whether it uses captures", () => {
  expect(["$1", "a$uri", "$arg_1", "${0}x"].map((text) => new Template(text, at).usesCaptures)).toEqual([
    true,
    false,
    false,
    true,
  ]);
});

test("one whose variables nobody has looked up is a mistake of ours", () => {
  expect(() => new Template("$uri", at).value(exchange)).toThrow('"$uri" is used before its variables are known');
});

test("values, but not the text between them, pass through a change; plain ones through the cheap one", () => {
  const template = new Template("a$uri b$a_1 c$nothing d$1", at);
  template.mapValues({ any: () => (value) => `(${value})`, plain: (value) => `plain ${value}` });
  template.resolve(variables());
  expect(template.value(exchange)).toBe("a(/path) bplain one c(undefined) d(first)");
});
