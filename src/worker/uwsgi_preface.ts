/**
 * The uwsgi protocol in front of HTTP (`wire_protocol uwsgi`): a packet of variables, from which a request's head is made
 * that the engine then checks like any other; what follows is the body. The answer is plain HTTP, as the protocol has it.
 */
import { more, type PrefaceReader, refused, type Verdict } from "./preface.ts";
import type { ServedHandler } from "./service.ts";

const fixedBytes = 4;
/** As many as Gunicorn takes. */
const mostVariables = 1000;

export class UwsgiPreface implements PrefaceReader {
  readonly #allows: (peerAddress: string) => boolean;
  readonly #accept: () => ServedHandler;

  constructor(allows: (peerAddress: string) => boolean, accept: () => ServedHandler) {
    this.#allows = allows;
    this.#accept = accept;
  }

  read(bytes: Uint8Array, peerAddress: string): Verdict {
    if (!this.#allows(peerAddress)) return refused("403 Forbidden", "a peer that may not speak uwsgi");
    if (bytes.length < fixedBytes) return more;
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (view[0] !== 0) return refused("501 Not Implemented", `uwsgi modifier ${view[0]}`);
    const end = fixedBytes + view.readUInt16LE(1);
    if (view.length < end) return more;
    const variables = readVariables(view.subarray(fixedBytes, end));
    const head = variables === undefined ? undefined : headOf(variables);
    if (head === undefined) return refused("400 Bad Request", "a broken uwsgi packet");
    const rest = Buffer.concat([Buffer.from(head, "latin1"), view.subarray(end)]);
    return { kind: "understood", next: this.#accept, rest };
  }
}

/** undefined: they do not fill the packet exactly. */
export function readVariables(bytes: Buffer): Map<string, string> | undefined {
  const found = new Map<string, string>();
  let at = 0;
  const next = (): string | undefined => {
    if (at + 2 > bytes.length) return undefined;
    const length = bytes.readUInt16LE(at);
    const text = at + 2 + length > bytes.length ? undefined : bytes.latin1Slice(at + 2, at + 2 + length);
    at += 2 + length;
    return text;
  };
  while (at < bytes.length) {
    const [name, value] = [next(), next()];
    if (name === undefined || value === undefined || found.size >= mostVariables) return undefined;
    found.set(name, value);
  }
  return found;
}

/** The head of an HTTP request that says the same; undefined: a variable cannot stand in one. */
export function headOf(variables: ReadonlyMap<string, string>): string | undefined {
  const method = variables.get("REQUEST_METHOD") ?? "GET";
  const query = variables.get("QUERY_STRING") ?? "";
  const path = variables.get("REQUEST_URI") ?? encode(variables.get("PATH_INFO") ?? "/", query);
  const lines = [`${method} ${path} HTTP/1.1`, "Connection: close"];
  for (const [name, value] of variables) {
    const field = fieldName(name);
    if (field === undefined || value === "" || field === "Connection" || field === "Transfer-Encoding") continue;
    lines.push(`${field}: ${value}`);
  }
  const secure = variables.get("HTTPS");
  if (secure === "on" || secure === "1") lines.push("X-Forwarded-Proto: https");
  return lines.some((line) => /[\r\n\0]/.test(line)) ? undefined : `${lines.join("\r\n")}\r\n\r\n`;
}

const encode = (path: string, query: string): string =>
  path.replace(/[^!$&-;=@-Z_a-z~]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`) +
  (query === "" ? "" : `?${query}`);

function fieldName(variable: string): string | undefined {
  if (variable === "CONTENT_TYPE") return "Content-Type";
  if (variable === "CONTENT_LENGTH") return "Content-Length";
  if (!variable.startsWith("HTTP_")) return undefined;
  return variable
    .slice("HTTP_".length)
    .toLowerCase()
    .replace(/(^|_)(.)/g, (_, dash: string, letter: string) => (dash === "" ? "" : "-") + letter.toUpperCase());
}
