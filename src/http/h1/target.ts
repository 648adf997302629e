/** What a request is for: the four forms of the request target (RFC 9112 3.2) and the authority (RFC 3986 3.2). */
import type { ProtocolError } from "../engine.ts";
import { classes, isHexDigit, isRegName } from "./classes.ts";
import type { Policy } from "./policy.ts";

export interface Target {
  readonly path: string;
  readonly query: string;
  /** Named by the target itself, which then stands above Host (RFC 9112 3.2.2). */
  readonly authority: string | undefined;
}

/** Takes a target apart; `text` holds only bytes that the policy lets pass, and is not empty. */
export function parseTarget(text: string, method: string, policy: Policy): Target | ProtocolError {
  const fragment = policy.targetFragment ? text.indexOf("#") : -1;
  const target = fragment < 0 ? text : text.slice(0, fragment);
  if (target.startsWith("/")) return { ...splitPath(target), authority: undefined };
  if (target === "*") {
    // RFC 9112 3.2.4
    if (method === "OPTIONS") return { path: "*", query: "", authority: undefined };
    return badTarget("RFC 9112 3.2.4", `target "*" with a method other than OPTIONS`);
  }
  if (method === "CONNECT") {
    // RFC 9112 3.2.3: authority-form is for CONNECT and CONNECT only. It names no path.
    if (!isAuthority(target) || !/:\d+$/.test(target)) return badTarget("RFC 9112 3.2.3", "CONNECT without host:port");
    return { path: "/", query: "", authority: target };
  }
  return parseAbsolute(target, method, policy);
}

/** RFC 9112 3.2.2: absolute-form. */
function parseAbsolute(target: string, method: string, policy: Policy): Target | ProtocolError {
  const found = /^https?:\/\/([^/?]*)(.*)$/i.exec(target);
  if (found === null) return badTarget("RFC 9112 3.2", "target is neither a path nor an http URI");
  let authority = found[1] ?? "";
  const rest = found[2] ?? "";
  const at = authority.lastIndexOf("@");
  if (at >= 0) {
    // RFC 9110 4.2.4: user information in a URI is there to deceive somebody.
    if (!policy.targetUserinfo) return badTarget("RFC 9110 4.2.4", "user information in the target");
    authority = authority.slice(at + 1);
  }
  // RFC 9110 4.2.1: an http URI without a host is invalid.
  if (!isAuthority(authority)) return badTarget("RFC 9110 4.2.1", "invalid authority in the target");
  if (rest === "") return { path: method === "OPTIONS" ? "*" : "/", query: "", authority };
  return { ...splitPath(rest.startsWith("/") ? rest : `/${rest}`), authority };
}

function splitPath(target: string): { path: string; query: string } {
  const mark = target.indexOf("?");
  if (mark < 0) return { path: target, query: "" };
  return { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

function badTarget(rule: string, detail: string): ProtocolError {
  return { status: 400, rule, detail };
}

/** Is this a host that is not empty, with or without a port (RFC 9112 3.2, RFC 3986 3.2.2, 3.2.3)? */
export function isAuthority(text: string): boolean {
  let i = 0;
  const { length } = text;
  if (text.charCodeAt(0) === 0x5b) {
    i = text.indexOf("]") + 1;
    if (i === 0 || !isIpLiteral(text.slice(1, i - 1))) return false;
  } else {
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if ((classes[code]! & isRegName) !== 0) continue;
      if (code !== 0x25 || !isHexPair(text, i + 1)) break;
      i += 2;
    }
    if (i === 0) return false;
  }
  return i === length || (text.charCodeAt(i) === 0x3a && isPort(text, i + 1));
}

function isHexPair(text: string, at: number): boolean {
  if (at + 2 > text.length) return false;
  return (classes[text.charCodeAt(at)]! & classes[text.charCodeAt(at + 1)]! & isHexDigit) !== 0;
}

/** Digits up to the end, at most 65535; RFC 3986 3.2.3 lets a port be empty. */
function isPort(text: string, from: number): boolean {
  let port = 0;
  for (let i = from; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
    if (port > 65535) return false;
  }
  return true;
}

/** RFC 3986 3.2.2: what may stand in brackets: an IPv6 address, or a form of the future. */
function isIpLiteral(text: string): boolean {
  if (/^v[0-9a-f]+\.[-._~!$&'()*+,;=:0-9a-z]+$/i.test(text)) return true;
  // At most eight groups, one "::" at most; an IPv4 address may stand for the last two.
  const v4 = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (v4?.slice(2).some((part) => Number(part) > 255)) return false;
  const groups = v4 === null ? text : `${v4[1]}0:0`;
  const halves = groups.split("::");
  if (halves.length > 2) return false;
  const parts = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (parts.some((part) => !/^[0-9a-f]{1,4}$/i.test(part))) return false;
  return halves.length === 2 ? parts.length < 8 : parts.length === 8;
}

/** Is this a host as Nginx takes it, with or without a port? Neither names nor addresses are looked at closely. */
export function isLooseAuthority(text: string): boolean {
  const { length } = text;
  const literal = text.charCodeAt(0) === 0x5b;
  const end = literal ? 0x5d : 0x3a;
  let i = literal ? 1 : 0;
  let afterDot = false;
  for (; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === end) break;
    // An empty label could be dropped by one reader and kept by the next.
    if (code === 0x2e && afterDot) return false;
    afterDot = code === 0x2e;
    if (((classes[code] ?? 0) & isRegName) === 0 && code !== (literal ? 0x3a : 0x25)) return false;
  }
  if (literal) {
    if (i === length || i === 1) return false;
    i++;
  } else if (i === 0 || text === "." || text.startsWith(".:")) {
    return false;
  }
  return i === length || (text.charCodeAt(i) === 0x3a && isPort(text, i + 1));
}
