/** What the HTTP/2 engine costs, in nanoseconds: `bun bench/micro/h2.ts`. Best of several runs, so read it as a floor. */
import { frame, frameHeaderLength, preface, write32, writeFrameHeader } from "../../src/http/h2/frames.ts";
import { HpackDecoder } from "../../src/http/h2/hpack_decoder.ts";
import { huffmanDecode, huffmanEncode } from "../../src/http/h2/huffman.ts";
import { H2Server } from "../../src/http/h2/server.ts";
import { Headers } from "../../src/http/headers.ts";
import type { ResponseHead } from "../../src/http/message.ts";

let sink: unknown;

/** `count`: how many of what is measured one `work` does. */
function measure(name: string, rounds: number, count: number, work: () => unknown): void {
  let best = Infinity;
  for (let run = 0; run < 15; run++) {
    const start = Bun.nanoseconds();
    for (let i = 0; i < rounds; i++) sink = work();
    best = Math.min(best, (Bun.nanoseconds() - start) / (rounds * count));
  }
  console.log(`${name.padEnd(60)} ${best.toFixed(0).padStart(6)} ns`);
}

function makeFrame(kind: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const out = Buffer.alloc(frameHeaderLength + payload.length);
  out.set(payload, write32(out, writeFrameHeader(out, 0, payload.length, kind, flags), stream));
  return out;
}

/** A literal with a name of the static table that enters the dynamic one. */
const indexed = (index: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([0x40 | index, text.length]), Buffer.from(text, "latin1")]);

const opening = Buffer.concat([preface, makeFrame(frame.settings, 0, 0, new Uint8Array(0))]);
/** What h2load sends: everything in full once, then everything by index. */
const firstBlock = Buffer.concat([
  Buffer.from([0x82, 0x86, 0x84]),
  indexed(1, "127.0.0.1:8000"),
  indexed(58, "h2load nghttp2/1.64.0"),
]);
const nextBlock = Buffer.from([0x82, 0x86, 0x84, 0xbf, 0xbe]);

/** As many requests in one read, of which the streams' ids are put in anew each time. */
class Requests {
  readonly bytes: Buffer;
  readonly count: number;
  readonly #size: number;
  #next: number;

  constructor(block: Uint8Array, count: number, next: number) {
    const one = makeFrame(frame.headers, 5, 0, block);
    this.bytes = Buffer.concat(Array.from({ length: count }, () => one));
    this.count = count;
    this.#size = one.length;
    this.#next = next;
  }

  renew(): Buffer {
    for (let i = 0; i < this.count; i++, this.#next += 2) write32(this.bytes, i * this.#size + 5, this.#next);
    return this.bytes;
  }
}

const update = Buffer.concat([makeFrame(frame.windowUpdate, 0, 0, Buffer.from([0, 16, 0, 0]))]);
const body = new TextEncoder().encode("Hello, world!");

function answer(): ResponseHead {
  const headers = Headers.of(
    ["Content-Type", "text/html; charset=utf-8"],
    ["Content-Length", "13"],
    ["Last-Modified", "Tue, 24 Nov 2026 10:00:00 GMT"],
    ["ETag", '"65b0a0f0-d"'],
  );
  return { status: 200, headers };
}

const head = answer();
const date = "Tue, 24 Nov 2026 11:00:00 GMT";

function serve(engine: H2Server, bytes: Uint8Array): void {
  for (const event of engine.receive(bytes)) {
    if (event.type !== "request") continue;
    engine.sendHead(event.stream, head, false, date);
    engine.sendData(event.stream, body, true);
  }
  sink = engine.takeOutput();
  sink = engine.takeSent();
}

for (const count of [1, 32]) {
  const engine = new H2Server();
  engine.receive(opening);
  serve(engine, makeFrame(frame.headers, 5, 1, firstBlock));
  const requests = new Requests(nextBlock, count, 3);
  let served = 0;
  measure(`exchange: one of ${count} per read, all by index`, count === 1 ? 20000 : 1000, count, () => {
    serve(engine, requests.renew());
    served += count;
    if (served % 4096 === 0) engine.receive(update);
  });
}
{
  const engine = new H2Server();
  engine.receive(opening);
  serve(engine, makeFrame(frame.headers, 5, 1, firstBlock));
  let stream = 3;
  measure("exchange: a path of its own each time", 20000, 1, () => {
    const path = `/items/${stream}`;
    const block = Buffer.concat([
      Buffer.from([0x82, 0x86, 0x04, path.length]),
      Buffer.from(path),
      nextBlock.subarray(3),
    ]);
    serve(engine, makeFrame(frame.headers, 5, stream, block));
    stream += 2;
    if (stream % 8191 === 0) engine.receive(update);
  });
}
const decoder = new HpackDecoder();
measure("decode a block of 5 literals that enter the table", 20000, 1, () =>
  decoder.decode(firstBlock, 0, firstBlock.length),
);
const text = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const coded = Buffer.alloc(200);
const end = huffmanEncode(text, coded, 0);
const plain = Buffer.alloc(200);
measure(`huffman: decode ${text.length} characters`, 20000, 1, () => huffmanDecode(coded, [0, end], plain));
measure(`huffman: encode ${text.length} characters`, 20000, 1, () => huffmanEncode(text, coded, 0));
console.log(sink === undefined ? "" : "(exchange: receive, sendHead of 6 fields, sendData, takeOutput, takeSent)");
