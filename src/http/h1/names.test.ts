import { expect, test } from "bun:test";
import { fieldName } from "../headers.ts";
import { hashStep, nameAt } from "./names.ts";

function known(raw: string) {
  const bytes = Buffer.from(`..${raw}:`, "latin1");
  let hash = 0;
  for (const byte of Buffer.from(raw, "latin1")) hash = hashStep(hash, byte);
  return nameAt(bytes, 2, 2 + raw.length, hash);
}

test("a name is found again under its spelling, and is the interned one", () => {
  expect(known("Host")).toBe(known("Host"));
  expect(known("Host").name).toBe(fieldName("Host"));
  expect(known("hOST").name.raw).toBe("hOST");
  expect(known("hOST").role).toBe("host");
});

test("names with the same hash are told apart, in any number", () => {
  // "Aa" and "BB" have the same hash, and so has every mixture of them.
  const mixtures = Array.from({ length: 64 }, (_, i) =>
    [0, 1, 2, 3, 4, 5].map((bit) => ((i >> bit) & 1 ? "Aa" : "BB")).join(""),
  );
  for (let round = 0; round < 2; round++) for (const raw of mixtures) expect(known(raw).name.raw).toBe(raw);
});

test("no number of names fills the table so that others are mistaken", () => {
  for (let i = 0; i < 20_000; i++) expect(known(`X-${i}`).name.raw).toBe(`X-${i}`);
  expect(known("Host")).toBe(known("Host"));
});
