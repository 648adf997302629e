/** What static files cost per request inside the process, without sockets: `bun bench/micro/static.ts`. Best of several rounds. */
import { mkdirSync, mkdtempSync, openSync, read, readSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { httpDateNow } from "../../src/base/date.ts";
import type { Reply, Source } from "../../src/http/message.ts";
import { readCached } from "../../src/net/libc.ts";
import { errorReply } from "../../src/web/error_page.ts";
import type { Exchange } from "../../src/web/exchange.ts";
import { FileCache, standardLimits } from "../../src/web/file_cache.ts";
import { fileSource } from "../../src/web/file_source.ts";
import { staticFiles } from "../../src/web/modules/files.ts";
import { normalizePath } from "../../src/web/path.ts";
import { filter, respond } from "../../src/web/pipeline.ts";
import { dropBody } from "../../src/web/reply.ts";
import { compiledSite } from "../../tests/support/configuration.ts";
import { exchangeFor } from "../../tests/support/exchange.ts";

const megabyte = 1024 * 1024;
const fileBytes = 32 * megabyte;
const rounds = 9;

const root = mkdtempSync(join(tmpdir(), "alicorn-bench-"));
mkdirSync(join(root, "css"));
for (const [name, size] of [
  ["1k", 1024],
  ["4k", 4096],
  ["100k", 102_400],
  ["1m", megabyte],
  ["32m", fileBytes],
] as const)
  writeFileSync(join(root, `css/${name}.css`), Buffer.alloc(size, "0123456789abcdef"));
for (const suffix of ["br", "gz"]) writeFileSync(join(root, `css/4k.css.${suffix}`), "packed");

// What a browser sends.
const fields = {
  Host: "example.org",
  "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  Accept: "text/css,*/*;q=0.1",
  "Accept-Language": "en-US,en;q=0.5",
  "Accept-Encoding": "gzip, deflate, br, zstd",
  Connection: "keep-alive",
  Referer: "https://example.org/",
  "Sec-Fetch-Dest": "style",
};

function line(name: string, value: number, unit: string): void {
  console.log(`${name.padEnd(58)} ${value.toFixed(value < 10 ? 3 : 1).padStart(9)} ${unit}`);
}

/** ns per call, and bytes of heap per call. */
function measure(name: string, calls: number, run: () => unknown): void {
  for (let i = 0; i < calls / 10; i++) run();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const from = Bun.nanoseconds();
    for (let i = 0; i < calls; i++) run();
    best = Math.min(best, (Bun.nanoseconds() - from) / calls);
  }
  line(name, best / 1000, "µs");
}

/** As the zero-configuration mode serves it; `limits`: of what is kept. */
function serving(limits = standardLimits) {
  const handler = staticFiles({ prefix: "/static/", root, cacheControl: "max-age=60", cache: new FileCache(limits) });
  const server = compiledSite(
    `absolute_redirect off; server { listen 80; location /static/ { files ${root}; files_cache_control max-age=60; } }`,
  );
  const prepare = (target: string, headers: Record<string, string>): Exchange => {
    const exchange = exchangeFor(target, { headers: { ...fields, ...headers }, at: 0 });
    server.find(exchange);
    const location = { ...exchange.location, handlers: [handler] };
    const find = (here: Exchange): undefined => {
      here.location = location;
    };
    exchange.server = { ...server, find };
    return exchange;
  };
  /** The corridor from the Exchange to the Reply that the engine gets. */
  const serve = (exchange: Exchange): Reply => {
    const reply = respond(exchange);
    if (reply instanceof Promise) throw new Error("a reply was expected");
    filter(exchange, reply);
    dropBody(reply.body, "bench");
    return reply;
  };
  return { prepare, serve };
}

function hit(name: string, target: string, headers: Record<string, string> = {}): void {
  const { prepare, serve } = serving();
  const exchange = prepare(target, headers);
  serve(exchange);
  measure(name, 200_000, () => serve(exchange));
}

function miss(name: string, target: string): void {
  const { prepare, serve } = serving({ ...standardLimits, bytes: 0, descriptors: 0 });
  const exchange = prepare(target, {});
  measure(name, 5000, () => serve(exchange));
}

measure("normalizePath, nothing to do", 500_000, () => normalizePath("/static/css/site.4f2a91c0.css"));
measure("normalizePath, escapes and dots", 200_000, () => normalizePath("/static/caf%C3%A9/../css//a%20b.css"));
measure("httpDateNow", 500_000, httpDateNow);
measure("errorReply(404)", 500_000, () => errorReply(404));

console.log("\nhandler and filters, file in the cache");
hit("1 KB", "/static/css/1k.css");
hit("4 KB, compressed siblings", "/static/css/4k.css");
hit("100 KB", "/static/css/100k.css");
hit("32 MB (descriptor)", "/static/css/32m.css");
hit("If-None-Match, other", "/static/css/1k.css", { "If-None-Match": '"x"' });
hit("If-None-Match: * (304)", "/static/css/1k.css", { "If-None-Match": "*" });
hit("Range, one part", "/static/css/1k.css", { Range: "bytes=0-99" });
hit("Range, three parts", "/static/css/1k.css", { Range: "bytes=0-9,20-29,40-49" });

console.log("\nhandler and filters, nothing kept");
miss("1 KB", "/static/css/1k.css");
miss("100 KB (descriptor)", "/static/css/100k.css");
miss("no such file", "/static/css/none.css");

const cpuMicros = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** µs of CPU per MiB, all threads of the process. */
async function throughput(name: string, run: () => Promise<void> | void): Promise<void> {
  await run();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const from = cpuMicros();
    await run();
    best = Math.min(best, cpuMicros() - from);
  }
  line(name, (best * megabyte) / fileBytes, "µs CPU per MiB");
}

const drain = (source: Source): Promise<void> =>
  new Promise((resolve, reject) => {
    let isPulling = false;
    let isWanted = true;
    let isOver = false;
    const sink = {
      push(_: Uint8Array, last: boolean): void {
        isOver = last;
        isWanted = true;
        if (!isPulling) pull();
      },
      fail: reject,
    };
    const pull = (): void => {
      isPulling = true;
      while (isWanted && !isOver) {
        isWanted = false;
        source.pull(sink);
      }
      isPulling = false;
      if (isOver) resolve();
    };
    pull();
  });

console.log("\nreading 32 MiB that the page cache holds");
const path = join(root, "css/32m.css");
const fd = openSync(path, "r");
const file = { fd, release: () => {} };
await throughput("fileSource", () => drain(fileSource({ file, offset: 0, length: fileBytes })));
await throughput("fileSource, never in memory", () =>
  drain(fileSource({ file, offset: 0, length: fileBytes }, () => -1)),
);
for (const kib of [64, 256, 512, 1024]) {
  const size = kib * 1024;
  const buffer = Buffer.allocUnsafeSlow(size);
  const offsets = Array.from({ length: fileBytes / size }, (_, i) => i * size);
  await throughput(`readSync, ${kib} KiB`, () => {
    for (const offset of offsets) readSync(fd, buffer, 0, size, offset);
  });
  await throughput(`preadv2 RWF_NOWAIT, ${kib} KiB`, () => {
    for (const offset of offsets) if (readCached(fd, buffer, size, offset) !== size) throw new Error("not in memory");
  });
  await throughput(`read with callback, ${kib} KiB`, async () => {
    for (const offset of offsets) await new Promise((resolve) => read(fd, buffer, 0, size, offset, resolve));
  });
  const handle = await open(path);
  await throughput(`FileHandle.read, ${kib} KiB`, async () => {
    for (const offset of offsets) await handle.read(buffer, 0, size, offset);
  });
  await handle.close();
}
rmSync(root, { recursive: true });
