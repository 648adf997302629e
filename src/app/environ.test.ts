import { expect, test } from "bun:test";
import { Headers } from "../http/headers.ts";
import type { Ends, Version } from "../http/message.ts";
import { CheckedRequest } from "../http/request.ts";
import { type EnvironFacts, writeEnviron } from "./environ.ts";

const ends: Ends = {
  peerAddress: "192.0.2.7",
  peerPort: 4711,
  localAddress: "127.0.0.1",
  localPort: "8000",
  scheme: "http",
  environ: undefined,
};

function environOf(
  fields: readonly (readonly [string, string])[] = [],
  options: {
    at?: Ends;
    bodyLength?: number;
    sentLength?: number;
    version?: Version;
    authority?: string;
    facts?: Partial<EnvironFacts>;
  } = {},
): Record<string, string> {
  const { at = ends, bodyLength = 0, version = 11, authority = "example.com", facts = {} } = options;
  const request = new CheckedRequest("GET", "/a%20b?x=1", version, Headers.of(...fields));
  request.authority = authority;
  request.bodyLength = options.sentLength ?? bodyLength;
  let text = "";
  const to = {
    text: (piece: string) => {
      text += piece;
    },
    bytes: (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString("latin1");
    },
  };
  const found: EnvironFacts = { method: "GET", query: "x=1", path: "/a b", scheme: "http", bodyLength, ...facts };
  writeEnviron(to, request, { ...at, environ: undefined }, found);
  const parts = text.split("\n");
  expect(parts.length % 2).toBe(0);
  return Object.fromEntries(Array.from({ length: parts.length / 2 }, (_, i) => [parts[2 * i], parts[2 * i + 1]]));
}

test("what every request has", () => {
  expect(environOf()).toEqual({
    REQUEST_METHOD: "GET",
    RAW_URI: "/a%20b?x=1",
    PATH_INFO: "/a b",
    QUERY_STRING: "x=1",
    SERVER_PROTOCOL: "HTTP/1.1",
    "wsgi.url_scheme": "http",
    SERVER_NAME: "127.0.0.1",
    SERVER_PORT: "8000",
    REMOTE_ADDR: "192.0.2.7",
    REMOTE_PORT: "4711",
  });
  expect(environOf([], { version: 9 }).SERVER_PROTOCOL).toBe("HTTP/0.9");
  expect(environOf([], { version: 10 }).SERVER_PROTOCOL).toBe("HTTP/1.0");
  expect(environOf([], { facts: { scheme: "https" } })["wsgi.url_scheme"]).toBe("https");
});

test("fields become HTTP_ keys; repeated ones are one list, cookies with their own separator", () => {
  const environ = environOf([
    ["Host", "example.com"],
    ["Accept", "a"],
    ["accept", "b"],
    ["Cookie", "x=1"],
    ["Cookie", "y=2"],
    ["Content-Type", "text/plain"],
    ["X-Long", "v".repeat(500)],
  ]);
  expect(environ).toMatchObject({
    HTTP_HOST: "example.com",
    HTTP_ACCEPT: "a,b",
    HTTP_COOKIE: "x=1; y=2",
    CONTENT_TYPE: "text/plain",
  });
  expect(environ.HTTP_X_LONG).toHaveLength(500);
  expect(environ.HTTP_CONTENT_TYPE).toBeUndefined();
});

test("a body has a length, however it was sent", () => {
  expect(environOf([["Content-Length", "5"]], { bodyLength: 5 }).CONTENT_LENGTH).toBe("5");
  const chunked = environOf([["Transfer-Encoding", "chunked"]], { bodyLength: 7, sentLength: -1 });
  expect([chunked.CONTENT_LENGTH, chunked.HTTP_TRANSFER_ENCODING]).toEqual(["7", undefined]);
  expect(environOf([["Transfer-Encoding", "chunked"]], { bodyLength: 0, sentLength: -1 }).CONTENT_LENGTH).toBe("0");
  expect(environOf([["Content-Length", "0"]]).CONTENT_LENGTH).toBe("0");
  expect(environOf().CONTENT_LENGTH).toBeUndefined();
});

test("on a Unix socket, name and port are those that the client asked for", () => {
  const at: Ends = { ...ends, peerAddress: "", peerPort: 0, localAddress: "/run/a.sock", localPort: "" };
  expect(environOf([], { at })).toMatchObject({ SERVER_NAME: "example.com", SERVER_PORT: "80", REMOTE_ADDR: "" });
  expect(environOf([], { at, authority: "h:81" })).toMatchObject({ SERVER_NAME: "h", SERVER_PORT: "81" });
  expect(environOf([], { at, authority: "[::1]:82" })).toMatchObject({ SERVER_NAME: "[::1]", SERVER_PORT: "82" });
  expect(environOf([], { at, authority: "" })).toMatchObject({ SERVER_NAME: "localhost", SERVER_PORT: "80" });
  expect(environOf([], { at }).REMOTE_PORT).toBeUndefined();
});
