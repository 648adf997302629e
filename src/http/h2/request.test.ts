import { expect, test } from "bun:test";
import { block, type Fields, pseudo } from "../../../tests/support/h2.ts";
import { nginxPolicy, strictPolicy } from "../h1/policy.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import { defaultH2Options, type H2Options } from "./options.ts";
import { assemble, assembleTrailers } from "./request.ts";

const strict = defaultH2Options;
const loose: H2Options = { ...strict, policy: nginxPolicy };

function read(fields: Fields) {
  const bytes = block(fields);
  const decoder = new HpackDecoder();
  expect(decoder.decode(bytes, 0, bytes.length)).toBe(true);
  return decoder.fields;
}

/** The status that a request with these fields gets; 200: it is one. */
const status = (fields: Fields, options = strict, end = true): number =>
  assemble(read(fields), end, options).error?.status ?? 200;

const head = (fields: Fields, options = strict, end = true) => assemble(read(fields), end, options).head;
const lines = (fields: Fields, options = strict): string[] => {
  const { headers } = head(fields, options);
  return headers.names.map(({ raw }, i) => `${raw}: ${headers.values[i]}`);
};

test("pseudo-header fields become what a request is known by", () => {
  const made = head([...pseudo("/a%20b?c=d"), ["accept", "*/*"]]);
  expect([made.method, made.target, made.path, made.query, made.authority, made.version, made.bodyLength]).toEqual([
    "GET",
    "/a%20b?c=d",
    "/a%20b",
    "c=d",
    "example.com",
    20,
    0,
  ]);
  expect(made.requestLine).toBe("GET /a%20b?c=d HTTP/2.0");
});

test("the authority is the Host field of whoever asks for one, whichever way it came", () => {
  expect(lines([...pseudo(), ["accept", "*/*"]])).toEqual(["host: example.com", "accept: */*"]);
  expect(lines(pseudo())).toEqual(["host: example.com"]);
  const noAuthority = pseudo().slice(0, 3);
  expect(lines([...noAuthority, ["accept", "*/*"], ["host", "a.test"]])).toEqual(["host: a.test", "accept: */*"]);
  expect(head([...noAuthority, ["host", "a.test"]]).authority).toBe("a.test");
  expect(status(noAuthority)).toBe(400);
  expect(status([...pseudo(), ["host", "EXAMPLE.com"]])).toBe(200);
  expect(status([...pseudo(), ["host", "other.test"]])).toBe(400);
  expect(status([...noAuthority, ["host", "a"], ["host", "a"]])).toBe(400);
});

test("crumbs are one cookie again (8.2.3)", () => {
  expect(lines([...pseudo(), ["cookie", "a=b"], ["accept", "*/*"], ["cookie", "c=d"]])).toEqual([
    "host: example.com",
    "cookie: a=b; c=d",
    "accept: */*",
  ]);
});

const [method, scheme, path, authority] = pseudo();

test.each<[string, Fields]>([
  ["no :method", [scheme!, path!, authority!]],
  ["no :scheme", [method!, path!, authority!]],
  ["no :path", [method!, scheme!, authority!]],
  ["an empty :path", pseudo("")],
  ["a relative :path", pseudo("a")],
  ["* without OPTIONS", pseudo("*")],
  [":method twice", [method!, ...pseudo()]],
  [":scheme twice", [scheme!, ...pseudo()]],
  [":path twice", [path!, ...pseudo()]],
  [":authority twice", [authority!, ...pseudo()]],
  ["an unknown pseudo-header", [...pseudo(), [":test", "ok"]]],
  ["one of responses", [...pseudo(), [":status", "200"]]],
  [":protocol that nobody has asked for", [...pseudo("/", "CONNECT"), [":protocol", "websocket"]]],
  ["one behind other fields", [method!, scheme!, path!, ["a", "b"], authority!]],
  ["upper case", [...pseudo(), ["X-Test", "ok"]]],
  ["a space in a name", [...pseudo(), ["x test", "ok"]]],
  ["a colon in a name", [...pseudo(), ["x:test", "ok"]]],
  ["an empty name", [...pseudo(), ["", "ok"]]],
  ["Connection", [...pseudo(), ["connection", "close"]]],
  ["Keep-Alive", [...pseudo(), ["keep-alive", "1"]]],
  ["Transfer-Encoding", [...pseudo(), ["transfer-encoding", "chunked"]]],
  ["Upgrade", [...pseudo(), ["upgrade", "h2c"]]],
  ["TE that is not trailers", [...pseudo(), ["te", "gzip"]]],
  ["a line end in a value", [...pseudo(), ["a", "b\r\nc: d"]]],
  ["NUL in a value", [...pseudo(), ["a", "b\0"]]],
  ["a body that a length announces and nobody sends", [...pseudo(), ["content-length", "1"]]],
  ["two lengths", [...pseudo(), ["content-length", "0"], ["content-length", "0"]]],
  ["a length that is none", [...pseudo(), ["content-length", "1,1"]]],
  ["two content types", [...pseudo(), ["content-type", "a/b"], ["content-type", "a/b"]]],
  ["a lower-case method", pseudo("/", "get")],
  ["a space in the path", pseudo("/a b")],
])("%s: 400, strictly and loosely", (_, fields) => {
  expect([status(fields), status(fields, loose)]).toEqual([400, 400]);
});

test("what is allowed", () => {
  expect(status([...pseudo(), ["te", "trailers"]])).toBe(200);
  expect(status(pseudo("*", "OPTIONS"))).toBe(200);
  expect(status([...pseudo(), ["content-length", "0"]])).toBe(200);
  expect(status([...pseudo(), ["accept", "a"], ["accept", "b"]])).toBe(200);
});

test("CONNECT and TRACE are refused; CONNECT may be extended (RFC 8441)", () => {
  expect(status([method!, authority!].map(([name, value]) => [name, name === ":method" ? "CONNECT" : value]))).toBe(
    405,
  );
  expect(status(pseudo("/", "TRACE"))).toBe(405);
  const extended: H2Options = {
    ...strict,
    extendedConnect: true,
    policy: { ...strictPolicy, refusedMethods: new Set() },
  };
  expect(status([...pseudo("/chat", "CONNECT"), [":protocol", "websocket"]], extended)).toBe(200);
});

test("strictly, other control characters, white space around values and bytes above 0x7F in paths are refused", () => {
  for (const fields of [[["a", "b\x01"]], [["a", " b"]], [["a", "b\t"]]] as Fields[])
    expect([status([...pseudo(), ...fields]), status([...pseudo(), ...fields], loose)]).toEqual([400, 200]);
  expect([status(pseudo("/ä")), status(pseudo("/ä"), loose)]).toEqual([400, 200]);
});

test("underscores and odd names as for HTTP/1: dropped and noted, kept or refused", () => {
  const fields: Fields = [...pseudo(), ["x_a", "1"], ["x.b", "2"], ["c", "3"]];
  expect(lines(fields, loose)).toEqual(["host: example.com", "c: 3"]);
  expect(head(fields, loose).ignoredLines).toEqual(["x_a: 1", "x.b: 2"]);
  const kept = { ...loose, policy: { ...nginxPolicy, underscores: "keep" } } as const;
  expect(lines(fields, kept)).toEqual(["host: example.com", "x_a: 1", "c: 3"]);
  const passed = { ...loose, policy: { ...nginxPolicy, ignoreInvalidHeaders: "refuse" } } as const;
  expect(lines(fields, passed)).toEqual(["host: example.com", "x_a: 1", "x.b: 2", "c: 3"]);
  const refused = { ...strict, policy: { ...strictPolicy, underscores: "refuse" } } as const;
  expect(status(fields, refused)).toBe(400);
  expect(lines([...pseudo(), ["proxy", "http://evil.test"]])).toEqual(["host: example.com"]);
});

test("too many fields are too large a head", () => {
  const many = Array.from({ length: strictPolicy.fieldCountLimit + 1 }, () => ["a", "b"] as const);
  expect(status([...pseudo(), ...many.slice(1)])).toBe(200);
  expect(status([...pseudo(), ...many])).toBe(494);
});

test("expectations", () => {
  const expecting = (value: string): Fields => [...pseudo(), ["expect", value]];
  expect(head(expecting("100-Continue"), strict, false).expectsContinue).toBe(true);
  expect(status(expecting("99-bottles"))).toBe(417);
});

test("trailers: no pseudo-header, nothing that belongs into the head", () => {
  const trailers = (...fields: Fields) => {
    const made = assembleTrailers(read(fields), strictPolicy);
    return typeof made === "string" ? undefined : made.names.map(({ raw }) => raw);
  };
  expect(trailers(["x-sum", "1"], ["x_a", "2"])).toEqual(["x-sum"]);
  for (const fields of [
    [":method", "GET"],
    ["X", "y"],
    ["connection", "close"],
    ["content-length", "1"],
  ] as const)
    expect(trailers(fields)).toBeUndefined();
});
