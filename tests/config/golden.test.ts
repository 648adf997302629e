/**
 * Each `NAME.conf.txt` beside this file is a case: a configuration, a line of dashes, then the tree as it is printed, or the
 * message. `--- /path` begins another file, which the configuration may include.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { namePattern } from "../../src/config/glob.ts";
import { type ConfigFiles, parseText, UnreadableFile } from "../../src/config/parser.ts";
import { printTree } from "../../src/config/print.ts";
import { ConfigError, type Statement } from "../../src/config/statement.ts";

/** Files of a case; the main one has no path. */
function filesOf(texts: ReadonlyMap<string, string>): ConfigFiles {
  return {
    prefix: "/etc/nginx/",
    read(path) {
      const text = texts.get(path);
      if (text === undefined) throw new UnreadableFile(`open() "${path}" failed (2: No such file or directory)`);
      return text;
    },
    glob(pattern) {
      const parts = pattern.split("/").map((part) => namePattern(part));
      const isFound = (path: string): boolean => {
        const names = path.split("/");
        return names.length === parts.length && names.every((name, i) => parts[i]?.test(name));
      };
      return [...texts.keys()].filter(isFound).sort();
    },
  };
}

/** What the case's configuration comes to, as its last part has it. */
function outcome(input: string): string {
  const [main = "", ...others] = input.split(/^--- (.*)\n/m);
  const texts = new Map<string, string>();
  for (let i = 0; i < others.length; i += 2) texts.set(others[i] ?? "", others[i + 1] ?? "");
  const files = filesOf(texts);
  try {
    const { statements } = parseText(main, "nginx.conf", files);
    const printed = printTree(statements);
    // What is printed says the same.
    expect(withoutPlaces(parseText(printed, "printed.conf", files).statements)).toEqual(withoutPlaces(statements));
    return printed;
  } catch (error) {
    if (error instanceof ConfigError) return `${error.message}\n`;
    throw error;
  }
}

const withoutPlaces = (statements: readonly Statement[]): unknown =>
  statements.map(({ name, args, block }) => [name, args, block && withoutPlaces(block)]);

for (const file of readdirSync(import.meta.dir).filter((name) => name.endsWith(".conf.txt"))) {
  test(file.slice(0, -".conf.txt".length).replaceAll("_", " "), () => {
    const text = readFileSync(join(import.meta.dir, file), "latin1");
    const [, input = "", expected] = /^(.*?)^-{5,}\n(.*)$/ms.exec(text) ?? [];
    expect(outcome(input)).toBe(expected ?? "a line of dashes");
  });
}
