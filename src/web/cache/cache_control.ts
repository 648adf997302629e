/** The field Cache-Control (RFC 9111 5.2): a list of directives, of which each may have a value. */

/** By lower-case name; "" where a directive has no value, undefined under names that are not there. */
export type CacheControl = ReadonlyMap<string, string>;

/** A name, and behind a "=" a token or a quoted string. */
const directive = /\s*([^\s,;="]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^,;]*))?[^,;]*[,;]?/gy;

/** All lines of the field together; where a directive stands twice the first counts (RFC 9111 4.2.1). */
export function parseCacheControl(lines: readonly string[]): CacheControl {
  const found = new Map<string, string>();
  for (const line of lines)
    for (const [, name = "", value = ""] of elements(line)) {
      const lower = name.toLowerCase();
      if (!found.has(lower)) found.set(lower, unquoted(value.trim()));
    }
  return found;
}

function* elements(line: string): Generator<RegExpExecArray> {
  directive.lastIndex = 0;
  for (let at = 0; at < line.length; ) {
    directive.lastIndex = at;
    const match = directive.exec(line);
    if (match === null || match[0] === "") {
      // What is no directive, up to the next comma, is skipped.
      const comma = line.indexOf(",", at);
      if (comma < 0) return;
      at = comma + 1;
    } else {
      at = directive.lastIndex;
      yield match;
    }
  }
}

const unquoted = (value: string): string =>
  value.length >= 2 && value.startsWith('"') && value.endsWith('"')
    ? value.slice(1, -1).replace(/\\(.)/g, "$1")
    : value;

/** What is larger is as good as never (RFC 9111 1.2.2). */
const longest = 2 ** 31;

/** Whole seconds (RFC 9111 1.2.2). "invalid": a value that is none; undefined: the directive is not there. */
export function seconds(control: CacheControl, name: string): number | "invalid" | undefined {
  const value = control.get(name);
  if (value === undefined) return undefined;
  return /^\d+$/.test(value) ? Math.min(Number(value), longest) : "invalid";
}
