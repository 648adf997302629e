import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemFiles } from "./files.ts";
import { namePattern } from "./glob.ts";
import { parseFile, parseParameters, parseText } from "./parser.ts";
import { dump, printTree, printWord } from "./print.ts";

const none = { read: (): string => "", glob: () => [] };

/** Runs with a directory that has these files. */
function withFiles(files: Record<string, string>, run: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "config-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, ".."), { recursive: true });
      writeFileSync(Buffer.from(`${directory}/${name}`, "latin1"), Buffer.from(text, "latin1"));
    }
    run(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("a statement stands where it ends", () => {
  const { statements } = parseText("http\n{\n  root\n    /srv\n  ;\n}", "f", none);
  expect(statements).toEqual([
    {
      name: "http",
      args: [],
      at: { file: "f", line: 2 },
      block: [{ name: "root", args: ["/srv"], at: { file: "f", line: 5 }, block: undefined }],
    },
  ]);
});

test("files are read from the disk, each is in the list once", () => {
  const files = {
    "nginx.conf": "include sites/*.conf;\ninclude one.conf;\ninclude one.conf;\n",
    "one.conf": "user one;",
    "sites/b.conf": "user b;",
    "sites/a.conf": "user \xe9;",
    "sites/.hidden.conf": "user c;",
    "sites/other": "user d;",
  };
  withFiles(files, (directory) => {
    const parsed = parseFile(`${directory}/nginx.conf`, systemFiles());
    expect(printTree(parsed.statements)).toBe("user \xe9;\nuser b;\nuser one;\nuser one;\n");
    const paths = ["nginx.conf", "sites/a.conf", "sites/b.conf", "one.conf"].map((name) => `${directory}/${name}`);
    expect(parsed.files.map(({ path }) => path)).toEqual(paths);
    expect(dump(parsed.files.slice(2))).toBe(
      `# configuration file ${paths[2]}:\nuser b;\n# configuration file ${paths[3]}:\nuser one;\n`,
    );
  });
});

test("a prefix stands before the names of included files", () => {
  withFiles({ "a/main.conf": "include x.conf;", "b/x.conf": "user b;" }, (directory) => {
    const { statements } = parseFile(`${directory}/a/main.conf`, systemFiles(`${directory}/b/`));
    expect(printTree(statements)).toBe("user b;\n");
  });
});

test("names and patterns are bytes", () => {
  withFiles(
    { "gr\xfc\xdfe.conf": "user a;", "main.conf": "include gr?\xdf*.conf; include gr\xfc\xdfe.conf;" },
    (directory) => {
      expect(parseFile(`${directory}/main.conf`, systemFiles()).statements.length).toBe(2);
    },
  );
});

test("a main file that cannot be read is no matter of a line", () => {
  expect(() => parseFile("/nowhere/nginx.conf", systemFiles())).toThrow(
    /^open\(\) "\/nowhere\/nginx\.conf" failed \(2: No such file or directory\)$/,
  );
  withFiles({}, (directory) => {
    expect(() => parseFile(directory, systemFiles())).toThrow(`read() "${directory}" failed (21: Is a directory)`);
  });
});

test("a pattern asks for each part of a path", () => {
  withFiles({ "a/x/1.conf": "", "a/y/2.conf": "", "b/x/3.conf": "", "a/z": "" }, (directory) => {
    const { glob } = systemFiles();
    const found = (pattern: string): string[] =>
      glob(`${directory}/${pattern}`).map((path) => path.slice(directory.length));
    expect(found("a/*/*.conf")).toEqual(["/a/x/1.conf", "/a/y/2.conf"]);
    expect(found("*/x/?.conf")).toEqual(["/a/x/1.conf", "/b/x/3.conf"]);
    expect(found("[!a]/x/[0-9].conf")).toEqual(["/b/x/3.conf"]);
    expect(found("*/none/*")).toEqual([]);
    // A file on the way leads nowhere.
    expect(found("a/*/1.conf")).toEqual(["/a/x/1.conf"]);
  });
});

test("patterns of names", () => {
  const matches = (pattern: string, name: string): boolean => namePattern(pattern).test(name);
  expect(matches("*.conf", "a.conf")).toBe(true);
  expect(matches("*.conf", ".a.conf")).toBe(false);
  expect(matches(".*", ".a")).toBe(true);
  expect(matches("[]a]", "]")).toBe(true);
  expect(matches("[a-c]x", "bx")).toBe(true);
  expect(matches("[^a-c]", "b")).toBe(false);
  expect(matches("[a", "[a")).toBe(true);
  expect(matches("a\\*", "a*")).toBe(true);
  expect(matches("a\\*", "ab")).toBe(false);
  expect(matches("a.c", "abc")).toBe(false);
});

test("the option -g has statements alone", () => {
  expect(printTree(parseParameters("daemon off; user a;"))).toBe("daemon off;\nuser a;\n");
  expect(() => parseParameters("daemon off")).toThrow(/^unexpected end of parameter, expecting ";" in command line$/);
  expect(() => parseParameters("events { }")).toThrow(
    /^block directives are not supported in -g option in command line$/,
  );
  expect(() => parseParameters("}")).toThrow(/^unexpected "}" in command line$/);
});

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: variables of the configuration
test("any word reads back as it is", () => {
  const words = [
    "",
    "a",
    "#",
    "}",
    "a#}",
    '"',
    "'",
    "\"'",
    "a b",
    "a;b",
    "{",
    "${a}",
    "a{2}",
    "\\",
    "\\\\",
    "\\d",
    "\\n",
  ];
  words.push(
    "\n\t\r",
    "x\\",
    "$",
    "${",
    "$ {",
    "\\${a}",
    "\\{",
    '\\"',
    "a\\'b",
    "\\\n",
    "~^/\\d{2}\\.(?<n>.*)$",
    ")",
    "\xc3\xa9",
  );
  for (const word of words) {
    const { statements } = parseText(`x ${printWord(word)} y;`, "f", none);
    expect(statements[0]?.args).toEqual([word, "y"]);
  }
  expect(printWord("\\.php$")).toBe("\\.php$");
  expect(printWord("a b")).toBe('"a b"');
});

// biome-ignore-end lint/suspicious/noTemplateCurlyInString: the others are JavaScript's
test("blocks may be nested deep", () => {
  const depth = 20_000;
  const { statements } = parseText("a{".repeat(depth) + "}".repeat(depth), "f", none);
  expect(statements.length).toBe(1);
});
