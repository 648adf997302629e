/** What every subject of a pattern begins with, as far as it is plain to see: most subjects are refused without running the pattern. */

/** The literal text behind a leading `^`; "" if there is none, or if an alternative might do without it. */
export function literalPrefix(pattern: string): string {
  if (!pattern.startsWith("^") || hasAlternatives(pattern)) return "";
  let text = "";
  for (let at = 1; at < pattern.length; ) {
    const [literal, escaped, plain] = /^(?:\\([^A-Za-z0-9])|([\w/,:;=@%&~!-]))/.exec(pattern.slice(at)) ?? [];
    if (literal === undefined) break;
    at += literal.length;
    // What is repeated may be missing.
    if (/^[?*+{]/.test(pattern.slice(at))) break;
    text += escaped ?? plain ?? "";
  }
  return text;
}

/** Is there a "|" outside of all groups? */
function hasAlternatives(pattern: string): boolean {
  let depth = 0;
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at];
    if (char === "\\") at++;
    else if (inClass) inClass = char !== "]";
    else if (char === "[") inClass = true;
    else if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === "|" && depth <= 0) return true;
  }
  return false;
}
