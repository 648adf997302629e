/** What may stand behind the "(" of a group: names, flags, and what only PCRE2 has. */
import type { PatternReader } from "./regex_reader.ts";

/** pcre2pattern(3), Internal option setting. */
export interface Flags {
  /** i */
  readonly caseless: boolean;
  /** m */
  readonly multiline: boolean;
  /** s */
  readonly dotAll: boolean;
  /** x */
  readonly extended: boolean;
  /** xx */
  readonly extendedMore: boolean;
  /** n */
  readonly noCapture: boolean;
  /** U */
  readonly ungreedy: boolean;
  /** J */
  readonly duplicateNames: boolean;
}

export const noFlags: Flags = {
  caseless: false,
  multiline: false,
  dotAll: false,
  extended: false,
  extendedMore: false,
  noCapture: false,
  ungreedy: false,
  duplicateNames: false,
};

/** `i`, `s-x`, `^m`, … and the ":" or ")" behind them, from behind the "?". Throws what is none of that. */
export function readFlags(reader: PatternReader, before: Flags): { flags: Flags; isGroup: boolean } {
  const found = reader.match(/(\^?)([imsxnUJ]*)(?:-([imsxnUJ]*))?([:)])/y);
  if (found === undefined) throw unknownGroup(reader);
  const [, reset, on = "", off = "", end] = found;
  let flags = before;
  if (reset === "^") {
    const { ungreedy, duplicateNames } = before;
    flags = { ...noFlags, ungreedy, duplicateNames };
  }
  return { flags: switched(switched(flags, on, true), off, false), isGroup: end === ":" };
}

function switched(flags: Flags, letters: string, value: boolean): Flags {
  const has = (letter: string): boolean => letters.includes(letter);
  return {
    caseless: has("i") ? value : flags.caseless,
    multiline: has("m") ? value : flags.multiline,
    dotAll: has("s") ? value : flags.dotAll,
    extended: has("x") ? value : flags.extended,
    // A single x says that it is not two.
    extendedMore: has("x") ? value && has("xx") : flags.extendedMore,
    noCapture: has("n") ? value : flags.noCapture,
    ungreedy: has("U") ? value : flags.ungreedy,
    duplicateNames: has("J") ? value : flags.duplicateNames,
  };
}

function unknownGroup(reader: PatternReader): Error {
  if (reader.match(/[imsxnUJ^-]*/y) !== undefined && reader.isAtEnd())
    return reader.fault("missing closing parenthesis");
  if (reader.match(/R|[+-]?\d|&|P>/y)) return reader.fault("recursion and calls of subpatterns are not supported");
  if (reader.peek() === "(") return reader.fault("conditional groups are not supported");
  if (reader.peek() === "|") return reader.fault("groups that reset their numbers are not supported");
  if (reader.peek() === "C") return reader.fault("callouts are not supported");
  return reader.fault("unrecognized character after (? or (?-");
}

/** The name in `<name>`, `'name'` and `P<name>`, from behind the "?". undefined: it is another kind of group. */
export function groupName(reader: PatternReader): string | undefined {
  const opening = reader.match(/P?<|'/y)?.[0];
  if (opening === undefined) return undefined;
  if (/\d/.test(reader.peek())) throw reader.fault("subpattern name must start with a non-digit");
  const name = reader.match(/\w+/y)?.[0];
  if (name === undefined) throw reader.fault("subpattern name expected");
  if (name.length > 32) throw reader.fault("subpattern name is too long (maximum 32 code units)");
  if (!reader.accept(opening === "'" ? "'" : ">")) {
    throw reader.fault("syntax error in subpattern name (missing terminator?)");
  }
  return name;
}

/** `(*VERB)`, from behind the parenthesis: JavaScript has none of them. */
export function refuseVerb(reader: PatternReader): void {
  const found = reader.match(/\*([A-Za-z_:][^)]*\))?/y);
  if (found === undefined) return;
  throw reader.fault(found[1] === undefined ? "(*VERB) not recognized or malformed" : `(${found[0]} is not supported`);
}
