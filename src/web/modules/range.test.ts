import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { bodyText, directoryOf, exchangeFor } from "../../../tests/support/exchange.ts";
import { Headers } from "../../http/headers.ts";
import type { Body, Reply, Source } from "../../http/message.ts";
import { parseRanges, range, ranges } from "./range.ts";

const text = "abcdefghijklmnopqrstuvwxyz";
const size = text.length;
const date = "Wed, 01 May 2024 10:20:30 GMT";

const bytesBody = (): Body => ({ kind: "bytes", bytes: Buffer.from(text) });

function replyOf(body = bytesBody(), status = 200, offered = "bytes"): Reply {
  const headers = Headers.of(
    ["Content-Type", "text/plain; charset=utf-8"],
    ["Content-Length", String(size)],
    ["Last-Modified", date],
    ["ETag", '"a"'],
    ["Accept-Ranges", offered],
  );
  headers.shared = true;
  return { head: { status, headers }, body };
}

function ask(headers: Record<string, string>, reply = replyOf(), method = "GET"): Reply {
  const shared = reply.head.headers;
  const before = [...shared.values];
  expect(range(exchangeFor("/x", { method, headers }), reply)).toBeUndefined();
  expect(shared.values).toEqual(before);
  return reply;
}

const field = (reply: Reply, name: string): string | undefined => reply.head.headers.get(name);

describe("parseRanges (RFC 9110 14.1)", () => {
  test.each([
    ["bytes=0-0", [[0, 0]]],
    ["bytes=0-", [[0, 25]]],
    ["bytes=5-7", [[5, 7]]],
    ["BYTES=5-7", [[5, 7]]],
    ["bytes=5-1000000000000000000000", [[5, 25]]],
    ["bytes=25-", [[25, 25]]],
    ["bytes=-1", [[25, 25]]],
    ["bytes=-1000", [[0, 25]]],
    [
      "bytes= 0-1 ,\t3-4",
      [
        [0, 1],
        [3, 4],
      ],
    ],
    [
      "bytes=,0-1,,3-4,",
      [
        [0, 1],
        [3, 4],
      ],
    ],
    [
      "bytes=10-11,0-1,-2",
      [
        [10, 11],
        [0, 1],
        [24, 25],
      ],
    ],
    ["bytes=0-1,99-", [[0, 1]]],
    ["bytes=0-0,-0", [[0, 0]]],
    // Beyond the end, or no ranges at all.
    ["bytes=26-", []],
    ["bytes=99999999999999999999-", []],
    ["bytes=-0", []],
    ["bytes=-", []],
    ["bytes=5", []],
    ["bytes=5-3", []],
    ["bytes=30-29", []],
    ["bytes=a-b", []],
    ["bytes=0x1-2", []],
    ["bytes=+1-2", []],
    ["bytes=1-2-3", []],
    ["bytes=--1", []],
    ["bytes=1 -2", []],
    ["bytes=0-1;2-3", []],
    ["bytes=0-1,x", []],
  ])("%p", (value, expected) => {
    expect(parseRanges(value, size)).toEqual(expected.map(([first = 0, last = 0]) => ({ first, last })));
  });

  test.each([
    "items=0-1",
    "bytes=",
    "bytes 0-1",
    " bytes=0-1",
    "bytes:0-1",
    "0-1",
    "",
    "bytes=0-,0-",
    "bytes=-600,0-400",
    `bytes=${"0-0,".repeat(1000)}`,
    `bytes=${Array.from({ length: 65 }, (_, i) => `${2 * i}-${2 * i}`).join()}`,
  ])("%p is answered with the whole", (value) => {
    expect(parseRanges(value, 1000)).toBe("whole");
  });

  test("an empty content has no parts", () => {
    expect(parseRanges("bytes=0-", 0)).toBe("whole");
  });

  test("how many parts are too many depends on the size, or on what is allowed", () => {
    const value = `bytes=${Array.from({ length: 64 }, (_, i) => `${2 * i}-${2 * i}`).join()}`;
    expect(parseRanges(value, 1000)).toBe("whole");
    expect(parseRanges(value, 100_000)).toBeArrayOfSize(64);
    expect(parseRanges(value, 1000, 64)).toBeArrayOfSize(64);
    expect(parseRanges(value, 100_000, 63)).toBe("whole");
    // What lies beyond the end does not count.
    expect(parseRanges("bytes=0-1,5000-,3-4", 1000, 2)).toBeArrayOfSize(2);
  });
});

// Each rule holds for content in memory and in a file that begins somewhere.
describe.each(["bytes", "file"])("a part of %s", (kind) => {
  const make = (path: string) => {
    const file = { fd: openSync(path, "r"), released: 0, release: () => void file.released++ };
    const body: Body = kind === "bytes" ? bytesBody() : { kind: "file", file, offset: 3, length: size };
    return { body, file, [Symbol.dispose]: () => closeSync(file.fd) };
  };

  test("is a 206 with its place and length", async () => {
    using dir = directoryOf({ x: `...${text}...` });
    using made = make(`${dir.path}/x`);
    const reply = ask({ Range: "bytes=2-4" }, replyOf(made.body));
    expect(reply.head.status).toBe(206);
    expect(field(reply, "content-range")).toBe("bytes 2-4/26");
    expect(field(reply, "content-length")).toBe("3");
    expect(field(reply, "etag")).toBe('"a"');
    expect(field(reply, "content-type")).toBe("text/plain; charset=utf-8");
    expect(await bodyText(reply)).toBe("cde");
    if (kind === "file") expect(made.file.released).toBe(1);
  });

  test("and another come as multipart/byteranges (RFC 9110 14.6)", async () => {
    using dir = directoryOf({ x: `...${text}...` });
    using made = make(`${dir.path}/x`);
    const reply = ask({ Range: "bytes=-2, 0-0" }, replyOf(made.body));
    expect(reply.head.status).toBe(206);
    expect(field(reply, "content-range")).toBeUndefined();
    const [, boundary = ""] =
      /^multipart\/byteranges; boundary=([\w-]+)$/.exec(field(reply, "content-type") ?? "") ?? [];
    const body = await bodyText(reply);
    expect(body).toBe(
      `\r\n--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 24-25/26\r\n\r\nyz` +
        `\r\n--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-0/26\r\n\r\na` +
        `\r\n--${boundary}--\r\n`,
    );
    expect(field(reply, "content-length")).toBe(String(body.length));
    if (kind === "file") expect(made.file.released).toBe(1);
  });

  test("beyond the end is a 416 that tells the size", async () => {
    using dir = directoryOf({ x: `...${text}...` });
    using made = make(`${dir.path}/x`);
    const reply = ask({ Range: "bytes=26-" }, replyOf(made.body));
    expect(reply.head.status).toBe(416);
    expect(field(reply, "content-range")).toBe("bytes */26");
    expect(field(reply, "content-length")).toBe(String((await bodyText(reply)).length));
    if (kind === "file") expect(made.file.released).toBe(1);
  });

  test("given up in the middle is released once", async () => {
    using dir = directoryOf({ x: `...${text}...` });
    using made = make(`${dir.path}/x`);
    const { body } = ask({ Range: "bytes=0-1,3-4" }, replyOf(made.body));
    if (body.kind !== "stream") throw new Error("a stream was expected");
    let pushed = 0;
    const sink = { push: () => void pushed++, fail: () => {} };
    body.source.pull(sink);
    body.source.pull(sink);
    body.source.cancel("gone");
    body.source.cancel("gone");
    body.source.pull(sink);
    expect(pushed).toBe(2);
    if (kind === "file") expect(made.file.released).toBe(1);
  });
});

test("a part of a file that became shorter fails", async () => {
  using dir = directoryOf({ x: "short" });
  const file = { fd: openSync(`${dir.path}/x`, "r"), released: 0, release: () => void file.released++ };
  const reply = ask({ Range: "bytes=0-1,20-25" }, replyOf({ kind: "file", file, offset: 0, length: size }));
  await expect(bodyText(reply)).rejects.toThrow("became shorter");
  expect(file.released).toBe(1);
  closeSync(file.fd);
});

describe("If-Range (RFC 9110 13.1.5)", () => {
  test.each([
    ['"a"', 206],
    ['W/"a"', 200],
    ['"b"', 200],
    ["*", 200],
    [date, 206],
    ["Wednesday, 01-May-24 10:20:30 GMT", 206],
    ["Wed, 01 May 2024 10:20:31 GMT", 200],
    ["nonsense", 200],
    ["", 200],
  ])("%p gets %d", (validator, status) => {
    expect(ask({ Range: "bytes=0-0", "If-Range": validator }).head.status).toBe(status);
  });

  test("never holds for a weak tag", () => {
    const reply = replyOf();
    const headers = reply.head.headers.copy();
    headers.set("ETag", 'W/"a"');
    reply.head.headers = headers;
    expect(ask({ Range: "bytes=0-0", "If-Range": 'W/"a"' }, reply).head.status).toBe(200);
  });
});

test("where no part is offered, or none can be asked for, the whole comes", () => {
  const source = { pull: () => {}, cancel: () => {} };
  const headers = { Range: "bytes=0-0" };
  expect(ask(headers, replyOf(), "HEAD").head.status).toBe(200);
  expect(ask(headers, replyOf(bytesBody(), 404)).head.status).toBe(404);
  expect(ask(headers, replyOf(bytesBody(), 200, "none")).head.status).toBe(200);
  expect(ask({ Range: "bytes=0-0,2-2" }, replyOf({ kind: "stream", source })).head.status).toBe(200);
  expect(ask(headers, { ...replyOf(), isJudged: true }).head.status).toBe(200);
  expect(ask(headers, replyOf({ kind: "empty" })).head.status).toBe(200);
  expect(ask({}).head.status).toBe(200);
});

test("a part of a stream is cut out of it, and what follows is not read", async () => {
  const pieces = [text.slice(0, 3), text.slice(3, 10), text.slice(10, 12), text.slice(12)];
  const reasons: string[] = [];
  const source: Source = {
    pull(to) {
      const piece = pieces.shift() ?? "";
      to.push(Buffer.from(piece), pieces.length === 0);
    },
    cancel: (reason) => void reasons.push(reason),
  };
  const reply = ask({ Range: "bytes=4-10" }, replyOf({ kind: "stream", source }));
  expect(reply.head.status).toBe(206);
  expect(field(reply, "content-range")).toBe("bytes 4-10/26");
  expect(await bodyText(reply)).toBe("efghijk");
  expect(pieces).toHaveLength(1);
  expect(reasons).toHaveLength(1);
});

test("max_ranges 0: no parts, and none are offered", () => {
  const reply = replyOf();
  ranges(0)(exchangeFor("/x", { headers: { Range: "bytes=0-0" } }), reply);
  expect(reply.head.status).toBe(200);
  expect(field(reply, "accept-ranges")).toBeUndefined();
});
