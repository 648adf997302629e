import { expect, test } from "bun:test";
import { bytesOf, inWords, latin1, meaningOf, outputOf } from "../../../tests/support/client_words.ts";
import { scgiClient, scgiPacket } from "../scgi/packet.ts";
import { type UwsgiHead, uwsgiClient, uwsgiPacket } from "../uwsgi/packet.ts";

const head: UwsgiHead = {
  method: "GET",
  bodyLength: undefined,
  params: [
    ["A", "1"],
    ["BC", ""],
  ],
  modifier1: 5,
  modifier2: 7,
  string: "",
};

const means = (answer: string, closes = false, method = "GET"): string[] => {
  const { whole, bytewise } = meaningOf(uwsgiClient, { ...head, method }, answer, closes);
  expect(bytewise).toEqual(whole);
  return whole;
};

test("uwsgi: a packet has its length and modifiers in front, the lower byte first", () => {
  expect(latin1(uwsgiPacket(head))).toBe("\x05\x0c\0\x07\x01\0A\x01\x001\x02\0BC\0\0");
  expect(latin1(uwsgiPacket({ ...head, params: [], string: "xyz" }))).toBe("\x05\x03\0\x07xyz");
});

test("uwsgi: what is longer than its length can say is refused", () => {
  const params = [["A", "x".repeat(65_530)]] as const;
  expect(uwsgiPacket({ ...head, params }).length).toBe(4 + 65_535);
  expect(() => uwsgiPacket({ ...head, params: [...params, ["B", ""]] })).toThrow("uwsgi request is too big: 65540");
});

test("SCGI: a netstring, the body's length first; no NUL gets in", () => {
  const params = [["SCGI", "1"]] as const;
  expect(latin1(scgiPacket({ method: "POST", bodyLength: 27, params }))).toBe("25:CONTENT_LENGTH\x0027\0SCGI\x001\0,");
  expect(latin1(scgiPacket({ method: "GET", bodyLength: undefined, params: [] }))).toBe("17:CONTENT_LENGTH\x000\0,");
  const bad = [["A", "1\0CONTENT_LENGTH\x009"]] as const;
  expect(() => scgiPacket({ method: "GET", bodyLength: 0, params: bad })).toThrow(
    'invalid character in SCGI param "A"',
  );
  expect(() => scgiPacket({ method: "GET", bodyLength: -1, params })).toThrow("length of its body");
});

test("the body follows the packet, as long as the head says", () => {
  const engine = scgiClient();
  engine.sendHead({ method: "POST", bodyLength: 4, params: [] });
  expect(engine.requestSent).toBe(false);
  engine.sendData(bytesOf("ab"), false);
  engine.sendData(bytesOf("cd"), true);
  expect(engine.requestSent).toBe(true);
  expect(outputOf(engine)).toEndWith(",abcd");
  const short = scgiClient();
  short.sendHead({ method: "POST", bodyLength: 4, params: [] });
  expect(() => short.sendData(bytesOf("abc"), true)).toThrow("length that its head says");
});

test("a response with a status line, or with Status, or with neither", () => {
  expect(means("HTTP/1.1 404 Gone Away\r\nA: b\r\n\r\nx", true)).toEqual([
    'response 404 "Gone Away" close -1 {A: b}',
    "data x",
    "end",
  ]);
  expect(means("Status: 403 No\nA: b\n\n", true)).toEqual([
    'response 403 "No" close -1 {Status: 403 No} {A: b}',
    "end",
  ]);
  expect(means("A: b\r\n\r\n")[0]).toBe('response 200 "" close -1 {A: b}');
  expect(means("Location: /x\r\n\r\n")[0]).toBe('response 302 "" close -1 {Location: /x}');
  expect(means("HTTP/1.0 200 OK\r\nStatus: 500\r\n\r\n")[0]).toStartWith('response 200 "OK"');
});

test("Content-Length ends it; more is noted, less is a failure", () => {
  const begun = 'response 200 "" length 3 {Content-Length: 3}';
  expect(means("Content-Length: 3\r\n\r\nabc")).toEqual([begun, "data abc", "end"]);
  expect(means("Content-Length: 3\r\n\r\nab", true)).toEqual([
    begun,
    "data ab",
    "failed closed: upstream prematurely closed connection",
  ]);
  const { whole } = meaningOf(uwsgiClient, head, "Content-Length: 3\r\n\r\nabcd");
  expect(whole).toEqual([
    begun,
    "data abc",
    'warn: upstream sent more data than specified in "Content-Length" header',
    "end",
  ]);
});

test("there is no body behind HEAD, 204 and 304", () => {
  expect(means("Content-Length: 3\r\n\r\nabc", false, "HEAD").at(-1)).toBe("end");
  expect(means("Status: 204\r\n\r\n")).toEqual(['response 204 "" none 0 {Status: 204}', "end"]);
});

test("heads that cannot be believed", () => {
  expect(means("Status: abc\r\n\r\n")).toEqual(['failed invalid: upstream sent invalid status "abc"']);
  expect(means("Status: 101\r\n\r\n")).toEqual(['failed invalid: upstream sent invalid status "101"']);
  expect(means("Content-Length: x\r\n\r\n")[0]).toContain('invalid "Content-Length" header');
  expect(means("A b\r\n\r\n")[0]).toContain("upstream sent invalid header");
  expect(means(`A: ${"x".repeat(300)}`)).toEqual(["failed invalid: upstream sent too big header"]);
  expect(means("A: b\r\n", true)).toEqual(["failed closed: upstream prematurely closed connection"]);
});

test("uwsgi: the connection may leave HTTP where that was asked for", () => {
  const engine = uwsgiClient();
  engine.sendHead(head, { headLimit: 200, mayUpgrade: true });
  const events = engine.receive(bytesOf("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nab"));
  expect(inWords(events)).toEqual(['upgraded 101 "Switching" none 0 {Upgrade: x}', "data ab"]);
  expect(inWords(engine.receive(bytesOf("cd")))).toEqual(["data cd"]);
  expect(inWords(engine.receiveEnd())).toEqual(["end"]);
});

test("a connection is for one request", () => {
  const { engine } = meaningOf(uwsgiClient, head, "Content-Length: 0\r\n\r\n");
  expect(engine.reusable).toBe(false);
  expect(() => engine.reset()).toThrow();
});
