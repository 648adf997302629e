import { expect, test } from "bun:test";
import { bytesOf, inWords, meaningOf, outputOf } from "../../../tests/support/client_words.ts";
import { MemcachedClient, type MemcachedHead, memcachedKey } from "./client.ts";

const head: MemcachedHead = { method: "GET", bodyLength: undefined, key: "/a", gzipFlag: 0 };
const make = (): MemcachedClient => new MemcachedClient();

const means = (answer: string, change: Partial<MemcachedHead> = {}, closes = false): string[] => {
  const { whole, bytewise } = meaningOf(make, { ...head, ...change }, answer, closes);
  expect(bytewise).toEqual(whole);
  return whole;
};

test("a key is asked for; what a key cannot have is encoded, or refused", () => {
  const engine = make();
  engine.sendHead(head);
  expect(outputOf(engine)).toBe("get /a\r\n");
  expect(memcachedKey("a b%\r\nc")).toBe("a%20b%25%0D%0Ac");
  expect(() => make().sendHead({ ...head, key: "a\r\nflush_all" })).toThrow("invalid character");
  expect(() => make().sendHead({ ...head, key: "" })).toThrow('the "$memcached_key" variable is not set');
});

test("a value, whatever is in it; the connection is free again", () => {
  expect(means("VALUE /a 0 10\r\nab\r\nEND\r\nx\r\nEND\r\n")).toEqual([
    'response 200 "" length 10',
    "data ab\r\nEND\r\nx",
    "end",
  ]);
  const { engine, whole } = meaningOf(make, head, "VALUE /a 0 0\r\n\r\nEND\r\n");
  expect(whole).toEqual(['response 200 "" length 0', "end"]);
  expect(engine.reusable).toBe(true);
  engine.reset();
  engine.sendHead(head);
  expect(inWords(engine.receive(bytesOf("END\r\n"))).at(-1)).toBe("end");
});

test("there is none", () => {
  const { whole, engine } = meaningOf(make, head, "END\r\n");
  expect(whole).toEqual(['info: key: "/a" was not found by memcached', 'response 404 "" length 0', "end"]);
  expect(engine.reusable).toBe(true);
});

test("memcached_gzip_flag: flags tell that a value is compressed", () => {
  const answer = "VALUE /a 6 1\r\nx\r\nEND\r\n";
  expect(means(answer, { gzipFlag: 2 })[0]).toBe('response 200 "" length 1 {Content-Encoding: gzip}');
  expect(means(answer, { gzipFlag: 1 })[0]).toBe('response 200 "" length 1');
  expect(means("VALUE /a x 1\r\n", { gzipFlag: 1 })[0]).toContain("memcached sent invalid flags in response");
});

test("what is no answer to this question", () => {
  expect(means("ERROR\r\n")).toEqual(['failed invalid: memcached sent invalid response: "ERROR"']);
  expect(means("END\n")).toEqual(['failed invalid: memcached sent invalid response: "END"']);
  expect(means("VALUE /b 0 1\r\n")[0]).toContain('memcached sent invalid key in response "VALUE /b 0 1" for key "/a"');
  expect(means("VALUE /ab 0 1\r\n")[0]).toContain("invalid response");
  expect(means("VALUE /a 0 -1\r\n")[0]).toContain("memcached sent invalid length");
  expect(means("x".repeat(300))).toEqual(["failed invalid: upstream sent too big header"]);
});

test("a wrong end spoils the connection, not the value; one that is missing does so, too", () => {
  const { whole, engine } = meaningOf(make, head, "VALUE /a 0 1\r\nx\r\nEND\r\nEND\r\n");
  expect(whole.slice(1)).toEqual(["data x", "error: memcached sent invalid trailer", "end"]);
  expect(engine.reusable).toBe(false);
  expect(means("VALUE /a 0 1\r\nx\r\nEN", {}, true).at(-1)).toBe("end");
  expect(means("VALUE /a 0 2\r\nx", {}, true).at(-1)).toBe("failed closed: upstream prematurely closed connection");
});

test("HEAD: the value's length is told, and nobody waits for it", () => {
  const { whole, engine } = meaningOf(make, { ...head, method: "HEAD" }, "VALUE /a 0 5\r\nhello\r\nEND\r\n");
  expect(whole).toEqual(['response 200 "" none 5 {Content-Length: 5}', "end"]);
  expect(engine.reusable).toBe(false);
});
