/** A request as the list of environ keys and values that an app worker turns into a dictionary (PEP 3333; docs/worker-protocol.md). */
import type { Ends, RequestHead } from "../http/message.ts";

/** What the web side has found out about a request beyond its head. */
export interface EnvironFacts {
  /** The path, percent-decoded, in latin-1. */
  readonly path: string;
  readonly scheme: "http" | "https";
  /** Bytes of the body, read whole; 0: none. */
  readonly bodyLength: number;
}

/** `key\nvalue\nkey\nvalue…` in latin-1. Values cannot contain a newline: the engine has refused those. */
export function environ(request: RequestHead, ends: Ends, { path, scheme, bodyLength }: EnvironFacts): string {
  ends.environ ??= connectionEnviron(ends);
  // One expression and one loop of concatenations: the engine's rope strings make this cheaper than an array and a join.
  let list = `REQUEST_METHOD\n${request.method}\nRAW_URI\n${request.target}\nPATH_INFO\n${path}\nQUERY_STRING\n${request.query}\nSERVER_PROTOCOL\n${protocols[request.version]}\nwsgi.url_scheme\n${scheme}${ends.environ}`;
  if (ends.localPort === "") list += serverOf(request.authority, scheme);
  const { names, values } = request.headers;
  let hasLength = false;
  for (let i = 0; i < names.length; i++) {
    const { key } = names[i]!;
    // The body was read whole: its coding is gone, and its length is known.
    if (key === "HTTP_TRANSFER_ENCODING") continue;
    if (key === "CONTENT_LENGTH") {
      hasLength = true;
      if (bodyLength > 0) continue;
    }
    if (repeats(request, i)) continue;
    list += `\n${key}\n${values[i]}${further(request, i)}`;
  }
  if (bodyLength > 0) list += `\nCONTENT_LENGTH\n${bodyLength}`;
  else if (!hasLength && request.bodyLength < 0) list += "\nCONTENT_LENGTH\n0";
  return list;
}

const protocols = { 10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2.0" } as const;

function connectionEnviron(ends: Ends): string {
  const server = ends.localPort === "" ? "" : `\nSERVER_NAME\n${ends.localAddress}\nSERVER_PORT\n${ends.localPort}`;
  const port = ends.peerPort === 0 ? "" : `\nREMOTE_PORT\n${ends.peerPort}`;
  return `${server}\nREMOTE_ADDR\n${ends.peerAddress}${port}`;
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
function further({ headers: { names, values } }: RequestHead, at: number): string {
  const { key } = names[at]!;
  let rest = "";
  for (let i = at + 1; i < names.length; i++)
    if (names[i]!.key === key) rest += `${key === "HTTP_COOKIE" ? "; " : ","}${values[i]}`;
  return rest;
}
