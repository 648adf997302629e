/** What a byte may be part of. One table, one look-up per byte: the scanning loops are `classes[byte] & mask`. */

/** RFC 9110 5.6.2: methods and field names. */
export const isToken = 1;
/** RFC 9110 5.5: HTAB, SP, VCHAR and obs-text; no other control character, no CR, LF or NUL, no DEL. */
export const isValue = 2;
/** Printable ASCII but "?" and "#", which end a path. Wider than RFC 3986's pchar, like every browser's idea of a path. */
export const isPath = 4;
/** RFC 3986 3.2.2 reg-name: unreserved and sub-delims; "%" is looked at by itself. */
export const isRegName = 8;
export const isHexDigit = 16;
/** obs-text: bytes above 0x7F. */
export const isNonAscii = 32;

/** `classes[byte]` is the sum of the classes above that the byte belongs to. */
export const classes = new Uint8Array(256);

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const digits = "0123456789";

function add(mask: number, characters: string): void {
  for (let i = 0; i < characters.length; i++) classes[characters.charCodeAt(i)]! |= mask;
}

function addRange(mask: number, first: number, last: number): void {
  for (let byte = first; byte <= last; byte++) classes[byte]! |= mask;
}

add(isToken, `!#$%&'*+-.^_\`|~${digits}${letters}`);
add(isValue, "\t");
addRange(isValue, 0x20, 0x7e);
addRange(isValue | isNonAscii, 0x80, 0xff);
addRange(isPath, 0x21, 0x7e);
classes[0x3f]! &= ~isPath; // "?"
classes[0x23]! &= ~isPath; // "#"
add(isRegName, `-._~!$&'()*+,;=${digits}${letters}`);
add(isHexDigit, `${digits}abcdefABCDEF`);

/** SP or HTAB: white space, as far as HTTP knows any (RFC 9110 5.6.3). */
export const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x09;

export function isTokenText(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (((classes[text.charCodeAt(i)] ?? 0) & isToken) === 0) return false;
  return text !== "";
}

export function isValueText(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (((classes[text.charCodeAt(i)] ?? 0) & isValue) === 0) return false;
  return true;
}

/** A value without the control characters that a lenient reading lets through, and a configuration's variables may bring (RFC 9110 5.5). */
export const withoutControls = (value: string): string =>
  isValueText(value) ? value : value.replace(/[\x00-\x08\x0a-\x1f\x7f]+/g, " ").trim();
