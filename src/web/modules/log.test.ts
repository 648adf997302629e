import { expect, test } from "bun:test";
import { exchangeFor } from "../../../tests/support/exchange.ts";
import { accessLog } from "./log.ts";

async function lineFor(target: string, headers: Record<string, string> = {}): Promise<string> {
  let lines = "";
  const log = accessLog((text) => {
    lines += text;
  });
  log(exchangeFor(target, { headers }), 200, 5);
  await new Promise((resolve) => setImmediate(resolve));
  return lines.replace(/\[[^\]]*\]/, "[…]");
}

test("the combined format", async () => {
  expect(await lineFor("/a?b", { "User-Agent": "curl", Referer: "http://x/" })).toBe(
    '127.0.0.1 - - […] "GET /a?b HTTP/1.1" 200 5 "http://x/" "curl"\n',
  );
  expect(await lineFor("/")).toEndWith('"-" "-"\n');
});

test("the user of Basic authentication", async () => {
  const basic = (pair: string) => ({ Authorization: `Basic ${Buffer.from(pair).toString("base64")}` });
  expect(await lineFor("/", basic("ann:secret"))).toStartWith("127.0.0.1 - ann […]");
  expect(await lineFor("/", basic('a"b\nc d:x'))).toStartWith("127.0.0.1 - a\\x22b\\x0Ac\\x20d […]");
  expect(await lineFor("/", { Authorization: "Bearer x" })).toStartWith("127.0.0.1 - - […]");
});

test("a client cannot end the quotes or the line", async () => {
  expect(await lineFor("/", { "User-Agent": 'x" 200 0\n127.0.0.1 \\ é' })).toEndWith(
    '"x\\x22 200 0\\x0A127.0.0.1 \\x5C \\xE9"\n',
  );
});

test("lines of one turn leave together", async () => {
  const writes: string[] = [];
  const log = accessLog((text) => writes.push(text));
  for (let i = 0; i < 3; i++) log(exchangeFor("/"), 200, i);
  await new Promise((resolve) => setImmediate(resolve));
  expect(writes).toHaveLength(1);
  expect(writes[0]!.split("\n")).toHaveLength(4);
});
