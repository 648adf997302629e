/** Nginx's command line: single letters, several in one word, a value behind its letter or as the next word. */

export const signalNames = ["stop", "quit", "reopen", "reload"] as const;
export type SignalName = (typeof signalNames)[number];

export interface NginxOptions {
  readonly help: boolean;
  readonly version: boolean;
  /** With what it was built and can do. */
  readonly features: boolean;
  readonly test: boolean;
  readonly dump: boolean;
  readonly quiet: boolean;
  readonly signal: SignalName | undefined;
  /** As given. */
  readonly prefix: string | undefined;
  readonly errorLog: string | undefined;
  readonly file: string | undefined;
  /** Directives that stand before those of the file. */
  readonly globals: string;
}

/** The command line cannot be understood: a sentence without the program's name. */
export class NginxUsageError extends Error {}

/** What each letter with a value asks for. */
const valued = { p: "directory name", e: "file name", c: "file name", g: "parameter", s: "parameter" } as const;
type Valued = keyof typeof valued;
type Flag = "help" | "version" | "features" | "test" | "dump" | "quiet";
const flags: Readonly<Record<string, readonly Flag[]>> = {
  "?": ["help", "version"],
  h: ["help", "version"],
  v: ["version"],
  V: ["version", "features"],
  t: ["test"],
  T: ["test", "dump"],
  q: ["quiet"],
};

/** Reads the words after the program's name. Throws NginxUsageError. */
export function parseNginxArguments(args: readonly string[]): NginxOptions {
  const set = new Set<Flag>();
  const values: Partial<Record<Valued, string>> = {};
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (!word.startsWith("-")) throw new NginxUsageError(`invalid option: "${word}"`);
    for (let at = 1; at < word.length; at++) {
      const letter = word[at] ?? "";
      if (isValued(letter)) {
        const value = word.slice(at + 1) || args[++i];
        if (value === undefined) throw new NginxUsageError(`option "-${letter}" requires ${valued[letter]}`);
        values[letter] = value;
        break;
      }
      const meant = flags[letter];
      if (meant === undefined) throw new NginxUsageError(`invalid option: "${letter}"`);
      for (const each of meant) set.add(each);
    }
    if (values.s !== undefined) signalNamed(values.s);
  }
  return {
    help: set.has("help"),
    version: set.has("version"),
    features: set.has("features"),
    test: set.has("test"),
    dump: set.has("dump"),
    quiet: set.has("quiet"),
    signal: values.s === undefined ? undefined : signalNamed(values.s),
    prefix: values.p,
    errorLog: values.e,
    file: values.c,
    globals: values.g ?? "",
  };
}

const isValued = (letter: string): letter is Valued => Object.hasOwn(valued, letter);

function signalNamed(text: string): SignalName {
  const found = signalNames.find((each) => each === text);
  if (found === undefined) throw new NginxUsageError(`invalid option: "-s ${text}"`);
  return found;
}
