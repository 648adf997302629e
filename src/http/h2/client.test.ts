import { expect, test } from "bun:test";
import { block, data, latin1, makeFrame, ping, reset, settings, windowUpdate } from "../../../tests/support/h2.ts";
import { client, get, post, told } from "../../../tests/support/h2_client.ts";
import { goaway, head, response } from "../../../tests/support/h2_upstream.ts";
import { Headers } from "../headers.ts";
import { H2Client, type H2RequestHead } from "./client.ts";
import { flag, frame } from "./frames.ts";
import { defaultH2Options } from "./options.ts";
import { H2Server } from "./server.ts";

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
  expect(engine.receive(response(1, "x")).map(told)).toEqual([
    "failed invalid: upstream sent no SETTINGS frame first (RFC 9113 3.4)",
  ]);
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

test("an upstream that uses a table, though it was asked not to, is understood; it must not ask for a larger one", () => {
  const { engine, hear } = client();
  engine.sendHead(get);
  const indexed = block([["a", "b"]], true);
  const [status, newest] = [Buffer.from([0x88]), Buffer.from([0xbe])];
  const fields = Buffer.concat([status, indexed, newest]);
  expect(hear(makeFrame(frame.headers, flag.endHeaders | flag.endStream, 1, fields))).toEqual([
    "response 200 length 0 a: b, a: b",
    "end",
  ]);
  engine.reset();
  engine.sendHead(get);
  const resized = Buffer.concat([Buffer.from([0x21]), status]);
  expect(hear(makeFrame(frame.headers, flag.endHeaders, 3, resized))).toEqual([
    "failed invalid: table size 1 is above the limit (RFC 7541 6.3)",
  ]);
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
  expect(events).toEqual(["failed invalid: http2 flood detected: too many PING frames (RFC 9113 10.5)"]);
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
