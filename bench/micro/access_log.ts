/** What a line of the access log costs, in nanoseconds: `bun bench/micro/access_log.ts`. Best of several runs, so read it as a floor. */
import { Headers } from "../../src/http/headers.ts";
import { readFormat } from "../../src/web/log_format.ts";
import { coreModule } from "../../src/web/modules/core.ts";
import { Setup } from "../../src/web/setup.ts";
import { exchangeFor } from "../../tests/support/exchange.ts";

const nowhere = { file: "", line: 0 };
const combined =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';
const formats: Readonly<Record<string, readonly string[]>> = {
  combined: [combined],
  "combined and times": [combined, " $request_time $request_length $msec $connection"],
  "as JSON": ["escape=json", '{"at":"$time_iso8601","uri":"$request_uri","status":$status,"agent":"$http_user_agent"}'],
};

const clients: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  wrk: { Host: "localhost:8000", "User-Agent": "wrk/4.1.0", Accept: "*/*" },
  "a browser": {
    Host: "www.example.com",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    Referer: "https://www.example.com/shop",
    Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  },
};

const linesPerTurn = 16;
let sink: unknown;

function measure(name: string, work: () => unknown): void {
  const rounds = 20_000;
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 15; run++) {
    const start = Bun.nanoseconds();
    for (let i = 0; i < rounds; i++) sink = work();
    best = Math.min(best, (Bun.nanoseconds() - start) / (rounds * linesPerTurn));
  }
  console.log(`${name.padEnd(52)} ${best.toFixed(0).padStart(6)} ns`);
}

for (const [format, words] of Object.entries(formats)) {
  const setup = new Setup({ statements: [], prefix: "/", file: "", errorLog: "-" });
  setup.variables.declare(coreModule.variables ?? {}, coreModule.families);
  const line = readFormat(words, nowhere, setup);
  setup.finish();
  for (const [client, headers] of Object.entries(clients)) {
    const exchange = exchangeFor("/shop/items?page=3&sort=price", { headers });
    exchange.reply = {
      head: { status: 200, headers: Headers.of(["Content-Type", "text/html"]) },
      body: { kind: "empty" },
    };
    exchange.bodyBytesSent = 12_345;
    measure(`${format}, ${client}`, () => {
      let lines = "";
      for (let i = 0; i < linesPerTurn; i++) lines += `${line(exchange)}\n`;
      return Buffer.from(lines, "latin1");
    });
  }
}
if (sink === undefined) throw new Error("nothing was measured");
