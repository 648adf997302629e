/** Strings of SSI commands: variables, escapes, conditions. */

/** What is wrong with a command: a line for the log. The page shows its error message instead. */
export class SsiFault extends Error {}

/** The value of a variable; undefined: there is none. */
export type Lookup = (name: string) => string | undefined;

const part = /\$(\{[A-Za-z0-9_]*\}?|[A-Za-z0-9_]*)|\\([\s\S]?)|[^$\\]+/g;

/** Puts in variables and takes out escapes. Throws SsiFault. */
export function evaluate(text: string, lookup: Lookup): string {
  let value = "";
  for (const [whole, variable, escaped] of text.matchAll(part)) {
    if (variable !== undefined) value += lookup(nameIn(variable, text)) ?? "";
    else if (escaped !== undefined) value += /^[\\'"$]?$/.test(escaped) ? escaped : whole;
    else value += whole;
  }
  return value;
}

function nameIn(variable: string, text: string): string {
  if (!variable.startsWith("{")) {
    if (variable === "") throw new SsiFault(`invalid variable name in "${text}"`);
    return variable.toLowerCase();
  }
  if (variable === "{" || variable === "{}") throw new SsiFault(`invalid variable name in "${text}"`);
  if (!variable.endsWith("}")) throw new SsiFault(`the closing bracket in "${variable.slice(1)}" variable is missing`);
  return variable.slice(1, -1).toLowerCase();
}

/** A condition, cut up: `$var`, `$var = text`, `$var != /regular expression/`. */
export interface Expression {
  readonly left: string;
  /** undefined: is there a value at all? */
  readonly right: { readonly text: string; readonly isRegex: boolean; readonly isNegative: boolean } | undefined;
}

const expressionForm = /^([A-Za-z0-9${}_"']*) *(?:(!?=) *([\s\S]*))?$/;

/** Throws SsiFault. */
export function parseExpression(text: string): Expression {
  const found = expressionForm.exec(text);
  if (found === null) throw new SsiFault(`invalid expression in "${text}"`);
  // Letters on the left have no case, as in Nginx.
  const left = (found[1] ?? "").toLowerCase();
  const [, , operator, right = ""] = found;
  if (operator === undefined) return { left, right: undefined };
  const isNegative = operator === "!=";
  if (right.length > 1 && right.startsWith("/")) {
    if (!right.endsWith("/")) throw new SsiFault(`invalid expression in "${text}"`);
    return { left, right: { text: right.slice(1, -1), isRegex: true, isNegative } };
  }
  // A slash that begins no expression.
  const plain = right.startsWith("\\/") ? right.slice(1) : right;
  return { left, right: { text: plain, isRegex: false, isNegative } };
}

const entities: Readonly<Record<string, string>> = { "<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;" };

export type Encoding = "none" | "url" | "entity";

/** A value as it is shown. */
export function encode(text: string, encoding: Encoding): string {
  if (encoding === "entity") return text.replace(/[<>&"]/g, (char) => entities[char] ?? char);
  if (encoding === "url")
    return text.replace(
      /[\x00-\x20"#%'<>\\^`{|}\x7f-\xff]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
    );
  return text;
}
