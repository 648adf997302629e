/** Runs tests/wire/h1.txt, whose head explains the format, and tests/wire/h1_nginx.txt. */
import { expect, describe as group, test } from "bun:test";
import { readFileSync } from "node:fs";
import { nginxPolicy, type Policy, strictPolicy } from "../../src/http/h1/policy.ts";
import { splits, walk } from "./h1_driver.ts";

interface WireCase {
  readonly name: string;
  readonly policy: Policy;
  readonly bytes: Uint8Array;
  readonly ends: boolean;
  readonly expected: readonly string[];
}

/** `\{text*5}` is that text, five times. */
const repeat = (line: string): string =>
  line.replace(/\\\{(.+?)\*(\d+)\}/g, (_, part: string, count: string) => part.repeat(Number(count)));

const cases = [...readCases("h1.txt", strictPolicy), ...readCases("h1_nginx.txt", nginxPolicy)];

function readCases(file: string, policy: Policy): WireCase[] {
  const text = readFileSync(new URL(`../wire/${file}`, import.meta.url), "utf8");
  return text
    .split(/^== /m)
    .slice(1)
    .map((block) => parseCase(block, policy));
}

function parseCase(block: string, base: Policy): WireCase {
  const [name = "", ...lines] = block.split("\n");
  const marked = (mark: string) => lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length));
  const sent = marked("> ");
  const bytes = Buffer.from(
    sent
      .filter((line) => line !== "EOF")
      .map(decode)
      .join(""),
    "latin1",
  );
  return {
    name,
    policy: parsePolicy(base, marked("policy: ")[0] ?? ""),
    bytes: new Uint8Array(bytes),
    ends: sent.includes("EOF"),
    expected: marked("< ").map(repeat),
  };
}

function decode(line: string): string {
  const plain: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "0": "\0", "\\": "\\" };
  return repeat(line).replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex?: string, letter?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    const character = plain[letter ?? ""];
    if (character === undefined) throw new Error(`unknown escape \\${letter} in ${line}`);
    return character;
  });
}

function parsePolicy(base: Policy, line: string): Policy {
  const policy: Record<string, unknown> = { ...base };
  for (const pair of line.split(" ").filter((each) => each !== "")) {
    const [field = "", value = ""] = pair.split("=");
    const before = policy[field];
    if (before === undefined) throw new Error(`no field ${field} in a policy`);
    if (before instanceof Set) policy[field] = new Set(value.split(","));
    else policy[field] = typeof before === "string" ? value : JSON.parse(value);
  }
  // Checked above, as far as it matters to a test.
  return policy as unknown as Policy;
}

/** What a case leaves out of a line is not compared. */
function shortened(lines: readonly string[], expected: readonly string[]): string[] {
  return lines.map((line, i) => {
    const wanted = expected[i] ?? "";
    if (line.startsWith("request ") && !/ \{| line "/.test(wanted)) return line.replace(/ (?:\{|line ").*$/s, "");
    if (line.startsWith("refused ") && !wanted.includes(": ")) return line.replace(/: .*$/s, "");
    return line;
  });
}

for (const { name, policy, bytes, ends, expected } of cases) {
  group(name, () => {
    const understood = (parts: readonly Uint8Array[], wanted = expected) =>
      shortened(walk(parts, { policy, ends }).lines, wanted);

    test("whole", () => expect(understood([bytes])).toEqual([...expected]));

    test("however it is split", () => {
      for (const parts of splits(bytes)) expect(understood(parts)).toEqual([...expected]);
    });

    test.skipIf(ends)("with trailing bytes", () => {
      // A message's end is where it is, whatever follows; after "closed" nothing is looked at.
      const next = Buffer.from("GET /next HTTP/1.0\r\n\r\n");
      const isOver = expected.at(-1) === "closed";
      const wanted = isOver ? expected : [...expected, `request GET /next 1 path /next host "" body 0`, "closed"];
      expect(understood([Buffer.concat([bytes, next])], wanted)).toEqual([...wanted]);
      expect(understood([bytes, next], wanted)).toEqual([...wanted]);
    });
  });
}

test("no name is used twice but for the sequels", () => {
  const names = readCases("h1_nginx.txt", nginxPolicy)
    .map(({ name }) => name)
    .filter((name) => !name.startsWith("…"));
  expect(names.length).toBe(new Set(names).size);
});
