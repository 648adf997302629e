import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { bodyStartFor, decodeEntry, type EntryHead, encodeEntry } from "./entry.ts";
import { keyOfFile, openEntry } from "./entry_file.ts";

const directory = mkdtempSync(join(tmpdir(), "alicorn-entry-"));
afterAll(() => rmSync(directory, { recursive: true }));

const head: EntryHead = {
  key: "http://a/\xe4?x=1",
  status: 200,
  reason: "",
  fields: [
    ["Content-Type", "text/plain"],
    ["X-Name", "J\xf6rg"],
  ],
  date: 1_700_000_000.25,
  age: 3,
  validUntil: 1_700_000_060,
  updatingUntil: 1_700_000_060,
  errorUntil: 1_700_000_060,
  mustRevalidate: false,
  vary: "accept-encoding",
  variant: "0123456789abcdef",
  family: "f",
  isHead: false,
};

const content = Buffer.from("the content\xff", "latin1");

function file(body = content, of = head): Buffer {
  const shape = { bodyStart: bodyStartFor(of), bodyLength: body.length, bodyCrc: crc32(body), id: 7 };
  return Buffer.concat([encodeEntry(of, shape) ?? Buffer.alloc(0), body]);
}

test("what is written is what is read", () => {
  const bytes = file();
  const entry = decodeEntry(bytes, bytes.length);
  expect(entry?.head).toEqual(head);
  expect(entry).toMatchObject({ bodyStart: bytes.length - content.length, bodyLength: content.length, id: 7 });
});

test("a torn file of any length is no entry", () => {
  const bytes = file();
  for (let length = 0; length < bytes.length; length++)
    expect(decodeEntry(bytes.subarray(0, length), length)).toBeUndefined();
  expect(decodeEntry(bytes, bytes.length + 1)).toBeUndefined();
});

test("a changed byte before the content is noticed, wherever it is", () => {
  const bytes = file();
  for (let i = 0; i < bytes.length - content.length; i++) {
    const torn = Buffer.from(bytes);
    torn[i] = (torn[i] ?? 0) ^ 0x20;
    expect(decodeEntry(torn, torn.length)).toBeUndefined();
  }
});

test("half of an old head and half of a new one are none", () => {
  const before = file();
  const after = file(content, { ...head, validUntil: head.validUntil + 1000 });
  expect(after.length).toBe(before.length);
  const start = before.length - content.length;
  let mixtures = 0;
  for (let i = 1; i < start; i++) {
    const mixed = Buffer.concat([after.subarray(0, i), before.subarray(i)]);
    if (mixed.equals(after) || mixed.equals(before)) continue;
    mixtures++;
    expect(decodeEntry(mixed, mixed.length)).toBeUndefined();
  }
  expect(mixtures).toBeGreaterThan(0);
});

test("a head that has grown too much for its place is refused", () => {
  const shape = { bodyStart: bodyStartFor(head), bodyLength: 0, bodyCrc: 0, id: 1 };
  const fields = (length: number): EntryHead => ({ ...head, fields: [...head.fields, ["X-Long", "x".repeat(length)]] });
  expect(encodeEntry(fields(50), shape)).toBeDefined();
  expect(encodeEntry(fields(2000), shape)).toBeUndefined();
});

const written = (name: string, bytes: Buffer): string => {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
};

test("a file of any torn length, or with torn content, is not opened", async () => {
  const bytes = file();
  for (let length = 0; length < bytes.length; length += 13)
    expect(await openEntry(written("torn", bytes.subarray(0, length)), head.key)).toBe("broken");
  const other = Buffer.from(bytes);
  other[bytes.length - 1] = 0;
  expect(await openEntry(written("other", other), head.key)).toBe("broken");
});

test("small contents come as bytes, large ones as an open file, none as nothing", async () => {
  const small = await openEntry(written("small", file()), head.key);
  expect(small).toMatchObject({ body: { kind: "bytes", bytes: content } });
  const large = await openEntry(written("large", file(Buffer.alloc(70_000, "x"))), head.key);
  expect(large).toMatchObject({ body: { kind: "file", length: 70_000 } });
  if (typeof large !== "string" && large.body.kind === "file") large.body.file.release();
  expect(await openEntry(written("empty", file(Buffer.alloc(0))), head.key)).toMatchObject({ body: { kind: "empty" } });
});

test("a long head is read whole", async () => {
  const long: EntryHead = { ...head, fields: [["X-Long", "x".repeat(20_000)]] };
  const path = written("long", file(content, long));
  expect(await openEntry(path, head.key)).toMatchObject({ head: { fields: long.fields } });
  expect(keyOfFile(path)).toBe(head.key);
});

test("another key's file is not taken for this one's; what is not there is missing", async () => {
  const path = written("foreign", file());
  expect(await openEntry(path, "http://a/other")).toBe("foreign");
  expect(await openEntry(join(directory, "nothing"), head.key)).toBe("missing");
  expect(keyOfFile(join(directory, "nothing"))).toBeUndefined();
});
