/** What the HTTP/1 engine costs, in nanoseconds: `bun bench/micro/h1.ts`. Best of several runs, so read it as a floor. */
import type { EngineEvent } from "../../src/http/engine.ts";
import { classes, isValue } from "../../src/http/h1/classes.ts";
import { valueEnd } from "../../src/http/h1/fields.ts";
import { HeadReader } from "../../src/http/h1/head.ts";
import { hashStep, nameAt } from "../../src/http/h1/names.ts";
import { strictPolicy } from "../../src/http/h1/policy.ts";
import { H1Server } from "../../src/http/h1/server.ts";
import { writeHead } from "../../src/http/h1/write.ts";
import { fieldName, Headers } from "../../src/http/headers.ts";
import type { ResponseHead } from "../../src/http/message.ts";

const wrk = "GET / HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: wrk/4.1.0\r\nAccept: */*\r\n\r\n";
const browser = [
  "GET /shop/items?page=3&sort=price HTTP/1.1",
  "Host: www.example.com",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  "Accept-Language: en-US,en;q=0.5",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Referer: https://www.example.com/shop",
  "Connection: keep-alive",
  "Cookie: csrftoken=4f1c9a2b7d8e0f3a5b6c7d8e9f0a1b2c; sessionid=0123456789abcdefghijklmnopqrstuv",
  "Upgrade-Insecure-Requests: 1",
  "Sec-Fetch-Dest: document",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-Site: same-origin",
  "",
  "",
].join("\r\n");
const post = `POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n${"x".repeat(1000)}`;
const chunked = `POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${`64\r\n${"x".repeat(100)}\r\n`.repeat(10)}0\r\n\r\n`;

let sink: unknown;

/** `count`: how many of what is measured one `work` does. */
function measure(name: string, rounds: number, count: number, work: () => unknown): void {
  let best = Infinity;
  for (let run = 0; run < 15; run++) {
    const start = Bun.nanoseconds();
    for (let i = 0; i < rounds; i++) sink = work();
    best = Math.min(best, (Bun.nanoseconds() - start) / (rounds * count));
  }
  console.log(`${name.padEnd(52)} ${best.toFixed(0).padStart(6)} ns`);
}

function answer(): ResponseHead {
  const headers = Headers.of(
    ["Server", "alicorn"],
    ["Date", "Tue, 24 Nov 2026 11:00:00 GMT"],
    ["Content-Type", "text/html; charset=utf-8"],
    ["Content-Length", "13"],
  );
  return { status: 200, headers };
}

const head = answer();
const body = new TextEncoder().encode("Hello, world!");

function answerTo(engine: H1Server, events: readonly EngineEvent[]): void {
  let stream = 0;
  for (const event of events) if (event.type === "request") stream = event.stream;
  engine.sendHead(stream, head, false, "");
  engine.sendData(stream, body, true);
  sink = engine.takeOutput();
}

measure("write a head of 4 fields", 20000, 1, () => writeHead(head, true));
for (const [name, text] of Object.entries({
  "wrk, 3 fields": wrk,
  "browser, 12 fields": browser,
  "POST 1000 bytes": post,
  "POST 10 chunks": chunked,
})) {
  const bytes = Buffer.from(text);
  const engine = new H1Server();
  measure(`parse the head: ${name}`, 20000, 1, () => {
    const reader = new HeadReader(strictPolicy);
    reader.read(bytes, 0, bytes.length);
    return reader.finish();
  });
  measure(`exchange: ${name}`, 20000, 1, () => answerTo(engine, engine.receive(bytes)));
  measure(`exchange on a new engine: ${name}`, 20000, 1, () => {
    const fresh = new H1Server();
    answerTo(fresh, fresh.receive(bytes));
  });
  const half = bytes.length >> 1;
  const [front, back] = [Buffer.from(bytes.subarray(0, half)), Buffer.from(bytes.subarray(half))];
  const split = new H1Server();
  measure(`exchange in two parts: ${name}`, 20000, 1, () => {
    answerTo(split, [...split.receive(front), ...split.receive(back)]);
  });
}
const pipelined = Buffer.from(wrk.repeat(16));
const engine = new H1Server();
measure("exchange: one of 16 pipelined, wrk, 3 fields", 2000, 16, () => {
  let events = engine.receive(pipelined);
  while (events[0]?.type === "request") {
    answerTo(engine, events);
    events = engine.resume();
  }
});

// What comments in src/http/h1 claim.
const spelling = Buffer.from("Accept-Language: en");
measure("names.ts: a name by its bytes", 20000, 1, () => {
  let hash = 0;
  for (let i = 0; i < 15; i++) hash = hashStep(hash, spelling[i] ?? 0);
  return nameAt(spelling, 0, 15, hash);
});
measure("names.ts: … by cutting and looking up a string", 20000, 1, () => fieldName(spelling.latin1Slice(0, 15)));
const value = Buffer.from("x".repeat(1000));
measure("fields.ts: 100 bytes of value, one per turn", 2000, 10, () => {
  let i = 0;
  while (i < 1000 && ((classes[value[i] ?? 0] ?? 0) & isValue) !== 0) i++;
  return i;
});
measure("fields.ts: 100 bytes of value, four per turn", 2000, 10, () => valueEnd(value, 0, 1000));
console.log(sink === undefined ? "" : "(exchange: receive, sendHead of 4 fields, sendData, takeOutput)");
