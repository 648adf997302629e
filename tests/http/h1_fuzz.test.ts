/**
 * The invariant: whatever the bytes, the engine says the same however they are split; it never throws, never hangs, holds
 * no more than its limits allow, and says nothing after "closed". FUZZ_SEED and FUZZ_ROUNDS repeat and extend a run.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { gunicornPolicy, headerLimits, nginxPolicy, type Policy, strictPolicy } from "../../src/http/h1/policy.ts";
import { H1Server } from "../../src/http/h1/server.ts";
import { splits, walk } from "./h1_driver.ts";

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const rounds = Number(process.env.FUZZ_ROUNDS ?? 400);
console.log(`h1 fuzz: FUZZ_SEED=${seed} FUZZ_ROUNDS=${rounds}`);

/** Mulberry32: small, good enough, and the same everywhere. */
function generator(start: number): (below: number) => number {
  let state = start | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const random = generator(seed);
const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;

const policies: readonly Policy[] = [
  strictPolicy,
  gunicornPolicy,
  {
    ...gunicornPolicy,
    obsoleteFolding: true,
    spaceBeforeColon: true,
    unconventionalMethods: true,
    underscores: "keep",
  },
  // Small limits are met by small input.
  {
    ...strictPolicy,
    requestLineLimit: 24,
    fieldLimit: 24,
    fieldCountLimit: 3,
    fieldsLimit: 48,
    chunkExtensionsLimit: 6,
  },
  { ...gunicornPolicy, obsoleteFolding: true, fieldLimit: 24, fieldsLimit: 60, emptyLinesLimit: 3, shortBodies: false },
  nginxPolicy,
  { ...nginxPolicy, ignoreInvalidHeaders: "refuse", underscores: "keep", fieldCountLimit: 3 },
  { ...nginxPolicy, ...headerLimits({ bufferSize: 16, largeCount: 2, largeSize: 24 }) },
  { ...nginxPolicy, hostPolicy: (host) => (host === "a" ? { ...nginxPolicy, fieldsLimit: 80 } : nginxPolicy) },
];

/** The bytes of the wire cases are the corpus; only their plain escapes are decoded here, the rest is noise and welcome. */
const corpus = ["h1.txt", "h1_nginx.txt"]
  .flatMap((file) => [
    ...readFileSync(new URL(`../wire/${file}`, import.meta.url), "utf8").matchAll(/^> (?!EOF)(.*)$/gm),
  ])
  .map(([, line = ""]) =>
    line.replaceAll("\\r", "\r").replaceAll("\\n", "\n").replaceAll("\\t", "\t").replaceAll("\\0", "\0"),
  )
  .filter((text) => text.length < 400);

const pieces = [
  "GET ",
  "POST ",
  "OPTIONS ",
  "CONNECT a:1",
  "foo://",
  "  ",
  " HTTP/1.10\n",
  "Host: a\n",
  "\n\n",
  "a.b: c\r\n",
  "/",
  "*",
  "http://a/",
  "?q",
  "#f",
  " HTTP/1.1\r\n",
  " HTTP/1.0\r\n",
  " HTTP/1.9\r\n",
  "Host: a\r\n",
  "Content-Length: 3\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "Expect: 100-continue\r\n",
  "X_Y: z\r\n",
  "Proxy: z\r\n",
  "X: ",
  "\r\n",
  "\r\n\r\n",
  "\r",
  "\n",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\0",
  "\x7f",
  "\xff",
  "3\r\nabc\r\n",
  "0\r\n\r\n",
  "0\r\n",
  "3;x=y\r\nabc\r\n",
  "abc",
  "T: 1\r\n",
  "ffffffffffffff\r\n",
];

function randomText(): string {
  switch (random(4)) {
    case 0:
      return Array.from({ length: random(60) }, () => String.fromCharCode(random(256))).join("");
    case 1:
      return Array.from({ length: random(30) }, () => pick(pieces)).join("");
    case 2:
      return pick(corpus) + pick(corpus);
    default:
      return mutated(pick(corpus) + pick(corpus));
  }
}

function mutated(text: string): string {
  let changed = text;
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(changed.length + 1);
    const to = Math.min(changed.length, at + random(6));
    const replacement = pick(["", pick(pieces), String.fromCharCode(random(256)), changed.slice(at, to).repeat(2)]);
    changed = changed.slice(0, at) + replacement + changed.slice(to);
  }
  return changed.slice(0, 1000);
}

test("random and mutated input means the same however it is split", () => {
  for (let round = 0; round < rounds; round++) {
    const bytes = new Uint8Array(Buffer.from(randomText(), "latin1"));
    const options = { policy: pick(policies), ends: random(2) === 0 };
    const whole = walk([bytes], options);
    for (const parts of splits(bytes)) {
      const part = walk(parts, options);
      if (JSON.stringify(part) === JSON.stringify(whole)) continue;
      const shown = JSON.stringify(Buffer.from(bytes).toString("latin1"));
      throw new Error(
        `${shown}\nwhole: ${JSON.stringify(whole)}\nparts of ${parts.map((each) => each.length)}: ${JSON.stringify(part)}`,
      );
    }
    // Into three and more parts, at random.
    const cuts = Array.from({ length: 3 }, () => random(bytes.length + 1)).sort((a, b) => a - b);
    const parts = [0, ...cuts].map((from, i) => bytes.slice(from, cuts[i] ?? bytes.length));
    expect(walk(parts, options)).toEqual(whole);
    const over = whole.lines.indexOf("closed");
    expect(over === -1 || over === whole.lines.length - 1).toBe(true);
  }
}, 60_000);

test("an engine that nobody answers keeps only what waits, and reads on when answered", () => {
  for (let round = 0; round < rounds; round++) {
    const text = pick(corpus) + pick(corpus) + pick(corpus);
    const engine = new H1Server();
    let requests = 0;
    for (const byte of Buffer.from(text, "latin1")) {
      for (const event of engine.receive(Uint8Array.of(byte))) if (event.type === "request") requests++;
    }
    expect(requests).toBeLessThanOrEqual(1);
    expect(engine.buffered).toBeLessThanOrEqual(text.length);
  }
});
