/**
 * The uwsgi protocol in front of HTTP (`wire_protocol uwsgi`): a packet of variables, from which a request's head is made
 * that the engine then checks like any other; what follows is the body. The answer is plain HTTP, as the protocol has it.
 */
import type { Timed } from "../base/timers.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import type { Service } from "./service.ts";

const headerTimeoutMs = 60_000;
const fixedBytes = 4;
/** As many as Gunicorn takes. */
const mostVariables = 1000;

export class UwsgiPreface implements TransportHandler, Timed {
  readonly #transport: Transport;
  readonly #service: Service;
  readonly #allows: (peerAddress: string) => boolean;
  readonly #accept: () => TransportHandler;
  #bytes: Uint8Array = new Uint8Array(0);
  #next: TransportHandler | undefined;
  #refused = false;
  deadline = 0;
  tick = -1;

  constructor(
    transport: Transport,
    service: Service,
    allows: (peerAddress: string) => boolean,
    accept: () => TransportHandler,
  ) {
    this.#transport = transport;
    this.#service = service;
    this.#allows = allows;
    this.#accept = accept;
    service.timers.set(this, headerTimeoutMs);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#next !== undefined) return this.#next.onBytes(bytes);
    if (this.#refused) return;
    if (!this.#allows(this.#transport.peerAddress))
      return this.#refuse("403 Forbidden", "a peer that may not speak uwsgi");
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    if (this.#bytes.length < fixedBytes) return;
    const view = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    if (view[0] !== 0) return this.#refuse("501 Not Implemented", `uwsgi modifier ${view[0]}`);
    const end = fixedBytes + view.readUInt16LE(1);
    if (view.length < end) return;
    const variables = readVariables(view.subarray(fixedBytes, end));
    const head = variables === undefined ? undefined : headOf(variables);
    if (head === undefined) return this.#refuse("400 Bad Request", "a broken uwsgi packet");
    this.#service.timers.remove(this);
    const rest = view.subarray(end);
    this.#bytes = new Uint8Array(0);
    this.#next = this.#accept();
    this.#next.onBytes(Buffer.concat([Buffer.from(head, "latin1"), rest]));
  }

  #refuse(status: string, why: string): void {
    this.#refused = true;
    this.#service.log.log("warn", `Invalid request from ip=${this.#transport.peerAddress}: ${why}`);
    this.#transport.write([`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`]);
    this.#transport.end();
  }

  onEnd(): void {
    if (this.#next !== undefined) this.#next.onEnd();
    else this.#transport.end();
  }

  onDrain(): void {
    this.#next?.onDrain();
  }

  onClose(): void {
    this.#service.timers.remove(this);
    if (this.#next !== undefined) this.#next.onClose();
    else this.#service.counters.add(this.#service.lane, "active", -1);
  }

  onTimeout(): void {
    this.#transport.abort();
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
