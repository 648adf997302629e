/** What the HTTP/1 engine costs, in nanoseconds: `bun bench/micro/h1.ts`. Best of several runs, so read it as a floor. */
import type { EngineEvent } from "../../src/http/engine.ts";
import { H1Server } from "../../src/http/h1/server.ts";
import { Headers } from "../../src/http/headers.ts";
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

function measure(name: string, rounds: number, work: () => unknown): void {
  let best = Infinity;
  for (let run = 0; run < 15; run++) {
    const start = Bun.nanoseconds();
    for (let i = 0; i < rounds; i++) sink = work();
    best = Math.min(best, (Bun.nanoseconds() - start) / rounds);
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
  engine.sendHead(stream, head, false);
  engine.sendData(stream, body, true);
  sink = engine.takeOutput();
}

// Whole exchanges, and the same without the receiving: the difference is what parsing costs.
for (const [name, text] of Object.entries({
  "wrk, 3 fields": wrk,
  "browser, 12 fields": browser,
  "POST 1000 bytes": post,
  "POST 10 chunks": chunked,
})) {
  const bytes = Buffer.from(text);
  const engine = new H1Server();
  measure(`exchange: ${name}`, 20000, () => answerTo(engine, engine.receive(bytes)));
  measure(`exchange on a new engine: ${name}`, 20000, () => {
    const fresh = new H1Server();
    answerTo(fresh, fresh.receive(bytes));
  });
  const half = bytes.length >> 1;
  const [front, back] = [Buffer.from(bytes.subarray(0, half)), Buffer.from(bytes.subarray(half))];
  const split = new H1Server();
  measure(`exchange in two parts: ${name}`, 20000, () => {
    answerTo(split, [...split.receive(front), ...split.receive(back)]);
  });
}
const pipelined = Buffer.from(wrk.repeat(16));
const engine = new H1Server();
measure("16 pipelined exchanges, each", 2000, () => {
  let events = engine.receive(pipelined);
  while (events[0]?.type === "request") {
    engine.sendHead(events[0].stream, head, false);
    engine.sendData(events[0].stream, body, true);
    events = engine.resume();
  }
  sink = engine.takeOutput();
});
console.log(sink === undefined ? "" : "(exchange: receive, sendHead of 4 fields, sendData, takeOutput)");
