/** From a header block's fields to a request: what RFC 9113 8.2 and 8.3 ask of them, each by itself and all together. */
import type { ProtocolError } from "../engine.ts";
import { classes, isNonAscii, isPath } from "../h1/classes.ts";
import { parseLength } from "../h1/framing.ts";
import type { Policy } from "../h1/policy.ts";
import { isAuthority, isLooseAuthority } from "../h1/target.ts";
import { Headers } from "../headers.ts";
import { CheckedRequest } from "../request.ts";
import { type Field, h2Name, role } from "./field.ts";
import type { H2Options } from "./options.ts";

/** What a block has become. */
export interface Assembled {
  readonly head: CheckedRequest;
  /** Why it is no request; `head` is what was understood of it. */
  readonly error: ProtocolError | undefined;
  /** What Content-Length says; -1: nothing. */
  readonly length: number;
  /** The priority field's value. */
  readonly priority: string | undefined;
}

const connectMethod = "CONNECT";

/** Reads one request's fields; used once. */
class Assembly {
  readonly headers = new Headers();
  error: ProtocolError | undefined = undefined;
  method: string | undefined = undefined;
  scheme: string | undefined = undefined;
  path: string | undefined = undefined;
  authority: string | undefined = undefined;
  protocol: string | undefined = undefined;
  host: string | undefined = undefined;
  length = -1;
  expects = false;
  priority: string | undefined = undefined;
  ignored: string[] | undefined = undefined;
  readonly #policy: Policy;
  #isRegular = false;
  #cookie = -1;
  #count = 0;
  #singles: Set<string> | undefined = undefined;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  /** False: it makes the request malformed; the first such field ends the reading. */
  take(field: Field): boolean {
    const { name, value, fault } = field;
    if (name.role === role.invalid)
      return this.#bad("RFC 9113 8.2.1", `client sent invalid header name: "${show(name.text)}"`);
    if (fault !== undefined && (fault === "end" || !this.#policy.looseHead))
      return this.#bad(
        "RFC 9113 8.2.1",
        `client sent header "${show(name.text)}" with invalid value: ${faults[fault]}`,
      );
    if (name.text.charCodeAt(0) === colon) return this.#takePseudo(field);
    if (!this.#isRegular) {
      this.#isRegular = true;
      this.headers.names.push(hostName);
      this.headers.values.push("");
    }
    if (++this.#count > this.#policy.fieldCountLimit)
      return this.#fail(494, "RFC 6585 5", "client sent too many header lines");
    if (name.role !== role.plain) return this.#takeSpecial(field);
    if ((name.isOdd || name.hasUnderscore) && !this.#passes(field)) return this.error === undefined;
    this.headers.names.push(name.name);
    this.headers.values.push(value);
    return true;
  }

  /** RFC 9113 8.3, 8.3.1 */
  #takePseudo({ name, value }: Field): boolean {
    if (this.#isRegular) return this.#bad("RFC 9113 8.3", "client sent out of order pseudo-headers");
    switch (name.role) {
      case role.method:
        if (this.method !== undefined) return this.#twice(name.text);
        this.method = value;
        return true;
      case role.scheme:
        if (this.scheme !== undefined) return this.#twice(name.text);
        this.scheme = value;
        return true;
      case role.path:
        if (this.path !== undefined) return this.#twice(name.text);
        this.path = value;
        return true;
      case role.authority:
        if (this.authority !== undefined) return this.#twice(name.text);
        this.authority = value;
        return true;
      case role.protocol:
        if (this.protocol !== undefined) return this.#twice(name.text);
        this.protocol = value;
        return true;
      default:
        return this.#bad("RFC 9113 8.3", `client sent unknown pseudo-header "${show(name.text)}"`);
    }
  }

  #takeSpecial(field: Field): boolean {
    const { name, value } = field;
    switch (name.role) {
      case role.connection:
        return this.#bad("RFC 9113 8.2.2", `client sent connection-specific header "${name.text}"`);
      case role.te:
        if (value.toLowerCase() !== "trailers") return this.#bad("RFC 9113 8.2.2", `client sent invalid "te" header`);
        break;
      case role.host:
        if (this.host !== undefined) return this.#twice(name.text);
        this.host = value;
        return true;
      case role.contentLength: {
        if (this.length >= 0) return this.#twice(name.text);
        const length = parseLength(value);
        if (length === undefined) return this.#bad("RFC 9110 8.6", `client sent invalid "Content-Length" header`);
        this.length = length;
        break;
      }
      case role.cookie:
        return this.#takeCookie(field);
      case role.expect:
        if (!this.#takeExpectation(value)) return false;
        break;
      case role.proxy:
        if (!this.#policy.proxyField) return true;
        break;
      case role.single:
        if (this.#singles?.has(name.text) === true) return this.#twice(name.text);
        this.#singles ??= new Set();
        this.#singles.add(name.text);
        break;
      case role.priority:
        this.priority = this.priority === undefined ? value : `${this.priority},${value}`;
        break;
    }
    this.headers.names.push(name.name);
    this.headers.values.push(value);
    return true;
  }

  /** RFC 9113 8.2.3: crumbs are one field again for whoever reads it. */
  #takeCookie({ name, value }: Field): boolean {
    const { names, values } = this.headers;
    if (this.#cookie >= 0) {
      values[this.#cookie] += `; ${value}`;
      return true;
    }
    this.#cookie = names.length;
    names.push(name.name);
    values.push(value);
    return true;
  }

  /** RFC 9110 10.1.1 */
  #takeExpectation(value: string): boolean {
    if (value.toLowerCase() === "100-continue") this.expects = true;
    else if (!this.#policy.otherExpectations)
      return this.#fail(417, "RFC 9110 10.1.1", "expectation other than 100-continue");
    return true;
  }

  /** False: the field is left out, or refused (then `error` is set). */
  #passes({ name, value }: Field): boolean {
    const { looseHead, ignoreInvalidHeaders, underscores, trustedNames } = this.#policy;
    if (looseHead && ignoreInvalidHeaders === "refuse") return true;
    if (!name.isOdd || !looseHead) {
      if (!name.hasUnderscore || underscores === "keep" || trustedNames.has(name.text)) return true;
      if (underscores === "refuse") return this.#bad("RFC 3875 4.1.18", `"_" in the name of field "${name.text}"`);
    }
    this.ignored ??= [];
    this.ignored.push(`${show(name.text)}: ${show(value)}`);
    return false;
  }

  #twice(name: string): false {
    return this.#bad("RFC 9113 8.3", `client sent duplicate "${name}" header`);
  }

  #bad(rule: string, detail: string): false {
    return this.#fail(400, rule, detail);
  }

  #fail(status: ProtocolError["status"], rule: string, detail: string): false {
    this.error = { status, rule, detail };
    return false;
  }
}

const faults = { end: "a line end or NUL in it", control: "a control character in it", space: "white space around it" };
const colon = 0x3a;
const hostName = h2Name("host").name;
// A line of the log has room for about this much of a client's text.
const show = (text: string): string => text.slice(0, 400);

/** `end`: no body follows. */
export function assemble(fields: readonly Field[], end: boolean, options: H2Options): Assembled {
  const { policy } = options;
  const assembly = new Assembly(policy);
  for (let i = 0; i < fields.length; i++) if (!assembly.take(fields[i]!)) break;
  const { headers, priority } = assembly;
  const error = assembly.error ?? checkPseudo(assembly, options);
  const method = assembly.method ?? "";
  const isTunnel = method === connectMethod && assembly.protocol === undefined;
  const target = (isTunnel ? assembly.authority : assembly.path) ?? "";
  const head = new CheckedRequest(method, target, 20, headers);
  head.authority = assembly.authority || (assembly.host ?? "");
  placeHost(headers, head.authority);
  // Nobody ends a stream later that says at once that nothing comes, or it is not what it says.
  head.bodyLength = end ? 0 : assembly.length || -1;
  head.expectsContinue = assembly.expects && !end;
  splitTarget(head, isTunnel ? "/" : target);
  if (assembly.ignored !== undefined) head.odd = { ignoredLines: assembly.ignored };
  const { length } = assembly;
  return { head, length, priority, error: error ?? checkWhole(head, assembly, end, policy) };
}

/** Who asks for the Host field finds the authority in it, whichever way it came. Its place was kept at the front. */
function placeHost({ names, values }: Headers, authority: string): void {
  if (authority === "") {
    if (names[0] === hostName) {
      names.shift();
      values.shift();
    }
    return;
  }
  if (names[0] === hostName) values[0] = authority;
  else {
    names.unshift(hostName);
    values.unshift(authority);
  }
}

function splitTarget(head: CheckedRequest, target: string): void {
  // A fragment belongs to neither path nor query.
  const fragment = target.indexOf("#");
  const whole = fragment < 0 ? target : target.slice(0, fragment);
  const mark = whole.indexOf("?");
  if (mark < 0) head.path = whole;
  else {
    head.path = whole.slice(0, mark);
    head.query = whole.slice(mark + 1);
  }
}

/** RFC 9113 8.3.1, 8.5; RFC 8441 4 */
function checkPseudo(assembly: Assembly, { policy, extendedConnect }: H2Options): ProtocolError | undefined {
  const { method, scheme, path, protocol } = assembly;
  if (method === undefined) return bad("RFC 9113 8.3.1", "client sent no :method header");
  if (method !== "GET" && method !== "POST" && !isMethod(method, policy))
    return bad("RFC 9110 9.1", `client sent invalid method: "${show(method)}"`);
  if (protocol !== undefined && (!extendedConnect || method !== connectMethod))
    return bad("RFC 8441 4", "client sent unexpected :protocol header");
  if (method === connectMethod && protocol === undefined) {
    if (policy.refusedMethods.has(method)) return notAllowed(method);
    if (scheme !== undefined || path !== undefined)
      return bad("RFC 9113 8.5", "client sent CONNECT with :scheme or :path");
    return undefined;
  }
  if (scheme === undefined) return bad("RFC 9113 8.3.1", "client sent no :scheme header");
  if (scheme !== "http" && scheme !== "https" && !/^[A-Za-z][A-Za-z0-9+.-]*$/.test(scheme))
    return bad("RFC 9113 8.3.1", `client sent invalid :scheme header: "${show(scheme)}"`);
  if (path === undefined) return bad("RFC 9113 8.3.1", "client sent no :path header");
  if (path === "") return bad("RFC 9113 8.3.1", "client sent empty :path header");
  if (!isTarget(path, method, policy))
    return bad("RFC 9113 8.3.1", `client sent invalid :path header: "${show(path)}"`);
  return undefined;
}

const isMethod = (method: string, { looseHead, unconventionalMethods }: Policy): boolean =>
  looseHead
    ? /^[A-Z_-]+$/.test(method)
    : (unconventionalMethods ? /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ : /^[!$%&'*+.^_`|~0-9A-Z-]{3,20}$/).test(method);

function isTarget(path: string, method: string, { looseHead, targetNonAscii, targetFragment }: Policy): boolean {
  if (path === "*") return method === "OPTIONS";
  if (path.charCodeAt(0) !== 0x2f) return false;
  for (let i = 1; i < path.length; i++) {
    const char = path.charCodeAt(i);
    const kind = classes[char]!;
    if ((kind & isPath) !== 0 || char === 0x3f) continue;
    if (char === 0x23 ? looseHead || targetFragment : (kind & isNonAscii) !== 0 && targetNonAscii) continue;
    return false;
  }
  return true;
}

function checkWhole(head: CheckedRequest, assembly: Assembly, end: boolean, policy: Policy): ProtocolError | undefined {
  const { authority, host, length } = assembly;
  const isValid = policy.looseHead ? isLooseAuthority : isAuthority;
  if (authority !== undefined && !isValid(authority))
    return bad("RFC 9113 8.3.1", 'client sent invalid ":authority" header');
  if (host !== undefined) {
    if (!isValid(host)) return bad("RFC 9112 3.2", "client sent invalid host header");
    // RFC 9113 8.3.1: what differs is meant to be seen by some and not by others.
    if (authority !== undefined && authority.toLowerCase() !== host.toLowerCase())
      return bad("RFC 9113 8.3.1", 'client sent ":authority" and "Host" headers with different values');
  }
  if (head.authority === "") return bad("RFC 9113 8.3.1", 'client sent neither ":authority" nor "Host" header');
  // RFC 9113 8.1.1
  if (end && length > 0) return bad("RFC 9113 8.1.1", "client sent a Content-Length and no body");
  if (policy.refusedMethods.has(head.method)) return notAllowed(head.method);
  return undefined;
}

/** The fields behind a body; a string: what is wrong with them (RFC 9113 8.1). */
export function assembleTrailers(fields: readonly Field[], { fieldCountLimit, looseHead }: Policy): Headers | string {
  const trailers = new Headers();
  if (fields.length > fieldCountLimit) return "too many trailers";
  for (const { name, value, fault } of fields) {
    if (name.text.startsWith(":")) return "a pseudo-header field among the trailers";
    if (name.role === role.invalid || fault !== undefined) return "an invalid trailer";
    if (name.role === role.connection) return `connection-specific trailer "${name.text}"`;
    if (name.refusedAsTrailer) {
      if (looseHead) continue;
      return `trailer "${name.text}"`;
    }
    if (name.hasUnderscore || name.role === role.proxy) continue;
    trailers.names.push(name.name);
    trailers.values.push(value);
  }
  return trailers;
}

const bad = (rule: string, detail: string): ProtocolError => ({ status: 400, rule, detail });

const notAllowed = (method: string): ProtocolError => ({
  status: 405,
  rule: "RFC 9110 15.5.6",
  detail: `client sent ${method} method`,
});
