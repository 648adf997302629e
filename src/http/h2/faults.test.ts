/** What a client must not do (RFC 9113), and what it may do too often: each with the GOAWAY or RST_STREAM that answers. */
import { expect, test } from "bun:test";
import {
  block,
  data,
  describe,
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
import { nginxPolicy } from "../h1/policy.ts";
import { Headers } from "../headers.ts";
import { flag, frame, preface } from "./frames.ts";
import { defaultH2Options, type H2Options } from "./options.ts";
import { H2Server } from "./server.ts";

/** All errors that a server sends for these bytes, in one read and byte by byte. */
function errors(bytes: Uint8Array, options: Partial<H2Options> = {}, begin: Uint8Array = opening): string[] {
  const [whole, split] = [[bytes], Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))].map((parts) => {
    const engine = new H2Server({ ...defaultH2Options, ...options });
    engine.receive(begin);
    for (const part of parts) engine.receive(part);
    const log = new FrameLog();
    return engine
      .takeOutput()
      .flatMap((piece) => log.read(piece).map(describe))
      .filter((text) => text.startsWith("goaway") || text.startsWith("rstStream"));
  });
  expect(split).toEqual(whole!);
  return whole!;
}

const post = request(1, pseudo("/", "POST"), false);
const all = (...frames: Uint8Array[]) => Buffer.concat(frames);
const begun = (flags = 0) => makeFrame(frame.headers, flags, 1, block(pseudo()));

test.each<[string, Uint8Array, string]>([
  ["DATA on stream 0", data(0, "a"), "goaway 0 1"],
  ["DATA on an idle stream", data(1, "a"), "goaway 0 1"],
  ["RST_STREAM on an idle stream", reset(1), "goaway 0 1"],
  ["RST_STREAM on stream 0", reset(0), "goaway 0 1"],
  ["RST_STREAM of three bytes", makeFrame(frame.rstStream, 0, 1, latin1("abc")), "goaway 0 6"],
  ["WINDOW_UPDATE on an idle stream", windowUpdate(1, 1), "goaway 0 1"],
  ["WINDOW_UPDATE of 0", windowUpdate(0, 0), "goaway 0 1"],
  ["WINDOW_UPDATE of three bytes", makeFrame(frame.windowUpdate, 0, 0, latin1("abc")), "goaway 0 6"],
  ["too large a window", windowUpdate(0, 0x7fffffff), "goaway 0 3"],
  ["HEADERS on stream 0", request(0), "goaway 0 1"],
  ["HEADERS on an even stream", request(2), "goaway 0 1"],
  ["HEADERS on a stream that was skipped", all(request(5), request(3)), "goaway 5 1"],
  ["HEADERS that depend on themselves", makeFrame(frame.headers, 0x25, 1, latin1("\0\0\0\x01\x10")), "goaway 0 1"],
  ["HEADERS shorter than their padding", makeFrame(frame.headers, 0xd, 1, latin1("\x05a")), "goaway 0 1"],
  ["CONTINUATION without HEADERS", makeFrame(frame.continuation, flag.endHeaders, 1), "goaway 0 1"],
  ["another frame within a head", all(begun(), ping()), "goaway 1 1"],
  ["another stream's CONTINUATION within a head", all(begun(), makeFrame(frame.continuation, 4, 3)), "goaway 1 1"],
  ["DATA shorter than its padding", all(post, makeFrame(frame.data, flag.padded, 1, latin1("\x05abcd"))), "goaway 1 1"],
  ["PRIORITY on stream 0", makeFrame(frame.priority, 0, 0, latin1("\0\0\0\x01\x10")), "goaway 0 1"],
  ["PRIORITY of four bytes", makeFrame(frame.priority, 0, 1, latin1("abcd")), "goaway 0 6"],
  ["PRIORITY that depends on itself", makeFrame(frame.priority, 0, 1, latin1("\0\0\0\x01\x10")), "goaway 0 1"],
  ["PRIORITY_UPDATE on a stream", makeFrame(frame.priorityUpdate, 0, 1, latin1("\0\0\0\x01")), "goaway 0 1"],
  ["SETTINGS on a stream", makeFrame(frame.settings, 0, 1), "goaway 0 1"],
  ["SETTINGS of five bytes", makeFrame(frame.settings, 0, 0, latin1("abcde")), "goaway 0 6"],
  ["an answer to SETTINGS that says something", makeFrame(frame.settings, flag.ack, 0, latin1("abcdef")), "goaway 0 6"],
  ["a window above 2^31-1", settings([4, 0x80000000]), "goaway 0 3"],
  ["PING on a stream", makeFrame(frame.ping, 0, 1, latin1("12345678")), "goaway 0 1"],
  ["PING of seven bytes", makeFrame(frame.ping, 0, 0, latin1("1234567")), "goaway 0 6"],
  ["GOAWAY on a stream", makeFrame(frame.goaway, 0, 1, latin1("12345678")), "goaway 0 1"],
  ["GOAWAY of four bytes", makeFrame(frame.goaway, 0, 0, latin1("1234")), "goaway 0 6"],
  ["PUSH_PROMISE", makeFrame(frame.pushPromise, 4, 1, latin1("\0\0\0\x02")), "goaway 0 1"],
  ["a frame of 16385 bytes", makeFrame(frame.ping, 0, 0, new Uint8Array(16385)), "goaway 0 6"],
  ["a block that cannot be decoded", makeFrame(frame.headers, 5, 1, Buffer.from([0x80])), "goaway 1 9"],
])("%s ends the connection", (_, bytes, expected) => {
  expect(errors(bytes)).toEqual([expected]);
});

test.each<[string, Uint8Array, string]>([
  ["DATA after the end", all(request(1), data(1, "a")), "rstStream 1 5"],
  ["DATA after a reset", all(request(1), reset(1), data(1, "a")), "rstStream 1 5"],
  ["a second head after the end", all(request(1), request(1)), "rstStream 1 5"],
  ["a second head that does not end the stream", all(post, request(1, [["a", "b"]], false)), "rstStream 1 1"],
  ["a pseudo-header field among trailers", all(post, request(1)), "rstStream 1 1"],
  ["WINDOW_UPDATE of 0", all(request(1), windowUpdate(1, 0)), "rstStream 1 1"],
  ["too large a window", all(request(1), windowUpdate(1, 0x7fffffff)), "rstStream 1 3"],
])("%s ends the stream", (_, bytes, expected) => {
  expect(errors(bytes)).toEqual([expected]);
});

test("unknown frames, flags and settings are ignored, and so is PRIORITY", () => {
  const priority = makeFrame(frame.priority, 0, 9, latin1("\0\0\0\x01\x10"));
  expect(errors(all(makeFrame(0x42, 0xff, 7, latin1("x")), settings([0x42, 1]), priority, request(1)))).toEqual([]);
});

test("another preface, and anything but SETTINGS behind it, are errors", () => {
  expect(errors(latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), {}, latin1(""))).toEqual(["goaway 0 1"]);
  expect(errors(all(preface, ping()), {}, latin1(""))).toEqual(["goaway 0 1"]);
  expect(errors(all(preface, request(1)), { policy: nginxPolicy }, latin1(""))).toEqual([]);
});

const calm = "goaway 0 11";
const times = (count: number, make: (i: number) => Uint8Array) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

/** The errors of a flood, which is sent in one go; and what is logged. */
function flood(bytes: Uint8Array, options: Partial<H2Options> = {}) {
  const engine = new H2Server({ ...defaultH2Options, ...options });
  engine.receive(all(opening, bytes));
  const log = new FrameLog();
  const frames = engine.takeOutput().flatMap((piece) => log.read(piece).map(describe));
  return { last: frames.at(-1) ?? "", fault: engine.fault ?? "" };
}

test.each<[string, Uint8Array]>([
  ["PING", times(3000, () => ping())],
  ["SETTINGS", times(3000, () => settings())],
  ["long SETTINGS", times(100, () => settings(...Array.from({ length: 2000 }, () => [4, 65535] as const)))],
  ["PRIORITY", times(3000, () => makeFrame(frame.priority, 0, 3, latin1("\0\0\0\x01\x10")))],
  ["WINDOW_UPDATE", times(3000, () => windowUpdate(0, 1))],
  ["unknown frames", times(3000, () => makeFrame(0x42, 0, 0))],
])("%s without end: enhance your calm", (_, bytes) => {
  const { last, fault } = flood(bytes);
  expect(last).toBe(calm);
  expect(fault).toContain("http2 flood detected");
});

test("empty DATA without end (CVE-2019-9518)", () => {
  expect(
    flood(
      all(
        post,
        times(3000, () => data(1, "", false)),
      ),
    ).last,
  ).toBe("goaway 1 11");
});

test("requests that are reset at once, again and again (CVE-2023-44487)", () => {
  const { last, fault } = flood(times(1000, (i) => all(request(2 * i + 1), reset(2 * i + 1))));
  expect(last).toEndWith(" 11");
  expect(fault).toContain("too many requests were given up");
});

test("requests that we are made to reset (CVE-2025-8671)", () => {
  for (const provoke of [(id: number) => windowUpdate(id, 0), (id: number) => data(id, "a")])
    expect(flood(times(1000, (i) => all(request(2 * i + 1), provoke(2 * i + 1)))).last).toEndWith(" 11");
});

test("streams beyond those allowed, without end", () => {
  expect(flood(times(3000, (i) => request(2 * i + 1))).last).toEndWith(" 11");
});

test("a head in ever more frames (CVE-2024-27316)", () => {
  const more = makeFrame(frame.continuation, 0, 1);
  expect(
    flood(
      all(
        begun(),
        times(1000, () => more),
      ),
    ).last,
  ).toBe("goaway 1 11");
  const large = makeFrame(frame.continuation, 0, 1, new Uint8Array(16000));
  expect(
    flood(
      all(
        begun(),
        times(10, () => large),
      ),
    ).last,
  ).toBe("goaway 1 11");
});

test("a client that asks and reads may go on for ever", () => {
  const engine = new H2Server();
  engine.receive(opening);
  const body = new Uint8Array(100);
  for (let i = 0; i < 5000; i++) {
    const stream = 2 * i + 1;
    engine.receive(all(request(stream), windowUpdate(stream, 100), windowUpdate(0, 100), ping()));
    engine.sendHead(stream, { status: 200, headers: new Headers() }, false, "");
    engine.sendData(stream, body, true);
    engine.takeOutput();
  }
  expect(engine.fault).toBeUndefined();
  expect(engine.keepAlive).toBe(true);
});

test("one that cancels now and then may, too", () => {
  const engine = new H2Server();
  engine.receive(opening);
  for (let i = 0; i < 3000; i++) {
    engine.receive(request(2 * i + 1));
    if (i % 2 === 0) engine.receive(reset(2 * i + 1));
    else engine.sendHead(2 * i + 1, { status: 200, headers: new Headers() }, true, "");
    engine.takeOutput();
  }
  expect(engine.keepAlive).toBe(true);
});

test("a head that is too large: 431, or as Nginx the end", () => {
  const large = request(1, [...pseudo(), ["a", "x".repeat(8193)]]);
  const engine = new H2Server();
  engine.receive(opening);
  expect(engine.receive(large)).toMatchObject([{ type: "refused", error: { status: 431 } }]);
  expect(errors(large, { policy: nginxPolicy })).toEqual(["goaway 1 11"]);
  const many = request(1, [...pseudo(), ...Array.from({ length: 5 }, (_, i) => [`a${i}`, "x".repeat(100)] as const)]);
  expect(errors(many, { policy: nginxPolicy, fieldsLimit: 500 })).toEqual(["goaway 1 11"]);
});
