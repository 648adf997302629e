import { expect, test } from "bun:test";
import { Scanner } from "./scanner.ts";

/** What is found, as text: `name[param=value …]` for commands, `!` for faults; and what is logged. */
function scanned(text: string, piece: number): { readonly found: string; readonly logged: string[] } {
  const logged: string[] = [];
  const scanner = new Scanner(8, (message) => logged.push(message));
  const bytes = Buffer.from(text, "latin1");
  let found = "";
  for (let at = 0; at < bytes.length; at += piece) {
    scanner.feed(bytes.subarray(at, at + piece), at + piece >= bytes.length);
    for (let each = scanner.next(); each !== undefined; each = scanner.next()) {
      if (each.kind === "text") found += Buffer.from(each.bytes).toString("latin1");
      else if (each.kind === "fault") found += "!";
      else
        found += `${each.command.name}[${each.command.params.map(({ name, value }) => `${name}=${value}`).join(" ")}]`;
    }
  }
  return { found, logged };
}

const cases: readonly [what: string, text: string, found: string, logged?: string][] = [
  ["text", "plain <b> text", "plain <b> text"],
  ["a command", "a<!--#echo var='x' -->b", "aecho[var=x]b"],
  ["without parameters, without spaces", "<!--#endif--><!--# else -->", "endif[]else[]"],
  ["spaces and line ends", "<!--#\r\n set\tvar = \"a\"\n value= 'b'-->", "set[var=a value=b]"],
  ["escapes are kept, and keep the quote from ending", '<!--#a b="\\"" -->', 'a[b=\\"]'],
  ["what only looks like a command", "<!-- x --><!<!-<<!--#a --><!--", "<!-- x --><!<!-<a[]<!--"],
  ["two hyphens too many are a comment", "<!---#a -->", "<!---#a -->"],
  ["an unfinished one at the end is nothing", "a<!--#echo var=", "a"],
  ["no value", "<!--#a b -->c", "!c", 'unexpected "-" symbol after "b" parameter in "a" SSI command'],
  ["a hyphen in a name", "<!--#a b-c='d' -->e", "!e", 'unexpected "-" symbol after "b" parameter in "a" SSI command'],
  ["no quotes", "<!--#a b=c -->d", "!d", 'unexpected "c" symbol before value of "b" parameter in "a" SSI command'],
  [
    "something behind a value",
    "<!--#a b='c'd -->e",
    "!e",
    'unexpected "d" symbol after "c" value of "b" parameter in "a" SSI command',
  ],
  ["no end behind a hyphen", "<!--#a -x -->b", "!b", 'unexpected "x" symbol in "a" SSI command'],
  [
    "a long value",
    "<!--#a b='123456789' -->c",
    "!c",
    'too long "123456789..." value of "b" parameter in "a" SSI command',
  ],
  ["a long command", `<!--#${"a".repeat(33)} -->b`, "!b", `the "${"a".repeat(33)}..." SSI command is too long`],
  [
    "a long parameter",
    `<!--#a ${"b".repeat(33)}='' -->c`,
    "!c",
    `too long "${"b".repeat(33)}..." parameter in "a" SSI command`,
  ],
];

for (const [what, text, found, logged] of cases)
  test(`${what}, whole and in pieces`, () => {
    for (let piece = 1; piece <= text.length; piece++)
      expect(scanned(text, piece)).toEqual({ found, logged: logged === undefined ? [] : [logged] });
  });

test("no more parameters are kept than are needed to know that they are too many", () => {
  const params = Array.from({ length: 50 }, (_, i) => `p='${i}'`);
  expect(scanned(`<!--#a ${params.join(" ")} -->`, 1000).found.split(" ")).toHaveLength(17);
});
