import { expect, test } from "bun:test";
import { exchangeFor } from "../../tests/support/exchange.ts";
import { readFormat } from "./log_format.ts";
import { coreModule } from "./modules/core.ts";
import { Setup } from "./setup.ts";

const nowhere = { file: "test.conf", line: 1 };

function lineFor(words: readonly string[], target: string, headers: Readonly<Record<string, string>> = {}): string {
  const setup = new Setup({ statements: [], prefix: "/", file: "test.conf", errorLog: "-" });
  setup.variables.declare(coreModule.variables ?? {}, coreModule.families);
  const format = readFormat(words, nowhere, setup);
  setup.finish();
  return format(exchangeFor(target, { headers }));
}

test("words are put together; a variable without a value is a hyphen", () => {
  expect(lineFor(["$remote_addr ", "[$arg_a]", " $http_referer end"], "/?a=1")).toBe("127.0.0.1 [1] - end");
  expect(lineFor(["no variable"], "/")).toBe("no variable");
});

const nasty = { "User-Agent": 'x" 200\n\\ \x7f\xe9\x01' };

test("a client cannot end the quotes or the line", () => {
  expect(lineFor(['"$http_user_agent"'], "/", nasty)).toBe('"x\\x22 200\\x0A\\x5C \\x7F\\xE9\\x01"');
});

test("escapes of JSON, which says nothing where there is no value", () => {
  expect(lineFor(["escape=json", '{"a":"$http_user_agent","b":"$http_referer"}'], "/", nasty)).toBe(
    '{"a":"x\\" 200\\n\\\\ \x7f\xe9\\u0001","b":""}',
  );
});

test("no escapes at all", () => {
  expect(lineFor(["escape=none", "<$http_user_agent><$http_referer>"], "/", nasty)).toBe(`<${nasty["User-Agent"]}><>`);
});

test("an escape that is none", () => {
  expect(() => lineFor(["escape=xml", "a"], "/")).toThrow('unknown log format escaping "xml" in test.conf:1');
});

test("what is remembered of one line is not taken for the next", () => {
  const setup = new Setup({ statements: [], prefix: "/", file: "", errorLog: "-" });
  setup.variables.declare(coreModule.variables ?? {}, coreModule.families);
  const format = readFormat(['"$http_user_agent" $arg_a'], nowhere, setup);
  setup.finish();
  const seen = ['a"', 'a"', "b", undefined, 'a"'].map((agent) =>
    format(exchangeFor("/?a=1", { headers: agent === undefined ? {} : { "User-Agent": agent } })),
  );
  expect(seen).toEqual(['"a\\x22" 1', '"a\\x22" 1', '"b" 1', '"-" 1', '"a\\x22" 1']);
});
