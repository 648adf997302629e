/** Streams of requests and responses, their windows and their order. What ends a connection is `faults.test.ts`'s. */
import { expect, test } from "bun:test";
import {
  block,
  data,
  describe,
  type Fields,
  FrameLog,
  latin1,
  makeFrame,
  opening,
  ping,
  pseudo,
  request,
  reset,
  settings,
  windowUpdate,
} from "../../../tests/support/h2.ts";
import type { EngineEvent } from "../engine.ts";
import { Headers } from "../headers.ts";
import { flag, frame } from "./frames.ts";
import { defaultH2Options, type H2Options } from "./options.ts";
import { H2Server } from "./server.ts";

/** A server, and what its client sees: `sent` takes the frames since the last call. */
function make(options: Partial<H2Options> = {}) {
  const engine = new H2Server({ ...defaultH2Options, server: "", ...options });
  const log = new FrameLog();
  const sent = (): string[] => engine.takeOutput().flatMap((piece) => log.read(piece).map(describe));
  engine.receive(opening);
  sent();
  const events = (...bytes: Uint8Array[]): string[] => engine.receive(Buffer.concat(bytes)).map(tell);
  return { engine, sent, events };
}

function tell(event: EngineEvent): string {
  switch (event.type) {
    case "request":
      return `request ${event.stream} ${event.head.method} ${event.head.target}${event.end ? " END" : ""}`;
    case "data":
      return `data ${event.stream} ${Buffer.from(event.bytes).toString("latin1")}${event.end ? " END" : ""}`;
    case "trailers":
      return `trailers ${event.stream} ${event.headers.names.map(({ raw }) => raw).join()}`;
    case "refused":
      return `refused ${event.stream} ${event.error.status}`;
    case "closed":
      return "closed";
    default:
      return `${event.type} ${event.stream}`;
  }
}

const ok = (...fields: readonly (readonly [string, string])[]) => ({ status: 200, headers: Headers.of(...fields) });
const bytes = (text: string): Uint8Array => new Uint8Array(latin1(text));

/** Answers with a body of one piece. */
function answer(engine: H2Server, stream: number, body: string): void {
  engine.sendHead(stream, ok(), false, "");
  engine.sendData(stream, bytes(body), true);
}

test("our half of the preface: SETTINGS, and a window for the connection", () => {
  const engine = new H2Server(defaultH2Options);
  const frames = engine.takeOutput().flatMap((piece) => new FrameLog().read(piece).map(describe));
  expect(frames).toEqual(["settings", `windowUpdate 0 ${1024 * 1024 - 65535}`]);
});

test("two requests at a time, answered in the other order", () => {
  const { engine, events, sent } = make();
  expect(events(request(1, pseudo("/a")), request(3, pseudo("/b")))).toEqual([
    "request 1 GET /a END",
    "request 3 GET /b END",
  ]);
  answer(engine, 3, "b");
  answer(engine, 1, "a");
  expect(sent()).toEqual(["headers 3 [:status: 200]", "data 3 b END", "headers 1 [:status: 200]", "data 1 a END"]);
  expect(engine.takeSent().map(({ stream }) => stream)).toEqual([3, 1]);
  expect(engine.streams).toBe(0);
});

test("the same block means the same request; a change of the table is noticed", () => {
  const { events } = make();
  const fields = pseudo("/a");
  const known = makeFrame(frame.headers, 5, 3, Buffer.concat([block(fields), Buffer.from([0xbe])]));
  const put = (stream: number, value: string) =>
    makeFrame(frame.headers, 5, stream, Buffer.concat([block(fields), block([["x", value]], true)]));
  events(put(1, "1"));
  expect(events(known)).toEqual(["request 3 GET /a END"]);
  known.writeUInt32BE(5, 5);
  const { engine } = make();
  const heads = (stream: number, frames: Uint8Array) => {
    known.writeUInt32BE(stream, 5);
    return engine.receive(frames).map((event) => (event.type === "request" ? event.head.headers.get("x") : ""));
  };
  engine.receive(put(1, "1"));
  expect(heads(3, known)).toEqual(["1"]);
  expect(heads(5, known)).toEqual(["1"]);
  engine.receive(put(7, "2"));
  expect(heads(9, known)).toEqual(["2"]);
});

test("a body, its length and its trailers", () => {
  const { events } = make();
  const post: Fields = [...pseudo("/", "POST"), ["content-length", "4"]];
  expect(events(request(1, post, false), data(1, "ab", false), data(1, "cd"))).toEqual([
    "request 1 POST /",
    "data 1 ab",
    "data 1 cd END",
  ]);
  const trailers = makeFrame(frame.headers, 5, 3, block([["x-sum", "1"]]));
  expect(events(request(3, post, false), data(3, "abcd", false), trailers)).toEqual([
    "request 3 POST /",
    "data 3 abcd",
    "trailers 3 x-sum",
  ]);
});

test("padding is no part of a body", () => {
  const { events } = make();
  const padded = makeFrame(frame.data, flag.padded | flag.endStream, 1, latin1("\x03ab\0\0\0"));
  expect(events(request(1, pseudo("/", "POST"), false), padded)[1]).toBe("data 1 ab END");
});

test("a head in pieces", () => {
  const { events } = make();
  const whole = block(pseudo("/pieces"));
  const frames = [...whole].map((byte, i) =>
    makeFrame(
      i === 0 ? frame.headers : frame.continuation,
      (i === 0 ? flag.endStream : 0) | (i === whole.length - 1 ? flag.endHeaders : 0),
      1,
      Buffer.from([byte]),
    ),
  );
  expect(events(...frames)).toEqual(["request 1 GET /pieces END"]);
});

test("interim responses come before the final one, trailers behind the body", () => {
  const { engine, events, sent } = make();
  events(request(1));
  engine.sendInterim(1, { status: 103, headers: Headers.of(["Link", "</a.css>"]) });
  engine.sendHead(1, ok(), false, "");
  engine.sendTrailers(1, Headers.of(["X-Sum", "1"]));
  engine.sendData(1, bytes("a"), true);
  expect(sent()).toEqual([
    "headers 1 [:status: 103, link: </a.css>]",
    "headers 1 [:status: 200]",
    "data 1 a",
    "headers 1 [x-sum: 1] END",
  ]);
  expect(() => engine.sendInterim(1, ok())).toThrow();
});

test("Server and Date are added unless the head has its own", () => {
  const { engine, events, sent } = make({ server: "alicorn" });
  events(request(1), request(3));
  engine.sendHead(1, ok(), true, "now");
  engine.sendHead(3, ok(["Server", "own"], ["Date", "then"]), true, "now");
  expect(sent()).toEqual([
    "headers 1 [:status: 200, server: alicorn, date: now] END",
    "headers 3 [:status: 200, server: own, date: then] END",
  ]);
});

test("HEAD, 204 and 304 have no body, whatever is sent", () => {
  const { engine, events, sent } = make();
  events(request(1, pseudo("/", "HEAD")), request(3));
  engine.sendHead(1, ok(["Content-Length", "5"]), false, "");
  engine.sendData(1, bytes("hello"), true);
  engine.sendHead(3, { status: 204, headers: Headers.of(["Content-Length", "0"]) }, false, "");
  expect(sent()).toEqual(["headers 1 [:status: 200, content-length: 5] END", "headers 3 [:status: 204] END"]);
});

test("a head larger than a frame goes on in others", () => {
  const { engine, events } = make();
  events(request(1));
  engine.sendHead(1, ok(["X-A", "\x7f".repeat(9000)], ["X-B", "\x7f".repeat(9000)]), true, "");
  const log = new FrameLog();
  const frames = engine.takeOutput().flatMap((piece) => log.read(piece));
  expect(frames.map(({ kind, flags, payload }) => [kind, flags, payload.length <= 16384])).toEqual([
    ["headers", flag.endStream, true],
    ["continuation", flag.endHeaders, true],
  ]);
});

test("a body waits for the stream's window and the connection's, whichever is smaller", () => {
  const { engine, events, sent } = make();
  events(settings([4, 10]), request(1));
  engine.sendHead(1, ok(), false, "");
  expect(engine.sendData(1, bytes("0123456789abcdef"), true)).toBe(0);
  expect(sent()).toEqual(["settings ack", "headers 1 [:status: 200]", "data 1 0123456789"]);
  expect(engine.isBlocked).toBe(true);
  events(windowUpdate(1, 2));
  expect(sent()).toEqual(["data 1 ab"]);
  events(settings([4, 12]));
  expect(sent()).toEqual(["settings ack", "data 1 cd"]);
  events(settings([4, 0]), windowUpdate(1, 13));
  expect(sent()).toEqual(["settings ack", "data 1 e"]);
  events(windowUpdate(1, 1));
  expect(sent()).toEqual(["data 1 f END"]);
});

test("a stream that has room again says so", () => {
  const { engine, events, sent } = make();
  events(settings([4, 4]), request(1));
  engine.sendHead(1, ok(), false, "");
  expect(engine.sendData(1, bytes("0123456"), false)).toBe(0);
  sent();
  expect(engine.resume()).toEqual([]);
  events(windowUpdate(1, 100));
  sent();
  expect(engine.resume().map(tell)).toEqual(["writable 1"]);
  expect(engine.sendData(1, bytes("7"), true)).toBeGreaterThan(0);
  expect(sent()).toEqual(["data 1 7 END"]);
});

test("an end without bytes needs no window", () => {
  const { engine, events, sent } = make();
  events(settings([4, 0]), request(1));
  engine.sendHead(1, ok(), false, "");
  engine.sendData(1, bytes(""), true);
  expect(sent().at(-1)).toBe("data 1  END");
});

/** Which streams' frames leave, in order, if three bodies of three frames wait for the connection's window. */
function order(priorities: readonly string[], late: readonly Uint8Array[] = [], early = latin1("")): number[] {
  const engine = new H2Server();
  const log = new FrameLog();
  const take = () => engine.takeOutput().flatMap((piece) => log.read(piece));
  engine.receive(Buffer.concat([opening, early]));
  priorities.forEach((priority, i) => {
    const fields = priority === "" ? pseudo() : [...pseudo(), ["priority", priority] as const];
    engine.receive(request(2 * i + 1, fields));
  });
  engine.receive(settings([4, 100_000]));
  engine.receive(request(99));
  engine.sendHead(99, ok(), false, "");
  engine.sendData(99, new Uint8Array(65535), true);
  take();
  priorities.forEach((_, i) => {
    engine.sendHead(2 * i + 1, ok(), false, "");
    engine.sendData(2 * i + 1, bytes("abcdef"), true);
    engine.setChunkSize(2 * i + 1, 2);
  });
  for (const each of late) engine.receive(each);
  engine.receive(windowUpdate(0, 1000));
  return take()
    .filter(({ kind }) => kind === "data")
    .map(({ stream }) => stream);
}

test("bodies take turns unless a priority says otherwise (RFC 9218)", () => {
  expect(order(["", "", ""])).toEqual([1, 3, 5, 1, 3, 5, 1, 3, 5]);
  expect(order(["u=5", "u=3", "u=1"])).toEqual([5, 5, 5, 3, 3, 3, 1, 1, 1]);
  expect(order(["u=3, i", "u=3", "u=3, i"])).toEqual([3, 3, 3, 1, 5, 1, 5, 1, 5]);
});

const urgent = (stream: number) =>
  makeFrame(frame.priorityUpdate, 0, 0, Buffer.concat([Buffer.from([0, 0, 0, stream]), latin1("u=0")]));

test("a PRIORITY_UPDATE stands above the field, and may come before its stream", () => {
  expect(order(["", "", ""], [urgent(5)])).toEqual([5, 5, 5, 1, 3, 1, 3, 1, 3]);
  expect(order(["u=2", "u=2"], [], urgent(3))).toEqual([3, 3, 3, 1, 1, 1]);
});

test("our windows: what nobody reads is not asked for, what is read is", () => {
  const { engine, events, sent } = make({ prereadSize: 65536, bodyWindow: 200_000 });
  events(request(1, pseudo("/", "POST"), false), data(1, "x".repeat(16384), false));
  expect(sent()).toEqual([]);
  engine.readBody(1, false);
  expect(sent()).toEqual([`windowUpdate 1 ${200_000 - 65536 + 16384}`]);
  engine.readBody(1, true);
  for (let i = 0; i < 12; i++) events(data(1, "x".repeat(16000), false));
  expect(sent().filter((text) => text.startsWith("windowUpdate 1"))).toEqual([]);
  engine.readBody(1, false);
  expect(sent()).toEqual([`windowUpdate 1 ${12 * 16000}`]);
});

test("a peer that sends more than it may loses the stream", () => {
  const { events, sent } = make({ prereadSize: 10 });
  events(makeFrame(frame.settings, flag.ack, 0));
  expect(events(request(1, pseudo("/", "POST"), false), data(1, "0123456789a", false)).at(-1)).toBe("reset 1");
  expect(sent()).toEqual(["rstStream 1 3"]);
});

test("bodies that nobody takes hold back the connection's window", () => {
  const { engine, events, sent } = make({ prereadSize: 400_000, maxStreams: 100 });
  const opened = () => sent().filter((text) => text.startsWith("windowUpdate 0")).length;
  for (let stream = 1; stream < 40; stream += 2) {
    events(request(stream, pseudo("/", "POST"), false));
    for (let i = 0; i < 5; i++) events(data(stream, "x".repeat(16000), false));
  }
  expect(opened()).toBe(2);
  for (let stream = 1; stream < 40; stream += 2) engine.readBody(stream, false);
  expect(opened()).toBe(1);
});

test("more streams than are allowed are refused, and may be tried again", () => {
  const { engine, events, sent } = make({ maxStreams: 2 });
  expect(events(request(1), request(3), request(5))).toEqual(["request 1 GET / END", "request 3 GET / END"]);
  expect(sent()).toEqual(["rstStream 5 7"]);
  answer(engine, 1, "a");
  expect(events(request(7))).toEqual(["request 7 GET / END"]);
});

test("a client that gives up is heard; nothing more is sent", () => {
  const { engine, events, sent } = make();
  events(request(1));
  expect(events(reset(1))).toEqual(["reset 1"]);
  engine.sendHead(1, ok(), false, "");
  expect(engine.sendData(1, bytes("a"), true)).toBe(0);
  expect(sent()).toEqual([]);
  expect(engine.takeSent()).toHaveLength(1);
});

test("a malformed request gets its page, and then a reset", () => {
  const { engine, events, sent } = make();
  expect(events(request(1, [...pseudo(), ["X", "y"]]))).toEqual(["refused 1 400"]);
  engine.sendHead(1, { status: 400, headers: new Headers() }, true, "");
  expect(sent()).toEqual(["headers 1 [:status: 400] END", "rstStream 1 1"]);
});

test.each([
  ["shorter", "3", "abcd"],
  ["longer", "5", "abcd"],
])("a body that is not as long as it said", (_, length, body) => {
  const { events } = make();
  const post: Fields = [...pseudo("/", "POST"), ["content-length", length]];
  expect(events(request(1, post, false), data(1, body))).toEqual(["request 1 POST /", "refused 1 400"]);
});

test("a response that is not as long as it said does not look complete", () => {
  const { engine, events, sent } = make();
  events(request(1), request(3));
  engine.sendHead(1, ok(["Content-Length", "5"]), false, "");
  engine.sendData(1, bytes("abc"), true);
  engine.sendHead(3, ok(["Content-Length", "2"]), false, "");
  engine.sendData(3, bytes("abc"), true);
  expect(sent().filter((text) => !text.startsWith("headers"))).toEqual(["rstStream 1 2", "data 3 ab END"]);
  expect(engine.takeSent().map(({ fault }) => fault)).toEqual([
    "a response ended 2 bytes before its Content-Length",
    "a response longer than its Content-Length was cut",
  ]);
});

test("a request that has been answered may end, or is dropped", () => {
  const { engine, events, sent } = make();
  events(request(1, pseudo("/", "POST"), false), request(3, pseudo("/", "POST"), false));
  answer(engine, 1, "a");
  answer(engine, 3, "a");
  expect(events(data(1, "rest"))).toEqual(["data 1 rest END"]);
  sent();
  engine.dropBody(1);
  engine.dropBody(3);
  expect(sent()).toEqual(["rstStream 3 0"]);
  expect(events(data(3, "on its way", false))).toEqual([]);
});

test("the end is announced, then decided, and comes when all is answered (6.8)", () => {
  const { engine, events, sent } = make();
  events(request(1));
  engine.stopKeepAlive();
  expect(sent()).toEqual([`goaway ${0x7fffffff} 0`, "ping 0"]);
  expect(events(request(3))).toEqual(["request 3 GET / END"]);
  expect(events(ping("\0".repeat(8), true))).toEqual([]);
  expect(sent()).toEqual(["goaway 3 0"]);
  expect(events(request(5))).toEqual([]);
  answer(engine, 1, "a");
  answer(engine, 3, "b");
  expect(sent()).toHaveLength(4);
  expect(engine.resume().map(tell)).toEqual(["closed"]);
  expect(engine.receive(request(7))).toEqual([]);
});

test("or it is decided at once", () => {
  const { engine, sent } = make({ announcesEnd: false });
  engine.stopKeepAlive();
  expect(sent()).toEqual(["goaway 0 0"]);
  expect(engine.resume().map(tell)).toEqual(["closed"]);
});

test("a client that closes its half gets nothing more", () => {
  const { engine, events } = make();
  events(request(1));
  expect(engine.receiveEnd().map(tell)).toEqual(["reset 1", "closed"]);
});

test("a head that takes too long is given up, others go on", () => {
  const { engine, events, sent } = make();
  const begun = request(1, pseudo("/slow"));
  events(begun.subarray(0, 20));
  expect(engine.headBegun).toBe(true);
  engine.refuse({ status: 408, rule: "", detail: "" });
  expect(sent()).toEqual(["rstStream 1 1"]);
  expect(events(begun.subarray(20), request(3))).toEqual(["request 3 GET / END"]);
});
