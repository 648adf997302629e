/** The rules of the house that a machine can check (docs/style.md). */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { directivesPage } from "../src/cli/directives_page.ts";
import { referencePage } from "../src/cli/help.ts";
import { gunicornPage, missingTests, untested } from "./gunicorn/page.ts";
import { root } from "./support/server.ts";

const files = [...new Bun.Glob("src/**/*.ts").scanSync(root)].sort();
const sources = files.filter((file) => !file.endsWith(".test.ts"));
const textOf = (file: string): string => readFileSync(join(root, file), "utf8");

/** A room imports only rooms of the columns to its left, and itself. */
const columns = [
  ["base"],
  ["net", "http", "config", "shm"],
  ["app"],
  ["web"],
  ["worker"],
  ["master"],
  ["cli"],
  ["main.ts"],
];
const columnOf = (room: string): number => columns.findIndex((rooms) => rooms.includes(room));

test("rooms import in one direction", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const room = file.split("/")[1]!;
    for (const [, path] of textOf(file).matchAll(/(?:from|import) "(\.[^"]+)"/g)) {
      const target = join(file, "..", path!).split("/")[1]!;
      if (target !== room && columnOf(target) >= columnOf(room)) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("within web/, only order.ts, site.ts and summary.ts name the modules", () => {
  const wrong = sources.filter(
    (file) =>
      /^src\/web\/[^/]+\.ts$/.test(file) &&
      !/\/(order|site|summary)\.ts$/.test(file) &&
      /from "\.\/modules\//.test(textOf(file)),
  );
  expect(wrong).toEqual([]);
});

test("protocol code has no hands: no socket, clock or log in http/ and app/frames.ts", () => {
  const wrong = sources.filter(
    (file) =>
      (/^src\/http\//.test(file) || file === "src/app/frames.ts") &&
      /node:(net|fs|tls)|Bun\.|Date\.now|performance\.|console\.|\bawait\b/.test(textOf(file)),
  );
  expect(wrong).toEqual([]);
});

test("no file above 400 lines", () => {
  expect(files.filter((file) => textOf(file).split("\n").length > 401)).toEqual([]);
});

test("non-null assertions stand in base/, http/ and app/frames only where an index is known", () => {
  const allowed = /^src\/(base|http|net|app|worker|shm|cli)\//;
  expect(sources.filter((file) => !allowed.test(file) && /\w!(\.|;|,|\)|\])/.test(textOf(file)))).toEqual([]);
});

test("nothing unfinished, nothing untyped", () => {
  const everything = [...new Bun.Glob("{src,tests,bench,python}/**/*.{ts,py}").scanSync(root)].filter(
    (file) => !file.includes("/.venv/") && file !== "tests/house.test.ts",
  );
  const code = (file: string): string => textOf(file).replace(/^ *(\*|\/\*|\/\/).*$/gm, "");
  const wrong = everything.filter((file) => /@ts-ignore|\bTODO\b|\bFIXME\b|: any\b|<any>|as any\b/.test(code(file)));
  expect(wrong).toEqual([]);
});

test("every station of the corridor exists", () => {
  const page = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const stations = [...page.matchAll(/`(src\/[\w/.-]+\.ts)` → `#?(\w+)`/g)];
  expect(stations.length).toBeGreaterThan(8);
  for (const [, file, name] of stations) expect(textOf(file!)).toMatch(new RegExp(`\\b${name}\\b`));
});

test("the command-line reference is up to date (npm run docs)", () => {
  expect(readFileSync(join(root, "docs/command-line.md"), "utf8")).toBe(referencePage());
});

test("the reference of directives and variables is up to date (npm run docs)", () => {
  expect(readFileSync(join(root, "docs/directives.md"), "utf8")).toBe(directivesPage());
});

test("the reference of Gunicorn's settings is up to date (npm run docs), and the tests that it names are there", async () => {
  expect(readFileSync(join(root, "docs/gunicorn.md"), "utf8")).toBe(await gunicornPage());
  expect(missingTests()).toEqual([]);
  expect(await untested()).toEqual([]);
});
