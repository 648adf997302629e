/** Request heads as text (RFC 9112 3 and 5). What this file lets out has no line end that it did not write itself. */
import type { FieldName, Headers } from "../headers.ts";
import { isTokenText, isValueText, withoutControls } from "./classes.ts";
import { isUsualMethod } from "./methods.ts";

/** Fields of a request that another one passes on, without control characters: all but those with hidden names, which are lower-case. */
export interface PassedFields {
  readonly headers: Headers;
  readonly hidden: ReadonlySet<string>;
}

/** A request for an upstream. */
export interface ClientRequestHead {
  readonly method: string;
  /** As it shall stand in the request line (RFC 9112 3.2). Not empty, without control characters. */
  readonly target: string;
  readonly version: 10 | 11;
  /**
   * Sent as they are, Host and Connection included; Content-Length and Transfer-Encoding are left out, because `bodyLength`
   * decides about them.
   */
  readonly headers: Headers;
  /** Behind them: those of a client's list that are passed on. */
  readonly passed?: PassedFields | undefined;
  /** Bytes of body that follow, named by a Content-Length; -1: chunked (1.1 only); undefined: no body and no field. */
  readonly bodyLength: number | undefined;
}

// Names come from configuration, but also from clients, which could make one up per request: bounded, like names.ts.
const maxKnown = 1024;
const prefixes = new Map<FieldName, string>();

/** `name: `, behind the end of the line before; "": the field is left out. */
function prefixOf(name: FieldName): string {
  const known = prefixes.get(name);
  if (known !== undefined) return known;
  if (!isTokenText(name.raw)) throw new Error(`invalid name of a request field: ${JSON.stringify(name.raw)}`);
  const isFraming = name.lower === "content-length" || name.lower === "transfer-encoding";
  const prefix = isFraming ? "" : `\r\n${name.raw}: `;
  if (prefixes.size < maxKnown) prefixes.set(name, prefix);
  return prefix;
}

/**
 * Request line, fields and empty line. Throws where a method, target or field cannot be sent: a value with CR, LF or NUL
 * would write fields, or a whole second request, for somebody else. Variables in a configuration can lead to that.
 */
export function writeRequestHead({ method, target, version, headers, passed, bodyLength }: ClientRequestHead): string {
  if (!isUsualMethod(method) && !isTokenText(method))
    throw new Error(`invalid method of a request: ${JSON.stringify(method.slice(0, 80))}`);
  if (target === "" || !isValueText(target) || target.includes("\t")) {
    throw new Error(`invalid target of a request: ${JSON.stringify(target.slice(0, 80))}`);
  }
  let text = `${method} ${target}${version === 11 ? " HTTP/1.1" : " HTTP/1.0"}`;
  text += writeFields(headers);
  if (passed !== undefined) text += writePassed(passed);
  if (bodyLength === undefined) return `${text}\r\n\r\n`;
  if (bodyLength >= 0) return `${text}\r\nContent-Length: ${bodyLength}\r\n\r\n`;
  // RFC 9112 6.1: whoever has no 1.1 server in front of it collects the body first.
  if (version === 10) throw new Error("a chunked body in an HTTP/1.0 request");
  return `${text}\r\nTransfer-Encoding: chunked\r\n\r\n`;
}

/** The same text for all requests with the same list of fields, as long as nobody else wants another. */
function writePassed({ headers, hidden }: PassedFields): string {
  if (!headers.shared) return passedText(headers, hidden);
  if (headers.made?.by !== hidden) headers.made = { by: hidden, what: passedText(headers, hidden) };
  return headers.made.what;
}

function passedText({ names, values }: Headers, hidden: ReadonlySet<string>): string {
  let text = "";
  for (let i = 0; i < names.length; i++) {
    const prefix = prefixOf(names[i]!);
    if (prefix !== "" && !hidden.has(names[i]!.lower)) text = text + prefix + withoutControls(values[i]!);
  }
  return text;
}

function writeFields({ names, values }: Headers): string {
  let text = "";
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const prefix = prefixOf(name);
    if (prefix === "") continue;
    const value = values[i]!;
    if (!isValueText(value)) {
      throw new Error(`invalid character in "${name.raw}" of a request: ${JSON.stringify(value.slice(0, 80))}`);
    }
    text = text + prefix + value;
  }
  return text;
}
