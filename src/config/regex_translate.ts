/** Translates PCRE2's patterns (pcre2pattern(3), as compiled without options, for bytes) to JavaScript's. */
import { classText, escapeByte, typeClass } from "./regex_bytes.ts";
import { byteClass, dotClass, readClass, readProperty } from "./regex_class.ts";
import { type Flags, groupName, noFlags, readFlags, refuseVerb } from "./regex_group.ts";
import { type Finished, PatternOutput } from "./regex_output.ts";
import { byteEscape, octal, PatternReader } from "./regex_reader.ts";

export interface Translated extends Finished {
  /** In the order of the groups. */
  readonly names: readonly (readonly [name: string, group: number])[];
}

/** Throws PatternFault. */
export function translate(pattern: string, caseless: boolean): Translated {
  const translator = new Translator(pattern, caseless);
  return translator.run();
}

/** What PCRE2 allows. */
const deepest = 250;

class Translator {
  readonly #reader: PatternReader;
  readonly #out = new PatternOutput();
  readonly #names: (readonly [string, number])[] = [];
  /** Names and numbers that are referred to, with the place: the group may come later. */
  readonly #wanted: { readonly to: number | string; readonly at: number }[] = [];
  #flags: Flags;
  #groups = 0;
  #depth = 0;
  #lookbehinds = 0;
  /** Where what a quantifier would repeat begins in the output; undefined: nothing that can be repeated stands before. */
  #last: number | undefined;

  constructor(pattern: string, caseless: boolean) {
    this.#reader = new PatternReader(pattern);
    this.#flags = { ...noFlags, caseless };
  }

  run(): Translated {
    const reader = this.#reader;
    // What only tunes PCRE2 changes nothing.
    while (reader.match(/\(\*(?:NO_[A-Z_]+|LIMIT_[A-Z]+=\d+|LF)\)/y));
    this.#alternatives();
    if (!reader.isAtEnd()) throw reader.fault("unmatched closing parenthesis");
    const groupOf = new Map(this.#names.toReversed());
    for (const { to, at } of this.#wanted) {
      const exists = typeof to === "number" ? to <= this.#groups : groupOf.has(to);
      if (!exists) throw reader.fault("reference to non-existent subpattern", at);
    }
    return { ...this.#out.finish(groupOf), names: this.#names };
  }

  /** Up to a ")" that closes nothing in here, or the end. */
  #alternatives(): void {
    const reader = this.#reader;
    const flags = this.#flags;
    this.#last = undefined;
    while (!reader.isAtEnd() && reader.peek() !== ")") {
      if (!this.#skipNothing()) this.#item(reader.take());
    }
    // Flags hold to the end of their group.
    this.#flags = flags;
  }

  /** Past something that means nothing: even between an item and its quantifier it may stand. */
  #skipNothing(): boolean {
    const reader = this.#reader;
    if (this.#flags.extended && reader.match(/[\t-\r ]+|#[^\n]*\n?/y)) return true;
    if (reader.match(/\(\?#[^)]*/y) === undefined) return reader.accept("\\E");
    if (!reader.accept(")")) throw reader.fault("missing ) after (?# comment");
    return true;
  }

  #item(character: string): void {
    switch (character) {
      case "|":
        this.#out.text("|");
        this.#last = undefined;
        return;
      case "(":
        return this.#group();
      case "[":
        return this.#class();
      case "\\":
        return this.#escape();
      case "*":
        return this.#repeat("*");
      case "+":
        return this.#repeat("+");
      case "?":
        return this.#repeat("?");
      case "{":
        return this.#braces();
      case ".":
        return this.#atom(classText(dotClass(this.#flags.dotAll)));
      case "^":
        // Not behind a newline that ends the subject (pcre2pattern(3), Circumflex and dollar).
        return this.#anchor(this.#flags.multiline ? "(?:^|(?<=\\n)(?!$))" : "^");
      case "$":
        return this.#anchor(this.#flags.multiline ? "(?=\\n|$)" : "(?=\\n?$)");
      default:
        return this.#byte(character.charCodeAt(0));
    }
  }

  /** Something that a quantifier may repeat. */
  #atom(text: string): void {
    this.#last = this.#out.length;
    this.#out.text(text);
  }

  /** Something that no quantifier may follow. */
  #anchor(text: string): void {
    this.#last = undefined;
    this.#out.text(text);
  }

  #byte(byte: number): void {
    this.#atom(this.#flags.caseless ? classText(byteClass(byte, true)) : escapeByte(byte));
  }

  #class(): void {
    const reader = this.#reader;
    if (/^[:.=][^\][\\]*[:.=]\]/.test(reader.pattern.slice(reader.at))) {
      const kind = reader.peek();
      if (reader.pattern.indexOf(`${kind}]`, reader.at + 1) >= 0) {
        throw reader.fault("POSIX named classes are supported only within a class", reader.at - 1);
      }
    }
    this.#atom(classText(readClass(reader, this.#flags)));
  }

  #braces(): void {
    const found = this.#reader.match(/(\d+)(?:(,)(\d*))?\}/y);
    if (found === undefined) return this.#byte(0x7b);
    const [all, least = "", , most = ""] = found;
    if (Number(least) > 65535 || Number(most) > 65535) throw this.#behind("number too big in {} quantifier");
    if (most !== "" && Number(most) < Number(least)) {
      throw this.#behind("numbers out of order in {} quantifier");
    }
    this.#repeat(`{${all}`);
  }

  #repeat(quantifier: string): void {
    const start = this.#last;
    if (start === undefined) throw this.#behind("quantifier does not follow a repeatable item");
    this.#last = undefined;
    while (this.#skipNothing());
    if (this.#out.isAssertion(start)) this.#out.group(start);
    const isPossessive = this.#reader.accept("+");
    const isMarked = !isPossessive && this.#reader.accept("?");
    // With `(?U)` a question mark makes greedy what is lazy without.
    this.#out.text(quantifier + (!isPossessive && isMarked !== this.#flags.ungreedy ? "?" : ""));
    if (isPossessive) this.#atomic(start);
  }

  /** PCRE2 points at the last character of what it has read. */
  #behind(message: string): Error {
    return this.#reader.fault(message, this.#reader.at - 1);
  }

  #atomic(start: number): void {
    // There JavaScript goes from right to left, and would ask for what was found before it was looked for.
    if (this.#lookbehinds > 0) throw this.#reader.fault("atomic groups in lookbehind assertions are not supported");
    this.#out.atomic(start);
  }

  #group(): void {
    const reader = this.#reader;
    const start = this.#out.length;
    if (reader.match(/\*F(?:AIL)?\)/y)) return this.#anchor("(?!)");
    refuseVerb(reader);
    if (!reader.accept("?")) {
      if (this.#flags.noCapture) this.#out.text("(?:");
      else this.#out.open(++this.#groups);
      return this.#body(start);
    }
    if (reader.match(/P=/y)) return this.#namedReference(")");
    const around = reader.match(/<?[=!]/y);
    if (around !== undefined) return this.#lookaround(start, around[0]);
    const name = groupName(reader);
    if (name !== undefined) {
      this.#name(name);
      this.#out.open(this.#groups);
      return this.#body(start);
    }
    if (reader.accept(">")) {
      this.#out.text("(?:");
      this.#body(start);
      return this.#atomic(start);
    }
    const before = this.#flags;
    const { flags, isGroup } = readFlags(reader, before);
    this.#flags = flags;
    if (!isGroup) {
      this.#last = undefined;
      return;
    }
    this.#out.text("(?:");
    this.#body(start);
    this.#flags = before;
  }

  #lookaround(start: number, kind: string): void {
    const isBehind = kind.startsWith("<");
    this.#out.text(`(?${kind}`);
    if (isBehind) this.#lookbehinds++;
    this.#body(start);
    if (isBehind) this.#lookbehinds--;
  }

  /** From behind the opening to behind the closing parenthesis. */
  #body(start: number): void {
    if (++this.#depth > deepest) throw this.#reader.fault("parentheses are too deeply nested");
    this.#alternatives();
    if (!this.#reader.accept(")")) throw this.#reader.fault("missing closing parenthesis");
    this.#depth--;
    this.#out.text(")");
    this.#last = start;
  }

  #name(name: string): void {
    if (this.#names.some(([other]) => other === name) && !this.#flags.duplicateNames) {
      throw this.#reader.fault("two named subpatterns have the same name (PCRE2_DUPNAMES not set)");
    }
    this.#names.push([name, ++this.#groups]);
  }

  #escape(): void {
    const reader = this.#reader;
    const start = reader.at;
    const byte = byteEscape(reader);
    if (byte !== undefined) return this.#byte(byte);
    const letter = reader.peek();
    if (letter === "p" || letter === "P") return this.#atom(classText(readProperty(reader)));
    if (/[1-9]/.test(letter)) return this.#number();
    reader.at++;
    if (letter === "N" && /^\{(?!\d+(?:,\d*)?\})/.test(reader.pattern.slice(reader.at)))
      throw this.#unsupportedEscape();
    const set = typeClass(letter);
    if (set !== undefined) return this.#atom(classText(set));
    const text = anchors[letter];
    if (text !== undefined) return this.#anchor(text);
    switch (letter) {
      case "Q":
        return this.#quoted();
      case "C":
        return this.#atom("[^]");
      case "R":
        // Never half of a CR LF.
        return this.#atom("(?:\\r\\n|(?!\\r\\n)[\\n-\\r\\x85])");
      case "g":
        return this.#braceReference();
      case "k":
        return this.#namedReference(undefined);
    }
    if (/[FLlUu]/.test(letter)) throw this.#unsupportedEscape();
    if (letter === "X") throw reader.fault("\\X is not supported");
    throw reader.fault("unrecognized character follows \\", start);
  }

  #unsupportedEscape(): Error {
    return this.#reader.fault("PCRE2 does not support \\F, \\L, \\l, \\N{name}, \\U, or \\u");
  }

  #quoted(): void {
    const { pattern, at } = this.#reader;
    const end = pattern.indexOf("\\E", at);
    for (let i = at; i < (end < 0 ? pattern.length : end); i++) this.#byte(pattern.charCodeAt(i));
    this.#reader.at = end < 0 ? pattern.length : end + 2;
  }

  /** pcre2pattern(3): `\1` to `\9` are references, longer numbers only if there are as many groups so far. */
  #number(): void {
    const reader = this.#reader;
    const start = reader.at;
    const digits = reader.match(/\d+/y)?.[0] ?? "";
    if (digits.length === 1 || /^[89]/.test(digits) || Number(digits) <= this.#groups) {
      return this.#refer(Number(digits), start);
    }
    reader.at = start;
    this.#byte(octal(reader));
  }

  #braceReference(): void {
    const reader = this.#reader;
    const start = reader.at;
    const found = reader.match(/(?:\{([+-]?)(\d+)\}|([+-]?)(\d+))/y);
    if (found === undefined) {
      if (/^(?:<|')/.test(reader.peek())) throw reader.fault("calling a subpattern is not supported");
      if (reader.peek() === "{") return this.#namedReference(undefined);
      throw reader.fault("a numbered reference must not be zero");
    }
    const sign = found[1] ?? found[3] ?? "";
    const number = Number(found[2] ?? found[4]);
    const group = sign === "-" ? this.#groups + 1 - number : sign === "+" ? this.#groups + number : number;
    if (group <= 0) throw reader.fault("reference to non-existent subpattern", start);
    this.#refer(group, reader.at - 1);
  }

  #namedReference(end: ")" | undefined): void {
    const reader = this.#reader;
    const found = reader.match(end === undefined ? /(?:<(\w+)>|'(\w+)'|\{(\w+)\})/y : /(\w+)\)/y);
    if (found === undefined) throw reader.fault("\\k is not followed by a braced, angle-bracketed, or quoted name");
    this.#refer(found.slice(1).find((each) => each !== undefined) ?? "", found.index + (end === undefined ? 1 : 0));
  }

  #refer(to: number | string, at: number): void {
    this.#wanted.push({ to, at });
    this.#last = this.#out.length;
    this.#out.reference(to, this.#flags.caseless);
  }
}

/** Escapes that ask where the subject is and take nothing of it. */
const anchors: Record<string, string> = {
  // Moves where the match begins, which nobody here asks for.
  K: "",
  A: "^",
  G: "^",
  Z: "(?=\\n?$)",
  z: "$",
  b: "\\b",
  B: "\\B",
};
