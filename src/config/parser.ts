/** Reads a configuration into a tree of statements, `include` done, without knowing any other directive. */
import { type Ending, Lexer } from "./lexer.ts";
import { ConfigError, type Place, type Statement } from "./statement.ts";

/** Where configuration files come from. Paths and texts are latin-1 text of their bytes. */
export interface ConfigFiles {
  /** What relative paths of `include` stand behind, with its slash; by default the directory of the first file. */
  readonly prefix?: string | undefined;
  /** The whole file. Throws UnreadableFile. */
  read(path: string): string;
  /** What exists of the pattern, sorted, as glob(3) has it; nothing: an empty list. */
  glob(pattern: string): readonly string[];
}

/** The message is a sentence like `open() "/x" failed (2: No such file or directory)`. */
export class UnreadableFile extends Error {}

/** A file that was read, for `-T`. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

/** The tree, and the files that it comes from: each once, in the order in which they were opened. */
export interface Parsed {
  readonly statements: Statement[];
  readonly files: ConfigFile[];
}

/** A file that includes itself would go on for ever; nobody nests this deep on purpose. */
const deepestInclude = 100;

/** Reads the file and what it includes. Throws ConfigError. */
export function parseFile(path: string, files: ConfigFiles): Parsed {
  const reading = new Reading(path, files);
  const statements = reading.file(path, undefined, 0);
  return { statements, files: reading.files() };
}

/** As parseFile, for a text that is at hand; `fileName` stands in messages and in the list of files. Throws ConfigError. */
export function parseText(text: string, fileName: string, files: ConfigFiles): Parsed {
  const reading = new Reading(fileName, files);
  const statements = reading.text(text, fileName, 0);
  return { statements, files: reading.files() };
}

/** The directives of the option `-g`: statements without blocks. Throws ConfigError. */
export function parseParameters(text: string): Statement[] {
  const fail = (message: string): Error => new ConfigError(`${message} in command line`, undefined);
  const lexer = new Lexer({ text, unfinished: 'unexpected end of parameter, expecting ";"', fail });
  const statements: Statement[] = [];
  for (let ending = lexer.next(); ending !== "end"; ending = lexer.next()) {
    if (ending === "{") throw fail("block directives are not supported in -g option");
    if (ending === "}") throw fail('unexpected "}"');
    const [name = "", ...args] = lexer.words;
    statements.push({ name, args, at: { file: "command line", line: lexer.line }, block: undefined });
  }
  return statements;
}

class Reading {
  readonly #texts = new Map<string, string>();
  readonly #files: ConfigFiles;
  readonly #prefix: string;

  constructor(mainPath: string, files: ConfigFiles) {
    this.#files = files;
    this.#prefix = files.prefix ?? mainPath.slice(0, mainPath.lastIndexOf("/") + 1);
  }

  files(): ConfigFile[] {
    return [...this.#texts].map(([path, text]) => ({ path, text }));
  }

  /** `at`: where the file is asked for. */
  file(path: string, at: Place | undefined, depth: number): Statement[] {
    const text = this.#texts.get(path) ?? readable(() => this.#files.read(path), at);
    return this.text(text, path, depth);
  }

  text(text: string, file: string, depth: number): Statement[] {
    if (!this.#texts.has(file)) this.#texts.set(file, text);
    const fail = (message: string, line: number): Error => new ConfigError(message, { file, line });
    const lexer = new Lexer({ text, unfinished: 'unexpected end of file, expecting ";" or "}"', fail });
    let statements: Statement[] = [];
    // The lists that the blocks around stand in: each file closes what it opens.
    const around: Statement[][] = [];
    for (;;) {
      const ending = lexer.next();
      if (ending === "end") {
        if (around.length > 0) throw fail('unexpected end of file, expecting "}"', lexer.line);
        return statements;
      }
      if (ending === "}") {
        const outer = around.pop();
        if (outer === undefined) throw fail('unexpected "}"', lexer.line);
        statements = outer;
        continue;
      }
      const [name = "", ...args] = lexer.words;
      const at = { file, line: lexer.line };
      if (name === "include") {
        for (const statement of this.#include(args, ending, at, depth)) statements.push(statement);
        continue;
      }
      const block: Statement[] | undefined = ending === "{" ? [] : undefined;
      statements.push({ name, args, at, block });
      if (block !== undefined) {
        around.push(statements);
        statements = block;
      }
    }
  }

  #include(args: readonly string[], ending: Ending, at: Place, depth: number): Statement[] {
    if (ending === "{") throw new ConfigError('directive "include" is not terminated by ";"', at);
    const [name] = args;
    if (name === undefined || args.length > 1) {
      throw new ConfigError('invalid number of arguments in "include" directive', at);
    }
    const path = name.startsWith("/") ? name : this.#prefix + name;
    if (depth >= deepestInclude) throw new ConfigError(`"${path}" is included too deep, does it include itself?`, at);
    if (!/[*?[]/.test(path)) return this.file(path, at, depth + 1);
    return this.#files.glob(path).flatMap((each) => this.file(each, at, depth + 1));
  }
}

function readable<T>(read: () => T, at: Place | undefined): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnreadableFile) throw new ConfigError(error.message, at);
    throw error;
  }
}
