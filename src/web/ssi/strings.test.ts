import { expect, test } from "bun:test";
import { encode, evaluate, parseExpression } from "./strings.ts";

const variables: Record<string, string> = { a: "A", b_1: "$a" };
const lookup = (name: string): string | undefined => variables[name];

const strings: readonly [text: string, value: string][] = [
  ["plain", "plain"],
  ["$a-$" + "{b_1}x$A", "A-$axA"],
  ["[$none]", "[]"],
  ["\\$a \\\\ \\' \\\" \\n", "$a \\ ' \" \\n"],
  ["$a\\$a\\\\$a", "A$a\\A"],
  ["end\\", "end"],
];

for (const [text, value] of strings) test(`${text} is ${value}`, () => expect(evaluate(text, lookup)).toBe(value));

const faults: readonly [text: string, message: string][] = [
  ["a $", 'invalid variable name in "a $"'],
  ["${", 'invalid variable name in "${"'],
  ["$-", 'invalid variable name in "$-"'],
  ["$" + "{a b}", 'the closing bracket in "a" variable is missing'],
];

for (const [text, message] of faults)
  test(`${text} is a fault`, () => expect(() => evaluate(text, lookup)).toThrow(message));

test("expressions", () => {
  expect(parseExpression("$Name")).toEqual({ left: "$name", right: undefined });
  const right = { text: "b c", isRegex: false, isNegative: false };
  expect(parseExpression("$a = b c")).toEqual({ left: "$a", right });
  expect(parseExpression("$a!=b c")).toEqual({ left: "$a", right: { ...right, isNegative: true } });
  expect(parseExpression("$a = /b c/")).toEqual({ left: "$a", right: { ...right, isRegex: true } });
  expect(parseExpression("$a = \\/x/")).toEqual({ left: "$a", right: { ...right, text: "/x/" } });
  for (const bad of ["$a = /b", "$a ~ b", "a.b"])
    expect(() => parseExpression(bad)).toThrow(`invalid expression in "${bad}"`);
});

test("encodings", () => {
  const text = "<a&b> \"'%[]";
  expect(encode(text, "none")).toBe(text);
  expect(encode(text, "entity")).toBe("&lt;a&amp;b&gt; &quot;'%[]");
  expect(encode(text, "url")).toBe("%3Ca&b%3E%20%22%27%25[]");
});
