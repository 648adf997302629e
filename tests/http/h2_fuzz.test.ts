/** Random clients of the HTTP/2 engine: what holds whatever they send, and however it is split. */
import { expect, test } from "bun:test";
import type { EngineEvent } from "../../src/http/engine.ts";
import { flag, frame, read32 } from "../../src/http/h2/frames.ts";
import { defaultH2Options } from "../../src/http/h2/options.ts";
import { H2Server } from "../../src/http/h2/server.ts";
import { Headers } from "../../src/http/headers.ts";
import {
  block,
  data,
  FrameLog,
  latin1,
  makeFrame,
  opening,
  ping,
  pseudo,
  request,
  reset,
  type Seen,
  settings,
  windowUpdate,
} from "../support/h2.ts";

/** mulberry32: the same numbers for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Dice = ReturnType<typeof random>;

/** Frames that make sense somewhere, mostly. */
function frames(dice: Dice, count: number): Buffer[] {
  let last = -1;
  const next = () => {
    last += 2;
    return last;
  };
  const some = () => 1 + 2 * dice(Math.max((last + 1) / 2, 1) + 1);
  const makers: readonly (() => Buffer)[] = [
    () => request(next(), pseudo(`/${dice(3)}`), dice(3) > 0),
    () => request(next(), [...pseudo("/", "POST"), ["content-length", String(dice(9))]], false),
    () => makeFrame(frame.headers, 5, next(), block([...pseudo(), ["x", String(dice(50))]], true)),
    () => data(some(), "x".repeat(dice(40)), dice(2) > 0),
    () => data(some(), "x".repeat(dice(16000)), false),
    () => windowUpdate(dice(2) * some(), 1 + dice(100000)),
    () => settings([4, dice(100000)], [1, dice(5000)]),
    () => reset(some()),
    () => ping(),
    () => makeFrame(dice(20), dice(256), some(), latin1("y".repeat(dice(20)))),
    () => request(some(), [["x-sum", "1"]]),
  ];
  return Array.from({ length: count }, () => makers[dice(dice(4) === 0 ? makers.length : 9)]!());
}

/** Whatever comes is answered; returns what the client sees, and what the server heard. */
function serve(parts: readonly Uint8Array[], seed: number) {
  const dice = random(seed);
  const engine = new H2Server({ ...defaultH2Options, maxStreams: 10 });
  const log = new FrameLog();
  const heard: EngineEvent["type"][] = [];
  const seen: Seen[] = [];
  const open = new Set<number>();
  const take = (events: readonly EngineEvent[]) => {
    for (const event of events) {
      heard.push(event.type);
      if (event.type === "request" || event.type === "refused") answer(event.stream);
    }
  };
  const answer = (stream: number) => {
    if (open.has(stream)) return;
    open.add(stream);
    engine.sendHead(stream, { status: 200, headers: Headers.of(["X-N", String(dice(9))]) }, false, "");
    engine.sendData(stream, new Uint8Array(dice(30000)), true);
    if (dice(3) === 0) engine.readBody(stream, dice(2) === 0);
  };
  const flush = () => {
    for (const piece of engine.takeOutput()) seen.push(...log.read(piece));
    engine.takeSent();
    take(engine.resume());
  };
  for (const part of parts) {
    take(engine.receive(part));
    flush();
  }
  return { engine, seen, heard, flush, take };
}

/** What a client relies on, frame by frame. */
function check(seen: readonly Seen[]): void {
  const ended = new Set<number>();
  const headed = new Set<number>();
  let isOver = false;
  for (const { kind, stream, flags, payload } of seen) {
    expect(isOver).toBe(false);
    expect(payload.length).toBeLessThanOrEqual(16384);
    if (kind === "goaway") isOver = read32(payload, 4) !== 0;
    if (kind === "headers") headed.add(stream);
    if (kind === "data") expect(headed.has(stream)).toBe(true);
    if (kind === "headers" || kind === "data") {
      expect(ended.has(stream)).toBe(false);
      if ((flags & flag.endStream) !== 0) ended.add(stream);
    }
    if (kind === "rstStream") ended.add(stream);
  }
}

test("every stream has one head and one end, windows are kept, and an error is the last word", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const dice = random(seed);
    const { seen, engine } = serve([opening, ...frames(dice, 60)], seed);
    check(seen);
    const sentBytes = seen.reduce((sum, { kind, payload }) => sum + (kind === "data" ? payload.length : 0), 0);
    // 65,535 and what has been granted since, at most 100,000 each time.
    expect(sentBytes).toBeLessThanOrEqual(65535 + 60 * 100_000);
    expect(engine.streams).toBeLessThanOrEqual(10);
  }
});

test("where the bytes are split makes no difference to what is heard", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const bytes = Buffer.concat([opening, ...frames(random(seed), 30)]);
    const dice = random(seed + 1);
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const count = 1 + dice(dice(2) === 0 ? 20 : 2000);
      parts.push(bytes.subarray(at, at + count));
      at += count;
    }
    const hear = (given: readonly Uint8Array[]) => {
      const engine = new H2Server({ ...defaultH2Options, maxStreams: 10 });
      const heard: string[] = [];
      for (const part of given)
        for (const event of engine.receive(part)) {
          const what = `${event.type} ${"stream" in event ? event.stream : ""} `;
          const rest = event.type === "data" ? Buffer.from(event.bytes).toString("latin1") : "";
          // A frame's data may come in pieces.
          if (event.type === "data" && heard.at(-1)?.startsWith(what) === true) heard[heard.length - 1] += rest;
          else heard.push(what + rest);
        }
      return heard;
    };
    expect(hear(parts)).toEqual(hear([bytes]));
  }
});

test("noise does no harm", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const dice = random(seed);
    const noise = Buffer.from(Array.from({ length: 2000 }, () => dice(dice(2) === 0 ? 256 : 12)));
    const { seen } = serve([opening, noise], seed);
    check(seen);
  }
});

test("a client that has got everything finds the connection empty", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const requests = Array.from({ length: 8 }, (_, i) => request(2 * i + 1, pseudo(`/${i}`)));
    const { seen, engine, take, flush } = serve([opening, ...requests], seed);
    take(engine.receive(Buffer.concat([windowUpdate(0, 10_000_000), settings([4, 1_000_000])])));
    for (let turn = 0; turn < 50 && engine.hasOutput; turn++) flush();
    flush();
    check(seen);
    expect(engine.streams).toBe(0);
    expect(seen.filter(({ kind, flags }) => kind === "data" && (flags & flag.endStream) !== 0)).toHaveLength(8);
  }
});
