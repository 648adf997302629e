/** Responses that are none, and what else an upstream may do wrong. */
import { expect, test } from "bun:test";
import { data, type Fields, latin1, makeFrame, reset, settings, windowUpdate } from "../../../tests/support/h2.ts";
import { client, get, post } from "../../../tests/support/h2_client.ts";
import { goaway, head, response } from "../../../tests/support/h2_upstream.ts";
import { flag, frame } from "./frames.ts";

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
