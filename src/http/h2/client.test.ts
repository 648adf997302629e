import { expect, test } from "bun:test";
import {
  block,
  data,
  describe,
  type Fields,
  FrameLog,
  latin1,
  makeFrame,
  ping,
  reset,
  settings,
  windowUpdate,
} from "../../../tests/support/h2.ts";
import { goaway, head, response } from "../../../tests/support/h2_upstream.ts";
import type { ClientEvent } from "../client_engine.ts";
import { Headers } from "../headers.ts";
import { H2Client, type H2RequestHead } from "./client.ts";
import { flag, frame, preface } from "./frames.ts";
import { defaultH2Options } from "./options.ts";
import { H2Server } from "./server.ts";

const get: H2RequestHead = {
  method: "GET",
  scheme: "http",
  authority: "example.com",
  path: "/a?b",
  headers: new Headers(),
  bodyLength: undefined,
};
const post: H2RequestHead = { ...get, method: "POST", bodyLength: -1 };

/** An event in a line. */
function told(event: ClientEvent): string {
  switch (event.type) {
    case "interim":
      return `interim ${event.head.status}`;
    case "response": {
      const { status, framing, bodyLength, headers } = event.head;
      const fields = headers.names.map(({ raw }, i) => ` ${raw}: ${headers.values[i]}`);
      return `response ${status} ${framing} ${bodyLength}${fields.join(",")}`;
    }
    case "data":
      return `data ${Buffer.from(event.bytes).toString("latin1")}`;
    case "trailers":
      return `trailers ${event.headers.names.map(({ raw }, i) => `${raw}: ${event.headers.values[i]}`).join(", ")}`;
    case "failed":
      return `failed ${event.kind}: ${event.error.detail} (${event.error.rule})`;
    default:
      return event.type;
  }
}

/** A client that has been greeted, and what is heard at its other end. */
function client(greeting: Uint8Array = settings()) {
  const engine = new H2Client();
  const log = new FrameLog();
  const first = Buffer.concat(engine.takeOutput());
  expect(first.subarray(0, preface.length).equals(preface)).toBe(true);
  const greeted = log.read(first.subarray(preface.length)).map(describe);
  expect(greeted).toEqual(["settings", `windowUpdate 0 ${1024 * 1024 - 65535}`]);
  engine.receive(greeting);
  const sent = (): string[] => log.read(Buffer.concat(engine.takeOutput())).map(describe);
  const hear = (...parts: readonly Uint8Array[]): string[] => engine.receive(Buffer.concat(parts)).map(told);
  expect(sent()).toEqual(["settings ack"]);
  return { engine, sent, hear };
}

const requestLine = "headers 1 [:method: GET, :scheme: http, :path: /a?b, :authority: example.com] END";
const postLine = "headers 1 [:method: POST, :scheme: http, :path: /a?b, :authority: example.com]";

test("a request without a body, and its response", () => {
  const { engine, sent, hear } = client();
  engine.sendHead(get);
  expect(sent()).toEqual([requestLine]);
  expect(engine.requestSent).toBe(true);
  expect(
    hear(
      response(1, "hello", [
        ["content-type", "text/plain"],
        ["content-length", "5"],
      ]),
    ),
  ).toEqual(["response 200 length 5 content-type: text/plain, content-length: 5", "data hello", "end"]);
  expect(engine.reusable).toBe(true);
});

test("the same byte by byte", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  const bytes = Buffer.concat([response(1, "hello"), ping()]);
  expect([...bytes].flatMap((byte) => hear(Uint8Array.of(byte)))).toEqual([
    "response 200 chunked -1",
    ..."hello".split("").map((char) => `data ${char}`),
    "end",
  ]);
});

test("the next request has the next stream, once the engine has been reset", () => {
  const { engine, sent, hear } = client();
  engine.sendHead(get);
  hear(response(1, ""));
  expect(() => engine.sendHead(get)).toThrow("out of turn");
  engine.reset();
  sent();
  engine.sendHead(get);
  expect(sent()[0]).toStartWith("headers 3 ");
  expect(hear(response(3, "x"))).toEqual(["response 200 chunked -1", "data x", "end"]);
});

test("fields that HTTP/2 has no place for are left out; Content-Length is the body's (8.2.2)", () => {
  const { engine, sent } = client();
  const headers = Headers.of(
    ["Connection", "x"],
    ["Transfer-Encoding", "chunked"],
    ["TE", "gzip"],
    ["te", "trailers"],
    ["Content-Length", "99"],
    ["X-Blank", " a "],
  );
  const passed = { headers: Headers.of(["Cookie", "a=b"], ["X-Hidden", "c"]), hidden: new Set(["x-hidden"]) };
  engine.sendHead({ ...get, bodyLength: 0, headers, passed });
  expect(sent()).toEqual([
    requestLine.replace("] END", ", content-length: 0, te: trailers, x-blank: a, cookie: a=b] END"),
  ]);
});

const unsendable: readonly (readonly [string, Partial<H2RequestHead>])[] = [
  ["a method with a space", { method: "GE T" }],
  ["a path with a line end", { path: "/a\r\nb: c" }],
  ["no path", { path: "" }],
  ["an authority with NUL", { authority: "a\0b" }],
  ["a value with a line end", { headers: Headers.of(["X", "a\r\nb: c"]) }],
];
for (const [what, change] of unsendable)
  test(`${what} cannot be sent, and leaves the connection as it was`, () => {
    const { engine, sent } = client();
    expect(() => engine.sendHead({ ...get, ...change })).toThrow("invalid");
    expect(sent()).toEqual([]);
    engine.sendHead(get);
    expect(sent()).toEqual([requestLine]);
  });

test("a body waits for windows, and goes on when they open (5.2)", () => {
  const { engine, sent, hear } = client(settings([4, 4]));
  engine.sendHead(post);
  engine.sendData(latin1("0123456789"), true);
  expect(sent()).toEqual([postLine, "data 1 0123"]);
  expect([engine.isBlocked, engine.requestSent]).toEqual([true, false]);
  hear(windowUpdate(1, 3));
  expect(sent()).toEqual(["data 1 456"]);
  // 6.9.2: the window of a stream changes with the setting.
  hear(settings([4, 7]));
  expect(sent()).toEqual(["settings ack", "data 1 789 END"]);
  expect([engine.isBlocked, engine.requestSent]).toEqual([false, true]);
});

test("a body of another length than its head says is not sent", () => {
  const { engine } = client();
  engine.sendHead({ ...post, bodyLength: 5 });
  engine.sendData(latin1("123"), false);
  expect(() => engine.sendData(latin1(""), true)).toThrow("length");
  expect(engine.reusable).toBe(false);
});

test("the response's window is opened as it is read, and stays closed while it is not", () => {
  const { engine, sent, hear } = client();
  const { bodyWindow } = defaultH2Options;
  engine.sendHead(get);
  sent();
  const piece = data(1, "x".repeat(16384), false);
  hear(head(1), ...Array.from({ length: bodyWindow / 16384 / 2 }, () => piece));
  expect(sent()).toEqual([`windowUpdate 1 ${bodyWindow / 2}`]);
  engine.pause(true);
  hear(...Array.from({ length: bodyWindow / 16384 }, () => piece));
  expect(sent().filter((line) => line.startsWith("windowUpdate 1"))).toEqual([]);
  engine.pause(false);
  expect(sent()).toEqual([`windowUpdate 1 ${bodyWindow}`]);
});

test("more than the window allows ends the connection (6.9.1)", () => {
  const { engine, hear, sent } = client();
  engine.sendHead(get);
  sent();
  engine.pause(true);
  const events = hear(head(1), ...Array.from({ length: 17 }, () => data(1, "x".repeat(16384), false)));
  expect(events.at(-1)).toBe("failed invalid: upstream violated stream flow control (RFC 9113 6.9.1)");
  expect(sent().at(-1)).toBe("goaway 0 3");
});

test("interim responses, a body and its trailers", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  expect(hear(head(1, [[":status", "103"]]), head(1), data(1, "a", false))).toEqual([
    "interim 103",
    "response 200 chunked -1",
    "data a",
  ]);
  expect(hear(makeFrame(frame.headers, flag.endHeaders | flag.endStream, 1, block([["grpc-status", "0"]])))).toEqual([
    "trailers grpc-status: 0",
    "end",
  ]);
});

test("a head over several frames (6.10)", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  const whole = block([
    [":status", "200"],
    ["a", "b"],
  ]);
  const parts = [whole.subarray(0, 3), whole.subarray(3, 9), whole.subarray(9)];
  expect(
    hear(
      makeFrame(frame.headers, flag.endStream, 1, parts[0]),
      makeFrame(frame.continuation, 0, 1, parts[1]),
      makeFrame(frame.continuation, flag.endHeaders, 1, parts[2]),
    ),
  ).toEqual(["response 200 length 0 a: b", "end"]);
});

const withoutBody: readonly (readonly [string, H2RequestHead, string])[] = [
  ["HEAD", { ...get, method: "HEAD" }, "200"],
  ["204", get, "204"],
  ["304", get, "304"],
];
for (const [what, request, status] of withoutBody)
  test(`${what}: no body, whatever Content-Length says`, () => {
    const { engine, hear } = client();
    engine.sendHead(request);
    expect(
      hear(
        head(
          1,
          [
            [":status", status],
            ["content-length", "5"],
          ],
          true,
        ),
      ),
    ).toEqual([`response ${status} none 0 content-length: 5`, "end"]);
    expect(engine.reusable).toBe(true);
  });

const refused: readonly (readonly [string, Fields, string])[] = [
  ["no :status", [["a", "b"]], "upstream sent no :status header (RFC 9113 8.3.2)"],
  [
    "two of them",
    [
      [":status", "200"],
      [":status", "200"],
    ],
    "upstream sent duplicate :status header (RFC 9113 8.3.2)",
  ],
  [
    "a request's pseudo-header",
    [
      [":status", "200"],
      [":path", "/"],
    ],
    'upstream sent unknown pseudo-header ":path" (RFC 9113 8.3.2)',
  ],
  [
    "a late :status",
    [
      ["a", "b"],
      [":status", "200"],
    ],
    "upstream sent out of order pseudo-headers (RFC 9113 8.3)",
  ],
  ["a status of two digits", [[":status", "20"]], 'upstream sent invalid :status "20" (RFC 9113 8.3.2)'],
  ["101", [[":status", "101"]], "upstream switched protocols without being asked (RFC 9113 8.6)"],
  [
    "a name in upper case",
    [
      [":status", "200"],
      ["A", "b"],
    ],
    'upstream sent invalid header name: "A" (RFC 9113 8.2.1)',
  ],
  [
    "a name with a colon",
    [
      [":status", "200"],
      ["a:b", "c"],
    ],
    'upstream sent invalid header name: "a:b" (RFC 9113 8.2.1)',
  ],
  [
    "a value with a line end",
    [
      [":status", "200"],
      ["a", "b\nc"],
    ],
    'upstream sent header "a" with invalid value: "b?c" (RFC 9113 8.2.1)',
  ],
  [
    "a field of HTTP/1's connections",
    [
      [":status", "200"],
      ["connection", "close"],
    ],
    'upstream sent connection-specific header "connection" (RFC 9113 8.2.2)',
  ],
  [
    "two lengths",
    [
      [":status", "200"],
      ["content-length", "1"],
      ["content-length", "1"],
    ],
    'upstream sent invalid or duplicate "Content-Length" header (RFC 9110 8.6)',
  ],
  [
    "a length that is none",
    [
      [":status", "200"],
      ["content-length", "+1"],
    ],
    'upstream sent invalid or duplicate "Content-Length" header (RFC 9110 8.6)',
  ],
];
for (const [what, fields, detail] of refused)
  test(`a response with ${what} is none`, () => {
    const { engine, hear } = client();
    engine.sendHead(get);
    expect(hear(head(1, fields))).toEqual([`failed invalid: ${detail}`]);
    expect(engine.reusable).toBe(false);
    expect(hear(response(1, "x"))).toEqual([]);
  });

const invalid = (detail: string): string[] => [`failed invalid: ${detail}`];
const headers = (stream: number, fields: Fields, end: boolean): Buffer => head(stream, fields, end);
const faults: readonly (readonly [string, readonly Uint8Array[], readonly string[]])[] = [
  ["a body before its head", [data(1, "x")], invalid("upstream sent a body before its head (RFC 9113 8.1)")],
  [
    "an interim response at the end",
    [headers(1, [[":status", "103"]], true)],
    invalid("upstream ended its response with an interim one (RFC 9113 8.1)"),
  ],
  [
    "a head larger than the limit",
    [
      head(1, [
        [":status", "200"],
        ["a", "x".repeat(9000)],
      ]),
    ],
    invalid("upstream sent too big header (RFC 9113 10.5.1)"),
  ],
  [
    "an undecodable head",
    [makeFrame(frame.headers, flag.endHeaders, 1, Buffer.from([0x80]))],
    invalid("index 0 is in no table (RFC 7541 2.3.3)"),
  ],
  [
    "an index of the table that it may not have",
    [makeFrame(frame.headers, flag.endHeaders, 1, Buffer.from([0xbe]))],
    invalid("index 62 is in no table (RFC 7541 2.3.3)"),
  ],
  ["an unknown stream", [head(3)], invalid("upstream sent HEADERS frame for unknown stream 3 (RFC 9113 5.1.1)")],
  ["a stream of a server's", [head(2)], invalid("upstream sent HEADERS frame for unknown stream 2 (RFC 9113 5.1.1)")],
  [
    "a push",
    [makeFrame(frame.pushPromise, 0, 1, latin1("\0\0\0\x02"))],
    invalid("upstream sent PUSH_PROMISE frame (RFC 9113 8.4)"),
  ],
  [
    "a frame that is too large",
    [makeFrame(frame.data, 0, 1, new Uint8Array(16385))],
    invalid("upstream sent too large frame: 16385 (RFC 9113 4.2)"),
  ],
  ["SETTINGS that ask for pushes", [settings([2, 1])], invalid("SETTINGS_ENABLE_PUSH 1 (RFC 9113 6.5.2)")],
  [
    "HTTP/1",
    [latin1("HTTP/1.1 400 Bad Request\r\n\r\n")],
    invalid("upstream sent too large frame: 4740180 (RFC 9113 4.2)"),
  ],
  [
    "a window of nothing",
    [windowUpdate(1, 0)],
    invalid("upstream sent WINDOW_UPDATE frame with incorrect window increment 0 (RFC 9113 6.9)"),
  ],
  ["a reset", [reset(1, 2)], invalid("upstream rejected request with error 2 (RFC 9113 6.4)")],
  ["a refusal", [reset(1, 7)], ["failed refused: upstream rejected request with error 7 (RFC 9113 6.4)"]],
  ["a goodbye that leaves us out", [goaway(0)], ["failed leaving: upstream sent goaway with error 0 (RFC 9113 6.8)"]],
  ["the same in anger", [goaway(0, 11)], ["failed refused: upstream sent goaway with error 11 (RFC 9113 6.8)"]],
];
for (const [what, bytes, events] of faults)
  test(`instead of a response: ${what}`, () => {
    const { engine, hear } = client();
    engine.sendHead(post);
    expect(hear(...bytes)).toEqual([...events]);
    expect(engine.reusable).toBe(false);
  });

const inBody: readonly (readonly [string, readonly Uint8Array[], string])[] = [
  ["less than its length", [data(1, "12")], "upstream prematurely closed stream (RFC 9113 8.1.1)"],
  [
    "more than its length",
    [data(1, "123456")],
    "upstream sent response body larger than indicated content length (RFC 9113 8.1.1)",
  ],
  ["a second head", [head(1)], "upstream sent a second head that does not end the response (RFC 9113 8.1)"],
  [
    "a pseudo-header behind it",
    [data(1, "12345", false), head(1, [[":status", "200"]], true)],
    "upstream sent a pseudo-header among the trailers (RFC 9113 8.1)",
  ],
  [
    "padding longer than its frame",
    [makeFrame(frame.data, flag.padded, 1, Buffer.from([5, 0]))],
    "upstream sent padded DATA frame with incorrect length (RFC 9113 6.1)",
  ],
  ["a reset", [reset(1, 0)], "upstream rejected request with error 0 (RFC 9113 6.4)"],
];
for (const [what, bytes, detail] of inBody)
  test(`in a body of five bytes: ${what}`, () => {
    const { engine, hear } = client();
    engine.sendHead(get);
    hear(
      head(1, [
        [":status", "200"],
        ["content-length", "5"],
      ]),
    );
    expect(hear(...bytes).at(-1)).toBe(`failed invalid: ${detail}`);
  });

test("padding is no part of a body, but of the window (6.1)", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  const padded = makeFrame(frame.data, flag.padded | flag.endStream, 1, Buffer.from("\x03hi\0\0\0", "latin1"));
  expect(
    hear(
      head(1, [
        [":status", "200"],
        ["content-length", "2"],
      ]),
      padded,
    ),
  ).toEqual(["response 200 length 2 content-length: 2", "data hi", "end"]);
});

test("no SETTINGS first: it is no HTTP/2 (3.4)", () => {
  const engine = new H2Client();
  engine.sendHead(get);
  expect(engine.receive(response(1, "x")).map(told)).toEqual(
    invalid("upstream sent no SETTINGS frame first (RFC 9113 3.4)"),
  );
});

test("an answer before the request is complete: the rest is not sent, the connection goes on (8.1)", () => {
  const { engine, sent, hear } = client();
  engine.sendHead(post);
  engine.sendData(latin1("a"), false);
  sent();
  expect(hear(response(1, "no"))).toEqual(["response 200 chunked -1", "data no", "end"]);
  expect(sent()).toEqual(["rstStream 1 8"]);
  expect(engine.reusable).toBe(true);
  engine.reset();
  engine.sendHead(get);
  expect(hear(windowUpdate(1, 5), reset(1, 0), response(3, "yes"))).toEqual([
    "response 200 chunked -1",
    "data yes",
    "end",
  ]);
});

test("a reset without an error behind a response takes nothing back, any other does (8.1)", () => {
  const { engine, hear } = client();
  engine.sendHead(post);
  expect(hear(response(1, "x"), reset(1, 0)).at(-1)).toBe("end");
  expect(engine.reusable).toBe(true);
  const other = client();
  other.engine.sendHead(post);
  expect(other.hear(response(1, "x"), reset(1, 8)).at(-1)).toBe(
    "failed invalid: upstream rejected request with error 8 (RFC 9113 6.4)",
  );
});

test("a goodbye during a response: it is completed, nothing follows (6.8)", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  expect(hear(goaway(1), response(1, "x")).at(-1)).toBe("end");
  expect(engine.reusable).toBe(false);
});

test("between two requests PING and SETTINGS are answered; a goodbye ends it, and so does what nobody asked for", () => {
  const idle = () => {
    const made = client();
    made.engine.sendHead(get);
    made.hear(response(1, "x"));
    made.engine.reset();
    made.sent();
    return made;
  };
  const calm = idle();
  expect(calm.hear(ping(), settings([3, 10]))).toEqual([]);
  expect(calm.sent()).toEqual(["ping 0 ack", "settings ack"]);
  expect(calm.engine.reusable).toBe(true);
  for (const bytes of [goaway(1), data(1, "x"), head(3), settings([3, 0]), latin1("garbage that is no frame")]) {
    const other = idle();
    expect(other.hear(bytes)).toEqual([]);
    expect(other.engine.reusable).toBe(false);
  }
});

test("the end of the connection is the end of the response only if that has come", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  hear(head(1));
  expect(engine.receiveEnd().map(told)).toEqual([
    "failed closed: upstream prematurely closed connection (RFC 9113 5.1)",
  ]);
});

test("floods of what asks for nothing end the connection (10.5)", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  const events = hear(...Array.from({ length: 3000 }, () => ping()));
  expect(events).toEqual(invalid("http2 flood detected: too many PING frames (RFC 9113 10.5)"));
});

test("a client and a server understand each other, large bodies both ways", () => {
  const [near, far] = [new H2Client(), new H2Server()];
  const body = crypto.getRandomValues(new Uint8Array(60_000));
  const upload: Uint8Array[] = [];
  const download: Uint8Array[] = [];
  near.sendHead({ ...post, headers: Headers.of(["X-A", "b"]), bodyLength: body.length });
  near.sendData(body, true);
  let ended = false;
  let status = 0;
  for (let turn = 0; turn < 100 && !ended; turn++) {
    for (const event of far.receive(Buffer.concat(near.takeOutput()))) {
      if (event.type === "request") {
        expect([event.head.method, event.head.path, event.head.authority]).toEqual(["POST", "/a", "example.com"]);
        expect(event.head.headers.get("x-a")).toBe("b");
        far.readBody(event.stream, false);
      }
      if (event.type !== "data") continue;
      upload.push(new Uint8Array(event.bytes));
      if (!event.end) continue;
      far.sendHead(event.stream, { status: 201, headers: new Headers() }, false, "");
      far.sendTrailers(event.stream, Headers.of(["x-sum", "1"]));
      far.sendData(event.stream, body, true);
    }
    for (const event of near.receive(Buffer.concat(far.takeOutput()))) {
      if (event.type === "response") status = event.head.status;
      if (event.type === "data") download.push(event.bytes);
      if (event.type === "trailers") expect(event.headers.get("x-sum")).toBe("1");
      if (event.type === "end") ended = true;
    }
  }
  expect([status, ended]).toEqual([201, true]);
  expect(Buffer.concat(upload).equals(body)).toBe(true);
  expect(Buffer.concat(download).equals(body)).toBe(true);
});
