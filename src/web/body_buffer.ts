/** Collects a request's body for a handler: in memory while small, then in a temporary file without a name. */
import { closeSync, writeSync } from "node:fs";
import { unnamedFile } from "../app/spool.ts";
import { HttpFailure } from "../http/message.ts";
import type { BufferedBody, RequestBody } from "./request_body.ts";

/** Above this a body goes to a file; up to it, it travels inline to the application (Nginx's client_body_buffer_size is 16k). */
const maxMemoryBytes = 64 * 1024;

export class BodyBuffer implements RequestBody {
  readonly #onWanted: () => void;
  #pieces: Uint8Array[] = [];
  #length = 0;
  #fd = -1;
  #state: "unread" | "reading" | "done" = "unread";
  #resolve: ((body: BufferedBody) => void) | undefined;
  #reject: ((failure: HttpFailure) => void) | undefined;

  /** `onWanted`: a handler asks for the body; the client may be waiting for that (100 Continue). */
  constructor(onWanted: () => void) {
    this.#onWanted = onWanted;
  }

  read(): Promise<BufferedBody> {
    this.#state = "reading";
    this.#onWanted();
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** From the connection. A body that nobody reads is dropped here. */
  push(bytes: Uint8Array, last: boolean): void {
    if (this.#state !== "reading") return;
    if (this.#fd < 0 && this.#length + bytes.length > maxMemoryBytes) {
      this.#fd = unnamedFile();
      for (const piece of this.#pieces) writeSync(this.#fd, piece);
      this.#pieces = [];
    }
    // A body that comes in one piece is passed on as it is; what has to wait for more is copied, so that it does not hold a whole read.
    if (this.#fd >= 0) writeSync(this.#fd, bytes);
    else if (bytes.length > 0) this.#pieces.push(last && this.#length === 0 ? bytes : new Uint8Array(bytes));
    this.#length += bytes.length;
    if (last) this.#finish();
  }

  #finish(): void {
    this.#state = "done";
    if (this.#fd >= 0) {
      this.#resolve?.({ kind: "file", fd: this.#fd, length: this.#length });
      return;
    }
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#length);
    this.#pieces = [];
    this.#resolve?.({ kind: "bytes", bytes });
  }

  /** From the connection: the client gave up, broke a rule or was too slow. */
  fail(status: number, reason: string): void {
    if (this.#state === "reading") this.#reject?.(new HttpFailure(status, reason));
    this.#state = "done";
    this.release();
  }

  release(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#pieces = [];
  }
}
