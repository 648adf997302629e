/**
 * From the path on the wire to the path that is meant, and back.
 *
 * Decoded paths are latin-1 text: one character per byte, whatever the bytes mean. A path is decoded once and never again:
 * what looks like an escape afterwards is part of a name.
 */

const nul = 0;
const percent = 0x25;
const dot = 0x2e;
const slash = 0x2f;

/**
 * The path that locations and file names are looked up with: percent-decoded, without dot segments (RFC 3986 5.2.4) and
 * empty ones (as Nginx's `merge_slashes`, unless that is off). "*" stays as it is. undefined (answer 400): a bad escape, NUL, a climb above the
 * root, no leading slash. An escaped slash or dot counts as one, as in Nginx: no later reader may see another path.
 */
export function normalizePath(rawPath: string, mergesSlashes = true): string | undefined {
  if (rawPath.charCodeAt(0) !== slash) return rawPath === "*" ? rawPath : undefined;
  let before = 0;
  // Most paths are normal already: one look at each character, nothing made.
  for (let i = 0; i < rawPath.length; i++) {
    const code = rawPath.charCodeAt(i);
    if (code === nul) return undefined;
    if (code === percent || (before === slash && (code === slash || code === dot)))
      return normalizeSlowly(rawPath, mergesSlashes);
    before = code;
  }
  return rawPath;
}

function normalizeSlowly(rawPath: string, mergesSlashes: boolean): string | undefined {
  const path = decodePath(rawPath);
  if (path === undefined) return undefined;
  const segments: string[] = [];
  const given = path.split("/");
  for (const [i, segment] of given.entries()) {
    if (segment === ".") continue;
    if (segment === "" && (mergesSlashes || i === 0 || i === given.length - 1)) continue;
    if (segment !== "..") segments.push(segment);
    else if (segments.pop() === undefined) return undefined;
  }
  const last = given.at(-1);
  // "/a/." and "/a/b/.." name a directory, as "/a/" does.
  const isDirectory = last === "" || last === "." || last === "..";
  return `/${segments.join("/")}${isDirectory && segments.length > 0 ? "/" : ""}`;
}

/** Only percent-decoded (`PATH_INFO`). undefined: a bad escape or NUL, which no name can hold and C code takes for an end. */
export function decodePath(rawPath: string): string | undefined {
  let from = 0;
  let decoded = "";
  for (let at = rawPath.indexOf("%"); at >= 0; at = rawPath.indexOf("%", from)) {
    const high = hexValue(rawPath.charCodeAt(at + 1));
    const low = hexValue(rawPath.charCodeAt(at + 2));
    if (high < 0 || low < 0) return undefined;
    decoded += rawPath.slice(from, at) + String.fromCharCode(high * 16 + low);
    from = at + 3;
  }
  const path = from === 0 ? rawPath : decoded + rawPath.slice(from);
  return path.includes("\0") ? undefined : path;
}

// -1: not a hexadecimal digit; NaN, past the end of the text, is none either.
function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

// RFC 3986 3.3: unreserved, sub-delims, ":" and "@" stand for themselves, and "/" separates.
const unsafeInPath = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g;
// RFC 3986 3.4, but lenient: clients send more than the grammar has, and what came shall go back as it was. Only what
// could end the field or what no URI may hold is escaped.
const unsafeInQuery = /[^!-~]/g;

/** A decoded path for a `Location` field. The backslash, which browsers take for a slash, is escaped like all that is not a path's. */
export const encodePath = (path: string): string => path.replace(unsafeInPath, escapeByte);

/** A query as it came, for a `Location` field. */
export const encodeQuery = (query: string): string => query.replace(unsafeInQuery, escapeByte);

function escapeByte(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

// Nginx's escape for arguments: what separates them, and what a URI cannot hold.
const unsafeInArgument = /[^A-Za-z0-9\-._~!$'()*,/:@]|[&+;=#?%]/g;

/** Text as the value of an argument. */
export const encodeArgument = (text: string): string => text.replace(unsafeInArgument, escapeByte);

// Nginx's escape for the path of a request to an upstream: what could not stand in a request line, or would end the path.
const unsafeInRequest = /[\x00-\x20"#%<>?\\^`{|}\x7f-\xff]/g;

/** A decoded path for a request to an upstream. */
export const escapeUri = (path: string): string => path.replace(unsafeInRequest, escapeByte);
