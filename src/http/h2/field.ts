/** A field as HPACK carries it, and what is known about it before anybody asks: names and values are judged once, when they enter a table. */
import { classes, isBlank, isToken, isValue } from "../h1/classes.ts";
import { type FieldName, fieldName } from "../headers.ts";

/** Why a request's assembly cares for a name; `plain`: it does not. */
export const role = {
  plain: 0,
  method: 1,
  scheme: 2,
  path: 3,
  authority: 4,
  /** RFC 8441 */
  protocol: 5,
  unknownPseudo: 6,
  /** RFC 9113 8.2.1: no field has such a name. */
  invalid: 7,
  /** RFC 9113 8.2.2: describes a connection of HTTP/1. */
  connection: 8,
  te: 9,
  host: 10,
  contentLength: 11,
  cookie: 12,
  expect: 13,
  /** `Proxy`: becomes HTTP_PROXY for CGI (CVE-2016-5385). */
  proxy: 14,
  /** Must not be repeated. */
  single: 15,
  priority: 16,
} as const;

export type Role = (typeof role)[keyof typeof role];

export interface H2Name {
  readonly text: string;
  readonly name: FieldName;
  readonly role: Role;
  /** Has other characters than letters, digits, "-" and "_": Nginx calls it invalid. */
  readonly isOdd: boolean;
  readonly hasUnderscore: boolean;
  /** RFC 9110 6.5.1: comes before the body or not at all. */
  readonly refusedAsTrailer: boolean;
}

/** "end": of lines, or NUL; RFC 9113 8.2.1 forbids them and white space around a value, RFC 9110 5.5 the other controls. */
export type ValueFault = "end" | "control" | "space";

export interface Field {
  readonly name: H2Name;
  readonly value: string;
  /** Why no field has such a value; undefined: it may. */
  readonly fault: ValueFault | undefined;
}

const roles: Readonly<Record<string, Role>> = {
  ":method": role.method,
  ":scheme": role.scheme,
  ":path": role.path,
  ":authority": role.authority,
  ":protocol": role.protocol,
  connection: role.connection,
  "proxy-connection": role.connection,
  "keep-alive": role.connection,
  "transfer-encoding": role.connection,
  upgrade: role.connection,
  te: role.te,
  host: role.host,
  "content-length": role.contentLength,
  cookie: role.cookie,
  expect: role.expect,
  proxy: role.proxy,
  priority: role.priority,
  "content-type": role.single,
  "if-modified-since": role.single,
  "if-unmodified-since": role.single,
  "if-match": role.single,
  "if-none-match": role.single,
  "if-range": role.single,
  "content-range": role.single,
  authorization: role.single,
  "proxy-authorization": role.single,
};
const notInTrailers = new Set(["host", "content-length", "trailer", "te", "authorization"]);

// Names come from clients: the table is bounded in number and size, what finds no place is made anew.
const maxKnown = 1024;
const maxKnownLength = 64;
const known = new Map<string, H2Name>();

export function h2Name(text: string): H2Name {
  const found = known.get(text);
  if (found !== undefined) return found;
  const made = makeName(text);
  if (known.size < maxKnown && text.length <= maxKnownLength) known.set(text, made);
  return made;
}

function makeName(text: string): H2Name {
  const isName = isLowerToken(text);
  return {
    text,
    name: fieldName(text),
    role: roles[text] ?? (text.startsWith(":") ? role.unknownPseudo : isName ? role.plain : role.invalid),
    isOdd: /[^a-z0-9_-]/.test(text),
    hasUnderscore: text.includes("_"),
    refusedAsTrailer: notInTrailers.has(text),
  };
}

function isLowerToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (((classes[char] ?? 0) & isToken) === 0 || (char >= 0x41 && char <= 0x5a)) return false;
  }
  return text !== "";
}

/** What is wrong with the value `bytes[from, to)`. */
export function valueFault(bytes: Uint8Array, from: number, to: number): ValueFault | undefined {
  let all = isValue;
  for (let i = from; i < to; i++) all &= classes[bytes[i]!]!;
  if (all === 0) {
    for (let i = from; i < to; i++) if (isEnd(bytes[i]!)) return "end";
    return "control";
  }
  return from < to && (isBlank(bytes[from]!) || isBlank(bytes[to - 1]!)) ? "space" : undefined;
}

const isEnd = (byte: number): boolean => byte === 0 || byte === 0x0a || byte === 0x0d;
