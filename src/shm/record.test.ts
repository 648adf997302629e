import { expect, test } from "bun:test";
import { fieldsText, recordLayout } from "./record.ts";

test("doubles are aligned, a word fills the gap before them", () => {
  const { fields, end } = recordLayout({ excess: "f64", last: "f64", count: "u32" }, 28);
  expect([fields.count.offset, fields.excess.offset, fields.last.offset, end]).toEqual([28, 32, 40, 48]);
});

test("without a word for it the gap stays", () => {
  const { fields, end } = recordLayout({ a: "f64" }, 28);
  expect([fields.a.offset, end]).toEqual([32, 40]);
});

test("words only, or nothing", () => {
  expect(recordLayout({ a: "u32", b: "i32" }, 28).end).toBe(36);
  expect(recordLayout({ a: "u32", b: "i32" }, 32).fields.b.offset).toBe(36);
  expect(recordLayout({}, 28).end).toBe(28);
});

test("a layout's text", () => {
  expect(fieldsText({ excess: "f64", count: "u32" })).toBe("excess:f64,count:u32");
});
