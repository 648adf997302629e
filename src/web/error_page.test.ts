import { expect, test } from "bun:test";
import { bodyText, exchangeFor } from "../../tests/support/exchange.ts";
import { errorReply, redirectPage } from "./error_page.ts";

test("a page names the status and nothing about us", async () => {
  const reply = errorReply(404);
  const text = await bodyText(reply);
  expect(reply.head.status).toBe(404);
  expect(reply.head.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(reply.head.headers.get("content-length")).toBe(String(text.length));
  expect(text).toContain("<title>404 Not Found</title>");
  expect(text).not.toMatch(/alicorn|bun|\d+\.\d+\.\d+/i);
});

test("pages are made once, further fields belong to one reply", () => {
  const plain = errorReply(405);
  const allowing = errorReply(405, ["Allow", "GET"]);
  expect(allowing.head.headers.get("allow")).toBe("GET");
  expect(errorReply(405).head.headers.get("allow")).toBeUndefined();
  expect(errorReply(405).body).toBe(plain.body);
  expect(errorReply(405).head).not.toBe(plain.head);
});

test("what has no content has none, and an unknown status has a page", async () => {
  for (const status of [204, 205, 304]) expect(errorReply(status)).toMatchObject({ body: { kind: "empty" } });
  expect(errorReply(204).head.headers.size).toBe(0);
  expect(await bodyText(errorReply(599))).toContain("599 Error");
});

test("a redirect says where to", () => {
  const reply = redirectPage(exchangeFor("/"), 308, "/there?x=1");
  expect(reply.head.status).toBe(308);
  expect(reply.head.headers.get("location")).toBe("/there?x=1");
});
