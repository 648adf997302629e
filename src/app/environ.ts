/** A request as the list of environ keys and values that an app worker turns into a dictionary (PEP 3333; docs/worker-protocol.md). */
import type { Ends, RequestHead } from "../http/message.ts";

/** What the web side has found out about a request beyond its head. */
export interface EnvironFacts {
  readonly method: string;
  readonly query: string;
  /** The path, percent-decoded, in latin-1. */
  readonly path: string;
  readonly scheme: "http" | "https";
  /** Bytes of the body, read whole; 0: none. */
  readonly bodyLength: number;
}

/** Where the list goes: latin-1 text, appended. */
export interface TextWriter {
  text(text: string): void;
  bytes(bytes: Uint8Array): void;
}

/**
 * Writes `key\nvalue\nkey\nvalue…` in latin-1. Values cannot contain a newline: the engine has refused those.
 * Written piece by piece into the frame: made as one string first, a browser's request costs 2 µs more.
 */
export function writeEnviron(
  to: TextWriter,
  request: RequestHead,
  ends: Ends,
  { method, path, query, scheme, bodyLength }: EnvironFacts,
): void {
  to.text("REQUEST_METHOD\n");
  to.text(method);
  to.text("\nRAW_URI\n");
  to.text(request.target);
  to.text("\nPATH_INFO\n");
  to.text(path);
  to.text("\nQUERY_STRING\n");
  to.text(query);
  to.text(protocols[request.version]);
  to.text(scheme === "http" ? "\nwsgi.url_scheme\nhttp" : "\nwsgi.url_scheme\nhttps");
  ends.environ ??= connectionEnviron(ends);
  to.bytes(ends.environ);
  if (ends.localPort === "") to.text(serverOf(request.authority, scheme));
  writeFields(to, request, bodyLength);
}

/** Most requests have no body, and many the same fields as others: then their part of the list is the same, too. */
function writeFields(to: TextWriter, request: RequestHead, bodyLength: number): void {
  const { headers } = request;
  if (!headers.shared || bodyLength > 0 || request.bodyLength !== 0) return listFields(to, request, bodyLength);
  if (headers.made?.by !== environFields) {
    const text = new Text();
    listFields(text, request, 0);
    headers.made = { by: environFields, what: text.all };
  }
  to.text(headers.made.what);
}

const environFields = {};

class Text implements Pick<TextWriter, "text"> {
  all = "";
  text(text: string): void {
    this.all += text;
  }
}

function listFields(to: Pick<TextWriter, "text">, request: RequestHead, bodyLength: number): void {
  const { names, values } = request.headers;
  let hasLength = bodyLength > 0;
  if (hasLength) to.text(`\nCONTENT_LENGTH\n${bodyLength}`);
  for (let i = 0; i < names.length; i++) {
    const { key, listed } = names[i]!;
    // The body was read whole: its coding is gone, and its length is known.
    if (key === "HTTP_TRANSFER_ENCODING") continue;
    if (key === "CONTENT_LENGTH") {
      if (hasLength) continue;
      hasLength = true;
    } else if (repeats(request, i)) continue;
    to.text(listed);
    to.text(values[i]!);
    writeFurther(to, request, i);
  }
  if (!hasLength && request.bodyLength < 0) to.text("\nCONTENT_LENGTH\n0");
}

const protocols = {
  9: "\nSERVER_PROTOCOL\nHTTP/0.9",
  10: "\nSERVER_PROTOCOL\nHTTP/1.0",
  11: "\nSERVER_PROTOCOL\nHTTP/1.1",
  20: "\nSERVER_PROTOCOL\nHTTP/2.0",
} as const;

function connectionEnviron(ends: Ends): Uint8Array {
  const server = ends.localPort === "" ? "" : `\nSERVER_NAME\n${ends.localAddress}\nSERVER_PORT\n${ends.localPort}`;
  const port = ends.peerPort === 0 ? "" : `\nREMOTE_PORT\n${ends.peerPort}`;
  return Buffer.from(`${server}\nREMOTE_ADDR\n${ends.peerAddress}${port}`, "latin1");
}

/** On a Unix socket the only name and port are those that the client asked for. */
function serverOf(authority: string, scheme: "http" | "https"): string {
  const [, name = "", port] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? [];
  return `\nSERVER_NAME\n${name === "" ? "localhost" : name}\nSERVER_PORT\n${port ?? (scheme === "https" ? "443" : "80")}`;
}

/** Has an earlier field the same key? Names are interned, so keys compare by identity in practice. */
function repeats({ headers: { names } }: RequestHead, at: number): boolean {
  const { key } = names[at]!;
  for (let i = 0; i < at; i++) if (names[i]!.key === key) return true;
  return false;
}

/** The values of later fields of the same name: one list (RFC 9110 5.2), cookies with their own separator (RFC 6265 5.4). */
function writeFurther(to: Pick<TextWriter, "text">, { headers: { names, values } }: RequestHead, at: number): void {
  const { key } = names[at]!;
  for (let i = at + 1; i < names.length; i++) {
    if (names[i]!.key !== key) continue;
    to.text(key === "HTTP_COOKIE" ? "; " : ",");
    to.text(values[i]!);
  }
}
