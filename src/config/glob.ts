/** File name patterns of glob(3): `*`, `?`, `[…]`, and a backslash before what is meant as it stands. */
import { escapeByte } from "./regex_bytes.ts";

/** Has the pattern anything to find, or does it name one file? */
export const hasWildcard = (pattern: string): boolean => /[*?[]/.test(pattern);

/** The name that a part without wildcards stands for. */
export const literalName = (part: string): string => part.replace(/\\(.)/gs, "$1");

/** Finds the names that one part of a path pattern, without slashes, is for. */
export function namePattern(part: string): RegExp {
  // Hidden files have to be asked for (POSIX 2.13.3).
  let source = part.startsWith(".") || part.startsWith("\\.") ? "^" : "^(?!\\.)";
  for (let i = 0; i < part.length; i++) {
    const character = part.charAt(i);
    const set = character === "[" ? bracket(part, i) : undefined;
    if (character === "*") source += "[^]*";
    else if (character === "?") source += "[^]";
    else if (set !== undefined) {
      source += set.source;
      i = set.end;
    } else {
      if (character === "\\" && i + 1 < part.length) i++;
      source += escapeByte(part.charCodeAt(i));
    }
  }
  return new RegExp(`${source}$`);
}

/** POSIX 2.13.1: `[abc]`, `[a-z]`, `[!abc]`; also `[^abc]`. undefined: never closed, the bracket stands for itself. */
function bracket(part: string, start: number): { source: string; end: number } | undefined {
  const isNegated = part[start + 1] === "!" || part[start + 1] === "^";
  const first = start + (isNegated ? 2 : 1);
  let source = isNegated ? "[^" : "[";
  for (let i = first; i < part.length; i++) {
    let character = part.charAt(i);
    if (character === "]" && i > first) return { source: `${source}]`, end: i };
    if (character === "-" && i > first && part[i + 1] !== "]") {
      source += "-";
      continue;
    }
    if (character === "\\" && i + 1 < part.length) character = part.charAt(++i);
    source += escapeByte(character.charCodeAt(0));
  }
  return undefined;
}
