/** One request on its way through the app side: from the dispatcher over a link to a Python worker, and back as a Reply. */
import { closeSync, fstatSync, openSync } from "node:fs";
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, HttpFailure, type Reply, type ResponseHead } from "../http/message.ts";
import type { Link } from "./link.ts";
import { Spool } from "./spool.ts";

/** The application gave no answer: 500: it said so; 502: its worker is gone; 503: no worker was free in time; 504: it took too long. */
export class AppFailure extends HttpFailure {}

export class Call {
  /** GET and the like (RFC 9110 9.2.1): may wait in front of a busy worker and be given to another one. */
  readonly safe: boolean;
  /** For log lines: "GET /path". */
  readonly label: string;
  /** The environ list, latin-1. */
  readonly environ: string;
  /** Inline, or the path of the file that holds it. */
  readonly body: Uint8Array | string | undefined;
  readonly reply: Promise<Reply>;
  #resolve!: (reply: Reply) => void;
  #reject!: (failure: AppFailure) => void;
  /** Where it has been given to; undefined: it still waits. */
  link: Link | undefined;
  id = 0;
  /** ms of `performance.now()` when it began to wait. */
  queuedAt = 0;
  /** Set between HEAD and the frame that tells what kind of body follows. */
  #head: ResponseHead | undefined;
  #spool: Spool | undefined;
  cancelled = false;

  constructor(label: string, safe: boolean, environ: string, body: Uint8Array | string | undefined) {
    this.label = label;
    this.safe = safe;
    this.environ = environ;
    this.body = body;
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
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
    if (head !== undefined) this.#resolve({ head, body });
  }

  #stream(): Spool | undefined {
    if (this.#spool === undefined && this.#head !== undefined) {
      this.#spool = new Spool({ credit: (bytes) => this.link?.credit(this, bytes), cancel: () => this.cancel() });
      this.#resolveWith({ kind: "stream", source: this.#spool });
    }
    return this.#spool;
  }
}

/** `reason\nname\nvalue…`, already checked by the worker. */
function responseHead(status: number, list: string): ResponseHead {
  const headers = new Headers();
  const parts = list.split("\n");
  for (let i = 1; i + 1 < parts.length; i += 2) headers.add(parts[i]!, parts[i + 1]!);
  const reason = parts[0]!;
  return reason === "" ? { status, headers } : { status, reason, headers };
}
