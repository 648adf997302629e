import { expect, test } from "bun:test";
import type { Statement } from "../config/statement.ts";
import { Headers } from "../http/headers.ts";
import { Block } from "./build.ts";
import { context } from "./directive.ts";
import { isOfType, type MimeTypes, mediaType, mimeTypes } from "./mime_types.ts";
import { Setup } from "./setup.ts";

const row = mimeTypes({ summary: "" });
const setup = new Setup({ statements: [], prefix: "/", file: "/c", errorLog: "-" });

function parsed(before: MimeTypes | undefined, ...args: string[]): MimeTypes {
  const statement: Statement = { name: "x_types", args, at: { file: "/c", line: 1 }, block: undefined };
  return row.parse(statement, before, { setup, block: new Block(context.main), opened: undefined });
}

const having = (type: string): Headers => Headers.of(["Content-Type", type]);

test("HTML is always among them, other types are compared without case and parameters", () => {
  const types = parsed(undefined, "text/CSS");
  expect(isOfType(types, having("text/html; charset=utf-8"))).toBe(true);
  expect(isOfType(types, having("Text/Css"))).toBe(true);
  expect(isOfType(types, having("text/plain"))).toBe(false);
  expect(isOfType(types, new Headers())).toBe(false);
});

test("several statements add up; a type given twice is worth a warning", () => {
  const types = parsed(parsed(undefined, "a/b"), "c/d", "A/B");
  expect(types).toEqual(new Set(["text/html", "a/b", "c/d"]));
  expect(setup.warnings).toEqual([`duplicate MIME type "a/b" in /c:1`]);
});

test("a star stands for every reply, whatever else is said", () => {
  expect(parsed(undefined, "a/b", "*")).toBe("any");
  expect(parsed("any", "a/b")).toBe("any");
  expect(isOfType("any", new Headers())).toBe(true);
});

test("the media type of a field", () => {
  expect(mediaType("Text/HTML ; charset=x")).toBe("text/html");
  expect(mediaType("a/b")).toBe("a/b");
});
