import { expect, test } from "bun:test";
import { bytesOf, inWords, meaningOf, outputOf } from "../../../tests/support/client_words.ts";
import { FastcgiClient, type FastcgiHead } from "./client.ts";

const head: FastcgiHead = {
  method: "GET",
  bodyLength: undefined,
  params: [["A", "b"]],
  keepsConnection: false,
  badWords: [],
};

/** A record as an application sends it. */
function record(type: number, content: string, padding = 0): string {
  const length = String.fromCharCode(content.length >> 8, content.length & 0xff);
  return `\x01${String.fromCharCode(type)}\0\x01${length}${String.fromCharCode(padding)}\0${content}${"p".repeat(padding)}`;
}
const out = (content: string, padding = 0): string => record(6, content, padding);
const stderr = (content: string): string => record(7, content);
const over = record(3, "\0\0\0\0\0\0\0\0");

const means = (answer: string, change: Partial<FastcgiHead> = {}, closes = false): string[] => {
  const { whole, bytewise } = meaningOf(() => new FastcgiClient(), { ...head, ...change }, answer, closes);
  expect(bytewise).toEqual(whole);
  return whole;
};

const begin = (flags: number): string => `\x01\x01\0\x01\0\x08\0\0\0\x01${String.fromCharCode(flags)}\0\0\0\0\0`;
const params = `\x01\x04\0\x01\0\x04\x04\0\x01\x01Ab\0\0\0\0\x01\x04\0\x01\0\0\0\0`;
const noStdin = "\x01\x05\0\x01\0\0\0\0";

test("a request: begin, params, the end of params, the end of stdin", () => {
  const engine = new FastcgiClient();
  engine.sendHead(head);
  expect(engine.requestSent).toBe(true);
  expect(outputOf(engine)).toBe(begin(0) + params + noStdin);
  const keeping = new FastcgiClient();
  keeping.sendHead({ ...head, keepsConnection: true });
  expect(outputOf(keeping)).toStartWith(begin(1));
});

test("lengths above 127 have four bytes; long params are several records", () => {
  const engine = new FastcgiClient();
  engine.sendHead({ ...head, params: [["A".repeat(127), "b".repeat(128)]] });
  expect(outputOf(engine)).toContain(`\x7f\x80\0\0\x80${"A".repeat(127)}${"b".repeat(128)}`);
  engine.receiveEnd();
  const long = new FastcgiClient();
  long.sendHead({ ...head, params: [["A", "b".repeat(70_000)]] });
  const text = outputOf(long);
  expect(text.match(/\x01\x04\0\x01/g)).toHaveLength(3);
  expect(text.replaceAll(/[^b]/g, "")).toHaveLength(70_000);
});

test("the body is sent in records, padded, and its end is told; its length may be unknown", () => {
  const engine = new FastcgiClient();
  engine.sendHead({ ...head, bodyLength: -1 });
  outputOf(engine);
  engine.sendData(bytesOf("hello"), false);
  expect(outputOf(engine)).toBe("\x01\x05\0\x01\0\x05\x03\0hello\0\0\0");
  engine.sendData(new Uint8Array(65_529).fill(120), false);
  const large = outputOf(engine);
  expect(large).toStartWith("\x01\x05\0\x01\xff\xf8\0\0x");
  expect(large).toEndWith("\x01\x05\0\x01\0\x01\x07\0x\0\0\0\0\0\0\0");
  expect(engine.requestSent).toBe(false);
  engine.sendData(new Uint8Array(0), true);
  expect(outputOf(engine)).toBe(noStdin);
  expect(engine.requestSent).toBe(true);
});

test("a body that is not as long as its head says is not sent", () => {
  const engine = new FastcgiClient();
  engine.sendHead({ ...head, bodyLength: 3 });
  expect(() => engine.sendData(bytesOf("hello"), true)).toThrow("length that its head says");
});

test("a response over several records, with padding", () => {
  const answer = out("Status: 201 Made\r\nX-", 3) + out("A: b\r\n\r\nhel", 5) + out("lo") + out("") + over;
  expect(means(answer)).toEqual(['response 201 "Made" close -1 {Status: 201 Made} {X-A: b}', "data hello", "end"]);
});

test("no status line is expected: it would be a field", () => {
  expect(means(out("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n") + over)[0]).toBe('response 200 "" close -1 {A: b}');
});

test("stderr is for the log, a record at a time", () => {
  expect(means(stderr("a warning.\r\n ") + out("A: b\n\n") + stderr("more\n") + stderr("\n") + over)).toEqual([
    'error: FastCGI sent in stderr: "a warning"',
    'response 200 "" close -1 {A: b}',
    'error: FastCGI sent in stderr: "more"',
    "end",
  ]);
});

test("fastcgi_catch_stderr: some words make the response invalid, as long as its head has not come", () => {
  const badWords = ["Fatal"];
  expect(means(stderr("PHP Fatal error") + out("A: b\n\n") + over, { badWords })).toEqual([
    'failed invalid: FastCGI sent in stderr: "PHP Fatal error"',
  ]);
  expect(means(out("A: b\n\n") + stderr("PHP Fatal error") + over, { badWords }).at(-1)).toBe("end");
});

test("Content-Length: more is cut off, less is a failure", () => {
  const short = out("Content-Length: 9\n\nabc");
  expect(means(short + over).at(-1)).toBe("failed closed: upstream prematurely closed FastCGI request");
  expect(means(short + out("")).at(-1)).toBe("failed closed: upstream prematurely closed FastCGI stdout");
  const { whole } = meaningOf(() => new FastcgiClient(), head, out("Content-Length: 2\n\nabc") + over);
  expect(whole.slice(1)).toEqual([
    "data ab",
    'warn: upstream sent more data than specified in "Content-Length" header',
    "end",
  ]);
});

test("an application that closes the connection has ended its response, if nobody keeps connections", () => {
  expect(means(out("A: b\n\nx"), {}, true).at(-1)).toBe("end");
  const premature = "failed closed: upstream prematurely closed connection";
  expect(means(out("A: b\n\nx"), { keepsConnection: true }, true).at(-1)).toBe(premature);
  expect(means(out("A: b\n\nxyz").slice(0, -1), {}, true).at(-1)).toBe(premature);
  expect(means(out("A: b\n"), {}, true)).toEqual([premature]);
});

test("what is no record of this request", () => {
  expect(means("\x02")).toEqual(["failed invalid: upstream sent unsupported FastCGI protocol version: 2"]);
  expect(means("\x01\x08")).toEqual(["failed invalid: upstream sent invalid FastCGI record type: 8"]);
  expect(means("\x01\x06\x01")).toEqual(["failed invalid: upstream sent unexpected FastCGI request id high byte: 1"]);
  expect(means("\x01\x06\0\x02")).toEqual(["failed invalid: upstream sent unexpected FastCGI request id low byte: 2"]);
  expect(means(over)).toEqual(["failed invalid: upstream sent unexpected FastCGI record: 3"]);
  expect(means(out(""))).toEqual(["failed invalid: upstream prematurely closed FastCGI stdout"]);
});

test("a kept connection carries the next request, unless something is left over", () => {
  const keeping = { ...head, keepsConnection: true };
  const answer = out("Content-Length: 1\n\nx") + out("") + over;
  const { engine } = meaningOf(() => new FastcgiClient(), keeping, answer);
  expect(engine.reusable).toBe(true);
  engine.reset();
  engine.sendHead(keeping);
  expect(inWords(engine.receive(bytesOf(answer))).at(-1)).toBe("end");
  expect(engine.reusable).toBe(true);
  expect(meaningOf(() => new FastcgiClient(), keeping, `${answer}x`).engine.reusable).toBe(false);
  expect(meaningOf(() => new FastcgiClient(), head, answer).engine.reusable).toBe(false);
});

test("HEAD: nobody waits for a body", () => {
  const { whole, engine } = meaningOf(() => new FastcgiClient(), { ...head, method: "HEAD" }, out("A: b\n\nx"));
  expect(whole).toEqual(['response 200 "" none 0 {A: b}', "end"]);
  expect(engine.reusable).toBe(false);
});
