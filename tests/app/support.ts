/** What the tests of applications share: the fixture applications, raw responses, gates, and how much memory a server takes. */
import { closeSync, constants, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { type Directory, root } from "../support/server.ts";
import { Client } from "../support/socket.ts";

/** The interpreter with the frameworks in it (scripts/test.js makes it). */
export const python = join(root, "tests/.venv/bin/python");

/** Arguments that serve an application of tests/apps. */
export const fixture = (app: string, ...options: string[]): string[] => [
  "--python",
  python,
  "--chdir",
  join(root, "tests/apps"),
  ...options,
  app,
];

export const get = (path: string, ...fields: string[]): string => request("GET", path, fields);

export function request(method: string, path: string, fields: readonly string[], body = ""): string {
  return [`${method} ${path} HTTP/1.1`, "Host: test", ...fields, "", body].join("\r\n");
}

/** A response as it was on the wire. */
export interface RawResponse {
  readonly statusLine: string;
  readonly status: number;
  /** In order, as written. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Values of the field of this name, joined; undefined: there is none. */
  field(name: string): string | undefined;
  readonly body: string;
  /** The chunks that `body` came in; undefined: it was not chunked. */
  readonly chunks: readonly string[] | undefined;
  /** What follows the response. */
  readonly rest: string;
}

/** Reads one response from its start; undefined: it is not complete yet. `closed`: nothing more will come. */
function parseResponse(text: string, method: string, closed: boolean): RawResponse | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [statusLine = "", ...lines] = text.slice(0, headEnd).split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
  const fields = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  const field = (name: string): string | undefined => {
    const values = fields.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
    return values.length === 0 ? undefined : values.join(", ");
  };
  const rest = text.slice(headEnd + 4);
  const head = { statusLine, status, fields, field };
  if (method === "HEAD" || status === 204 || status === 304 || status < 200)
    return { ...head, body: "", chunks: undefined, rest };
  if (field("transfer-encoding") === "chunked") {
    const read = readChunks(rest);
    return read && { ...head, body: read.chunks.join(""), ...read };
  }
  const length = Number(field("content-length") ?? Number.NaN);
  if (Number.isNaN(length)) return closed ? { ...head, body: rest, chunks: undefined, rest: "" } : undefined;
  if (rest.length < length) return undefined;
  return { ...head, body: rest.slice(0, length), chunks: undefined, rest: rest.slice(length) };
}

function readChunks(text: string): { chunks: string[]; rest: string } | undefined {
  const chunks: string[] = [];
  let at = 0;
  for (;;) {
    const size = /^([\da-f]+)\r\n/i.exec(text.slice(at, at + 20));
    if (size === null) return undefined;
    at += size[0].length;
    const length = Number.parseInt(size[1] ?? "", 16);
    if (text.length < at + length + 2) return undefined;
    if (length === 0) return { chunks, rest: text.slice(at + 2) };
    chunks.push(text.slice(at, at + length));
    at += length + 2;
  }
}

/** Sends one request on an open connection and waits for its whole response; the connection can be used again. */
export async function exchange(client: Client, sent: string): Promise<RawResponse> {
  client.received = "";
  client.send(sent);
  return await response(client, sent.slice(0, sent.indexOf(" ")));
}

/** The next response on a connection. */
export async function response(client: Client, method = "GET"): Promise<RawResponse> {
  for (;;) {
    const found = parseResponse(client.received, method, client.closed);
    if (found !== undefined) return found;
    if (client.closed) throw new Error(`closed in the middle of a response: ${JSON.stringify(client.received)}`);
    await news(client.socket);
  }
}

function news(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("data", done).off("close", done);
      resolve();
    };
    socket.on("data", done).on("close", done);
  });
}

/** One request on a connection of its own. */
export async function once(target: number | string, sent: string): Promise<RawResponse> {
  using client = await Client.open(target);
  return await exchange(client, sent);
}

/**
 * A named pipe on which an application waits until the test says "go": `with open(path, "rb", 0) as gate: gate.read(1)`.
 * The test holds both its ends, so that nobody waits in open().
 */
export class Gate implements Disposable {
  readonly path: string;
  readonly #fd: number;

  constructor(directory: Directory, name: string) {
    this.path = join(directory.path, name);
    const { exitCode, stderr } = Bun.spawnSync(["mkfifo", this.path]);
    if (exitCode !== 0) throw new Error(`mkfifo: ${stderr}`);
    this.#fd = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  release(): void {
    writeSync(this.#fd, "x");
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly args: string;
}

/** A process and all below it. */
export function family(pid: number): Process[] {
  const listing = Bun.spawnSync(["ps", "-eo", "pid=,ppid=,args="]).stdout.toString();
  const all = [...listing.matchAll(/^ *(\d+) +(\d+) (.*)$/gm)].map(([, own, parent, args]) => ({
    pid: Number(own),
    parent: Number(parent),
    args: args ?? "",
  }));
  const below = (parent: number): Process[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)]);
  return [...all.filter((each) => each.pid === pid), ...below(pid)];
}

/** The highest that the memory of a server's processes has been since `reset`: their growth is what a request cost. */
export class Memory {
  readonly #pids: readonly number[];
  #before: ReadonlyMap<number, number>;

  constructor(pid: number) {
    this.#pids = family(pid).map((each) => each.pid);
    this.#before = this.#reset();
  }

  #reset(): ReadonlyMap<number, number> {
    // "5": the peak becomes the present size (proc(5), clear_refs).
    for (const pid of this.#pids) writeFileSync(`/proc/${pid}/clear_refs`, "5");
    return new Map(this.#pids.map((pid) => [pid, peak(pid)]));
  }

  /** MiB by which the process that grew most has grown at its peak. */
  get growth(): number {
    return Math.max(...this.#pids.map((pid) => peak(pid) - (this.#before.get(pid) ?? 0))) / 1024;
  }
}

function peak(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
}

/** A body for fetch() that comes in these pieces: it is sent in chunks. */
export function inPieces(bytes: Uint8Array, pieceBytes: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(to) {
      if (at >= bytes.length) to.close();
      else to.enqueue(bytes.subarray(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}
