/** One request on its way through the app side: from the dispatcher over a link to a Python worker, and back as a Reply. */
import { closeSync, fstatSync, openSync } from "node:fs";
import { reasons } from "../http/h1/reasons.ts";
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, HttpFailure, type Reply, type RequestHead, type ResponseHead } from "../http/message.ts";
import type { TextWriter } from "./environ.ts";
import type { Link } from "./link.ts";
import { Spool } from "./spool.ts";

/** The application gave no answer: 500: it said so; 502: its worker is gone; 503: no worker was free in time; 504: it took too long. */
export class AppFailure extends HttpFailure {}

/** Who has a request for an application. */
export interface Caller {
  readonly request: RequestHead;
  /** GET and the like (RFC 9110 9.2.1): may be run again if a worker dies before its answer has left. */
  readonly safe: boolean;
  /** Inline, or the path of the file that holds it. */
  readonly body: Uint8Array | string | undefined;
  /** Of the REQUEST frame. */
  readonly flags: number;
  /** When the request began, by `performance.now()`. */
  readonly startedAt: number;
  /** Writes the environ list into a frame. */
  writeEnviron(to: TextWriter): void;
  /** Early hints, ahead of the reply (RFC 8297). */
  onHints(headers: Headers): void;
}

export class Call {
  readonly caller: Caller;
  readonly reply: Promise<Reply>;
  #resolve!: (reply: Reply) => void;
  #reject!: (failure: AppFailure) => void;
  /** Where it has been given to; undefined: it still waits. */
  link: Link | undefined = undefined;
  id = 0;
  /** ms of CLOCK_MONOTONIC when it began to wait; 0: it has not. */
  queuedAt = 0;
  /** For how long it has waited for a free worker, ms. */
  waitedMs = 0;
  /** Set between HEAD and the frame that tells what kind of body follows. */
  #head: ResponseHead | undefined = undefined;
  #spool: Spool | undefined = undefined;
  cancelled = false;

  constructor(caller: Caller) {
    this.caller = caller;
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The worker's process number; 0: it has not been given to one. */
  get pid(): number {
    return this.link?.pid ?? 0;
  }

  /** For log lines: "GET /path". */
  get label(): string {
    const { method, path } = this.caller.request;
    return `${method} ${path}`;
  }

  /** Nothing of the answer has arrived: the call can be given to another worker. */
  get untouched(): boolean {
    return this.#head === undefined && this.#spool === undefined;
  }

  /** The client is gone. */
  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.link?.cancel(this);
    this.#reject(new AppFailure(502, "the client has gone"));
  }

  /** Passes early hints on: `name\nvalue…`. */
  hint(list: string): void {
    if (this.cancelled) return;
    const headers = new Headers();
    const fields = list.split("\n");
    for (let i = 0; i + 1 < fields.length; i += 2) headers.add(fields[i]!, fields[i + 1]!);
    this.caller.onHints(headers);
  }

  answer(status: number, head: string, bytes: Uint8Array): void {
    this.#resolve({
      head: responseHead(status, head),
      body: bytes.length === 0 ? emptyBody : { kind: "bytes", bytes },
    });
  }

  begin(status: number, head: string): void {
    this.#head = responseHead(status, head);
  }

  push(bytes: Uint8Array): void {
    this.#stream()?.push(bytes);
  }

  end(): void {
    if (this.#head !== undefined) this.#resolveWith(emptyBody);
    else this.#spool?.end();
  }

  /** The rest of the body is a part of a file. */
  file(path: string, offset: number, length: number): void {
    try {
      const fd = openSync(path, "r");
      const present = fstatSync(fd).size - offset;
      this.#resolveWith({
        kind: "file",
        file: { fd, release: () => closeSync(fd) },
        offset,
        length: Math.max(Math.min(length, present), 0),
      });
    } catch (error) {
      this.fail(new AppFailure(500, `wsgi.file_wrapper: ${(error as Error).message}`));
    }
  }

  fail(failure: AppFailure): void {
    this.#head = undefined;
    if (this.#spool !== undefined) this.#spool.fail(failure.message);
    else this.#reject(failure);
  }

  #resolveWith(body: Body): void {
    const head = this.#head;
    this.#head = undefined;
    if (head !== undefined) this.#resolve({ head, body, isJudged: true });
  }

  #stream(): Spool | undefined {
    if (this.#spool === undefined && this.#head !== undefined) {
      this.#spool = new Spool({ credit: (bytes) => this.link?.credit(this, bytes), cancel: () => this.cancel() });
      this.#resolveWith({ kind: "stream", source: this.#spool });
    }
    return this.#spool;
  }
}

// Applications repeat their heads: the ones seen lately are kept as they were read. Bounded in number and size.
const maxHeads = 512;
const maxHeadLength = 1024;
const heads = new Map<string, { readonly reason: string; readonly headers: Headers }>();

/** From `reason\nname\nvalue…`, already checked by the worker. */
function responseHead(status: number, list: string): ResponseHead {
  const { reason, headers } = heads.get(list) ?? readHead(list);
  return reason === "" || reason === reasons[status] ? { status, headers } : { status, reason, headers };
}

function readHead(list: string): { readonly reason: string; readonly headers: Headers } {
  const headers = new Headers();
  const [reason = "", ...fields] = list.split("\n");
  for (let i = 0; i + 1 < fields.length; i += 2) headers.add(fields[i]!, fields[i + 1]!);
  const head = { reason, headers };
  if (list.length > maxHeadLength) return head;
  headers.shared = true;
  if (heads.size >= maxHeads) heads.clear();
  heads.set(list, head);
  return head;
}
