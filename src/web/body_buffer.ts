/** Collects a request's body for a handler: in memory while small, then in a temporary file; or hands it on as it comes. */
import { closeSync, mkdirSync, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { unnamedFile } from "../base/overflow_file.ts";
import { HttpFailure, type Sink, type Source } from "../http/message.ts";
import { sourceOf } from "./body_change.ts";
import type { ClientLimits } from "./limits.ts";
import type { BufferedBody, RequestBody } from "./request_body.ts";

type State = "unread" | "reading" | "streaming" | "done";

/** What the connection does for a body that is read. */
export interface BodyOwner {
  /** A handler asks for the body; the client may be waiting for that (100 Continue). */
  onBodyWanted(): void;
  /** Stop reading from the client, or go on. */
  pauseBody(paused: boolean): void;
}

export class BodyBuffer implements RequestBody, Source {
  readonly #owner: BodyOwner;
  #pieces: Uint8Array[] = [];
  #length = 0;
  received = 0;
  #limits: ClientLimits | undefined;
  #fd = -1;
  #path: string | undefined;
  #state: State = "unread";
  /** The connection, and whoever else holds it. */
  #holders = 1;
  whole: BufferedBody | undefined = undefined;
  #reading: Promise<BufferedBody> | undefined;
  #resolve: ((body: BufferedBody) => void) | undefined;
  #reject: ((failure: HttpFailure) => void) | undefined;
  /** What came before anybody had asked for it; the rest waits on the line. */
  #early: { readonly bytes: Uint8Array; readonly last: boolean }[] | undefined;
  // While it is streamed:
  #sink: Sink | undefined;
  #pulled = false;
  #ended = false;
  #isLost = false;
  #failure: string | undefined;

  constructor(owner: BodyOwner) {
    this.#owner = owner;
  }

  read(limits: ClientLimits): Promise<BufferedBody> {
    // An error page's handler asks again: of what was lost there is nothing.
    if (this.#isLost) return Promise.resolve(noBody);
    if (this.#reading !== undefined) return this.#reading;
    this.#limits = limits;
    this.#state = "reading";
    this.#owner.onBodyWanted();
    this.#reading = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#takeEarly();
    return this.#reading;
  }

  stream(limits: ClientLimits): Source {
    if (this.#isLost) return new WholeSource(Promise.resolve(noBody));
    if (this.#reading !== undefined) return new WholeSource(this.#reading);
    this.#limits = limits;
    this.#state = "streaming";
    this.#owner.onBodyWanted();
    this.#takeEarly();
    return this;
  }

  #takeEarly(): void {
    const early = this.#early;
    if (early === undefined) return;
    this.#early = undefined;
    this.received = 0;
    if (this.#state === "reading") this.#owner.pauseBody(false);
    for (const { bytes, last } of early) this.push(bytes, last);
  }

  /** From the connection. A body that nobody reads any more is dropped here. */
  push(bytes: Uint8Array, last: boolean): void {
    this.received += bytes.length;
    if (this.#state === "unread") {
      this.#early ??= [];
      this.#early.push({ bytes: new Uint8Array(bytes), last });
      if (!last) this.#owner.pauseBody(true);
      return;
    }
    const most = this.#limits?.maxBodyBytes ?? 0;
    if (most > 0 && this.received > most)
      return this.fail(413, `client intended to send too large chunked body: ${this.received} bytes`);
    if (this.#state === "reading") this.#keepOrFail(bytes, last);
    else if (this.#state === "streaming") this.#pass(bytes, last);
  }

  #keepOrFail(bytes: Uint8Array, last: boolean): void {
    try {
      this.#keep(bytes, last);
    } catch (error) {
      this.fail(500, `a body cannot be kept: ${(error as Error).message}`);
    }
  }

  #keep(bytes: Uint8Array, last: boolean): void {
    const { bodyBufferBytes = 0, bodyInFile = "off" } = this.#limits ?? {};
    if (this.#fd < 0 && (bodyInFile !== "off" || this.#length + bytes.length > bodyBufferBytes))
      this.#toFile(bodyInFile !== "off");
    // A body that comes in one piece is passed on as it is; what has to wait for more is copied, so that it does not hold a whole read.
    if (this.#fd >= 0) writeSync(this.#fd, bytes);
    else if (bytes.length > 0) this.#pieces.push(last && this.#length === 0 ? bytes : new Uint8Array(bytes));
    this.#length += bytes.length;
    if (last) this.#finish();
  }

  /** `named`: somebody wants to find the file (`client_body_in_file_only`). */
  #toFile(named: boolean): void {
    if (named) {
      this.#path = newName(this.#limits?.bodyTempPath ?? "");
      this.#fd = openSync(this.#path, "wx+", 0o600);
    } else this.#fd = unnamedFile();
    for (const piece of this.#pieces) writeSync(this.#fd, piece);
    this.#pieces = [];
  }

  #finish(): void {
    this.#state = "done";
    if (this.#fd >= 0) this.whole = { kind: "file", fd: this.#fd, length: this.#length, path: this.#path };
    else {
      const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#length);
      this.#pieces = [];
      this.whole = { kind: "bytes", bytes };
    }
    this.#resolve?.(this.whole);
  }

  #pass(bytes: Uint8Array, last: boolean): void {
    this.#ended = last;
    const sink = this.#sink;
    if (sink === undefined) {
      if (bytes.length > 0) this.#pieces.push(new Uint8Array(bytes));
      // All of it came before anybody had asked for a piece.
      if (last && !this.#pulled) this.whole = { kind: "bytes", bytes: Buffer.concat(this.#pieces) };
      // What follows the end is no part of it.
      if (!last) this.#owner.pauseBody(true);
      return;
    }
    this.#sink = undefined;
    if (last) this.#state = "done";
    sink.push(bytes, last);
    if (!last && this.#sink === undefined) this.#owner.pauseBody(true);
  }

  pull(to: Sink): void {
    this.#pulled = true;
    if (this.#failure !== undefined) return to.fail(this.#failure);
    if (this.#pieces.length > 0 || this.#ended) {
      const bytes = Buffer.concat(this.#pieces);
      this.#pieces = [];
      if (this.#ended) this.#state = "done";
      to.push(bytes, this.#ended);
      return;
    }
    this.#sink = to;
    this.#owner.pauseBody(false);
  }

  cancel(): void {
    this.#sink = undefined;
    this.#pieces = [];
    if (this.#state === "streaming") this.#state = "done";
    this.#owner.pauseBody(false);
  }

  /** From the connection: the client gave up, broke a rule or was too slow. */
  fail(status: number, reason: string): void {
    if (this.#state !== "done") this.#isLost = true;
    if (this.#state === "reading") this.#reject?.(new HttpFailure(status, reason));
    else if (this.#state === "streaming") {
      this.#failure = reason;
      this.#sink?.fail(reason);
      this.#sink = undefined;
    }
    // A body that is whole may still be somebody's.
    if (this.#state !== "done") this.#dispose();
    this.#state = "done";
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.#dispose();
  }

  #dispose(): void {
    this.#early = undefined;
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#pieces = [];
    if (this.#path === undefined || this.#limits?.bodyInFile === "on") return;
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody has moved it away.
    }
    this.#path = undefined;
  }
}

const noBody: BufferedBody = { kind: "bytes", bytes: new Uint8Array(0) };

/** A body that has been read (or is being), for who would rather have streamed it. */
class WholeSource implements Source {
  readonly #reading: Promise<BufferedBody>;
  #source: Source | undefined;

  constructor(reading: Promise<BufferedBody>) {
    this.#reading = reading;
  }

  pull(to: Sink): void {
    if (this.#source !== undefined) return this.#source.pull(to);
    this.#reading.then(
      (body) => {
        this.#source = sourceOf(
          body.kind === "bytes" ? body : { ...body, file: { fd: body.fd, release() {} }, offset: 0 },
        );
        this.#source.pull(to);
      },
      (failure: HttpFailure) => to.fail(failure.message),
    );
  }

  cancel(reason: string): void {
    this.#source?.cancel(reason);
  }
}

let lastName = 0;

/** As Nginx names them: ten digits, counted up. */
function newName(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  lastName++;
  return join(directory, `${process.pid}-${String(lastName).padStart(10, "0")}`);
}
