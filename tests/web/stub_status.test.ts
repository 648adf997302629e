/** ngx_http_stub_status_module */
import { expect, test } from "bun:test";
import { until } from "../support/server.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";
import { Client } from "../support/socket.ts";

const site = testSite(
  `
  add_header X-Connections "$connections_active $connections_reading $connections_writing $connections_waiting" always;
  server {
    listen 127.0.0.1:PORT;
    location /status { stub_status; location /status/inner { } }
    location /old-style { stub_status on; }
    location /slow { limit_rate 100; }
  }`,
  { slow: "slow".repeat(1000), "status/inner": "inner" },
);

interface Status {
  readonly active: number;
  readonly accepted: number;
  readonly handled: number;
  readonly requests: number;
  readonly reading: number;
  readonly writing: number;
  readonly waiting: number;
}

async function status(): Promise<Status> {
  const found =
    /^Active connections: (\d+) \nserver accepts handled requests\n (\d+) (\d+) (\d+) \nReading: (\d+) Writing: (\d+) Waiting: (\d+) \n$/.exec(
      bodyOf(await site.get("/status")),
    );
  const [active = -1, accepted = -1, handled = -1, requests = -1, reading = -1, writing = -1, waiting = -1] = (
    found ?? []
  )
    .slice(1)
    .map(Number);
  return { active, accepted, handled, requests, reading, writing, waiting };
}

const becomes = (wanted: Partial<Status>) =>
  until(async () => Bun.deepMatch(wanted, await status()), JSON.stringify(wanted));

test("nothing but the question itself", async () => {
  await becomes({ active: 1, reading: 0, writing: 1, waiting: 0 });
  const before = await status();
  const after = await status();
  expect(after).toEqual({
    ...before,
    accepted: before.accepted + 1,
    handled: before.accepted + 1,
    requests: before.requests + 1,
  });
});

test("what connections are doing", async () => {
  using client = await Client.open(site.server.port);
  await becomes({ active: 2, reading: 0, writing: 1, waiting: 1 });
  client.send("GET /slow HTTP/1.1\r\n");
  await becomes({ active: 2, reading: 1, writing: 1, waiting: 0 });
  client.send("Host: a\r\n\r\n");
  await client.read(/slow/);
  await becomes({ active: 2, reading: 0, writing: 2, waiting: 0 });
});

test("connections that break off count no more", async () => {
  const [begun, sent] = [await Client.open(site.server.port), await Client.open(site.server.port)];
  begun.send("GET /slow HTTP/1.1\r\n");
  sent.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await sent.read(/slow/);
  await becomes({ active: 3, reading: 1, writing: 2 });
  for (const client of [begun, sent]) client[Symbol.dispose]();
  await becomes({ active: 1, reading: 0, writing: 1, waiting: 0 });
});

test("a request that is refused, and one after it on the same connection", async () => {
  using client = await Client.open(site.server.port);
  client.send("GET /none HTTP/1.1\r\nHo");
  await becomes({ reading: 1 });
  client.send("st: a\r\n\r\n");
  await client.read(/<\/html>/);
  await becomes({ active: 2, reading: 0, writing: 1, waiting: 1 });
});

test("as variables, in other places too", async () => {
  await becomes({ active: 1 });
  expect(fieldOf(await site.get("/none"), "X-Connections")).toBe("1 0 1 0");
});

test("plain text, for GET and HEAD", async () => {
  const response = await site.get("/old-style");
  expect(fieldOf(response, "Content-Type")).toBe("text/plain");
  expect(bodyOf(response)).toStartWith("Active connections: ");
  const head = await site.request("HEAD", "/status");
  expect(head).toStartWith("HTTP/1.1 200 ");
  expect(bodyOf(head)).toBe("");
  expect(await site.request("POST", "/status", "Content-Length: 0")).toStartWith("HTTP/1.1 405 ");
});

test("it does not come down into inner locations", async () => {
  expect(bodyOf(await site.get("/status/inner"))).toBe("inner");
});
