import { expect, test } from "bun:test";
import { Headers } from "../headers.ts";
import { parseLength, requestBodyLength, responseFraming } from "./framing.ts";

const none: ReadonlySet<string> = new Set();

test("a length is digits and nothing else, up to 2^53 - 1", () => {
  expect(["0", "7", "007", "9007199254740991"].map(parseLength)).toEqual([0, 7, 7, 9007199254740991]);
  const invalid = [
    "",
    " ",
    "+1",
    "-1",
    "-0",
    "1.0",
    "1e3",
    "0x1",
    "1_0",
    "1 ",
    " 1",
    "1,1",
    "\u0661",
    "\xb2",
    "9007199254740992",
  ];
  for (const text of invalid) expect([text, parseLength(text)]).toEqual([text, undefined]);
});

test("no field, no body; what is neither doesn't matter", () => {
  expect(requestBodyLength(new Headers(), 11, none)).toBe(0);
  expect(requestBodyLength(Headers.of(["Content-Length", "5"]), 10, none)).toBe(5);
  expect(requestBodyLength(Headers.of(["Transfer-Encoding", "chunked"]), 11, none)).toBe(-1);
});

test("how responses end (RFC 9112 6.3)", () => {
  const table = [
    [responseFraming(true, 11, 200, 5), "none"],
    [responseFraming(false, 11, 204, undefined), "none"],
    [responseFraming(false, 11, 304, 5), "none"],
    [responseFraming(false, 11, 101, undefined), "none"],
    [responseFraming(false, 11, 200, 0), "length"],
    [responseFraming(false, 10, 200, 5), "length"],
    [responseFraming(false, 11, 200, undefined), "chunked"],
    [responseFraming(false, 10, 200, undefined), "close"],
  ] as const;
  for (const [found, wanted] of table) expect(found).toBe(wanted);
});
