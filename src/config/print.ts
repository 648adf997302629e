/** Configurations as text: what was read (`-T`), and a tree that reads back as the same tree. */
import type { ConfigFile } from "./parser.ts";
import type { Statement } from "./statement.ts";

/** Every file under a line with its path, as `nginx -T` shows them. */
export function dump(files: readonly ConfigFile[]): string {
  return files.map(({ path, text }) => `# configuration file ${path}:\n${text}\n`).join("");
}

/** Text whose tree is the given one but for the places: four spaces for each block, quotes where they are needed. */
export function printTree(statements: readonly Statement[], indent = ""): string {
  let text = "";
  for (const { name, args, block } of statements) {
    text += indent + [name, ...args].map(printWord).join(" ");
    if (block === undefined) text += ";\n";
    else if (block.length === 0) text += " {\n".concat(indent, "}\n");
    else text += ` {\n${printTree(block, `${indent}    `)}${indent}}\n`;
  }
  return text;
}

/** A word as it has to be written to be read as it is. */
export function printWord(word: string): string {
  if (isPlain(word)) return escapeWord(word, "");
  const quote = word.includes('"') && !word.includes("'") ? "'" : '"';
  return quote + escapeWord(word, quote) + quote;
}

/** Without quotes: nothing in it ends a word, and nothing at its start begins something else. */
function isPlain(word: string): boolean {
  if (word === "" || /^["'#}]/.test(word) || /[ \t\r\n;]/.test(word)) return false;
  // A brace is part of a word only behind a `$` that is not escaped itself.
  return !word.includes("{") || (!word.includes("\\") && !/(?:^|[^${])\{/.test(word));
}

const controls: Record<string, string> = { "\t": "\\t", "\r": "\\r", "\n": "\\n" };

function escapeWord(word: string, quote: string): string {
  return word.replace(/[\t\r\n"'\\]/g, (character, at: number) => {
    if (character === "\\") return /^(?:["'\\trn\t\r\n]|$)/.test(word.slice(at + 1, at + 2)) ? "\\\\" : "\\";
    if (character === '"' || character === "'") return character === quote ? `\\${character}` : character;
    return controls[character] ?? character;
  });
}
