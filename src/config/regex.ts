/**
 * Regular expressions of a configuration: PCRE2's syntax and meaning, run by JavaScript's engine on latin-1 text.
 *
 * What differs in rare cases: a reference to a group that took no part matches the empty text, a group within a
 * repetition forgets what it found in an earlier round, `\K` does not move where the match begins, and what may stand
 * in a lookbehind is not limited. Recursion, conditions, `(?|`, verbs, `\X` and UTF mode are refused.
 */
import { literalPrefix } from "./regex_prefix.ts";
import { PatternFault } from "./regex_reader.ts";
import { translate } from "./regex_translate.ts";

/** A pattern, ready to be looked for. */
export interface Pattern {
  /** As the user wrote it. */
  readonly source: string;
  /** Named groups, in the order of their numbers. */
  readonly names: readonly (readonly [name: string, group: number])[];
  /** How many groups capture. */
  readonly groupCount: number;
  test(subject: string): boolean;
  /** The match, then each group at its number, "" if it took no part. undefined: no match. */
  exec(subject: string): readonly string[] | undefined;
}

/** Every path begins with a slash: that alone tells nothing apart. */
const shortestPrefix = 2;

/** A text: why there can be no such pattern, as Nginx words it, from `pcre2_compile() failed: ` on. */
export function compileRegex(pattern: string, caseless: boolean): Pattern | string {
  try {
    const { source, groups, groupCount, names } = translate(pattern, caseless);
    const regex = new RegExp(source);
    // Helping groups of the translation are counted by JavaScript, not by the user.
    const exec = groupCount === groups.length - 1 ? plainExec(regex) : sortedExec(regex, groups);
    const parts = { source: pattern, names, groupCount: groups.length - 1 };
    const prefix = caseless ? "" : literalPrefix(pattern);
    if (prefix.length < shortestPrefix) return { ...parts, test: regex.test.bind(regex), exec };
    return {
      ...parts,
      test: (subject) => subject.startsWith(prefix) && regex.test(subject),
      exec: (subject) => (subject.startsWith(prefix) ? exec(subject) : undefined),
    };
  } catch (error) {
    if (error instanceof PatternFault) return failure(pattern, error.message, error.offset);
    // Too large for the engine, or nested too deep.
    if (error instanceof SyntaxError || error instanceof RangeError) {
      return failure(pattern, error.message, pattern.length);
    }
    throw error;
  }
}

function failure(pattern: string, message: string, offset: number): string {
  const rest = offset < pattern.length ? ` at "${pattern.slice(offset)}"` : "";
  return `pcre2_compile() failed: ${message} in "${pattern}"${rest}`;
}

function plainExec(regex: RegExp): Pattern["exec"] {
  return (subject) => {
    const found: (string | undefined)[] | null = regex.exec(subject);
    if (found === null) return undefined;
    const texts: string[] = [];
    for (const text of found) texts.push(text ?? "");
    return texts;
  };
}

function sortedExec(regex: RegExp, groups: readonly number[]): Pattern["exec"] {
  return (subject) => {
    const found = regex.exec(subject);
    return found === null ? undefined : groups.map((number) => found[number] ?? "");
  };
}
