/**
 * The body of a streamed response between an app worker and a client that may be slower: a little in memory, then in a
 * temporary file without a name, so that a slow client does not occupy a Python worker. Past the file's limit the worker waits.
 */
import { closeSync, openSync, read, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sink, Source } from "../http/message.ts";

/** As Nginx's proxy_max_temp_file_size. */
const maxFileBytes = 1024 * 1024 * 1024;
const maxMemoryBytes = 256 * 1024;
const readBytes = 256 * 1024;

export interface SpoolOwner {
  /** The worker may send this many more bytes. */
  credit(bytes: number): void;
  /** The reader is gone. */
  cancel(reason: string): void;
}

/** A temporary file that exists only as an open descriptor: nothing to clean up however the process ends. */
export function unnamedFile(): number {
  const path = join(tmpdir(), `alicorn-${process.pid}-${crypto.randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return fd;
}

export class Spool implements Source {
  readonly #owner: SpoolOwner;
  #memory: Uint8Array[] = [];
  #memoryBytes = 0;
  /** -1: no file yet, or no longer. */
  #fd = -1;
  #written = 0;
  #readFrom = 0;
  /** Credit not given back yet, because the file is full. */
  #owed = 0;
  #ended = false;
  #failure: string | undefined;
  /** Who waits for a piece. */
  #waiting: Sink | undefined;
  #reading = false;
  #cancelled = false;

  constructor(owner: SpoolOwner) {
    this.#owner = owner;
  }

  /** From the worker: a block of the body. */
  push(bytes: Uint8Array): void {
    if (this.#cancelled) return;
    this.#owed += bytes.length;
    const waiting = this.#waiting;
    if (waiting !== undefined && !this.#reading) {
      this.#waiting = undefined;
      this.#settle();
      waiting.push(bytes, false);
      return;
    }
    if (this.#fd < 0 && this.#memoryBytes + bytes.length <= maxMemoryBytes) {
      this.#memory.push(bytes);
      this.#memoryBytes += bytes.length;
    } else this.#spill(bytes);
    if (this.#written - this.#readFrom < maxFileBytes) this.#settle();
  }

  /** From the worker: the body is complete. */
  end(): void {
    this.#ended = true;
    this.#continue();
  }

  /** From the worker or its link: the body cannot be completed. */
  fail(reason: string): void {
    this.#failure = reason;
    this.#continue();
  }

  pull(to: Sink): void {
    this.#waiting = to;
    this.#continue();
  }

  cancel(reason: string): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#waiting = undefined;
    this.#memory = [];
    if (!this.#reading) this.#closeFile();
    this.#owner.cancel(reason);
  }

  /** Gives the waiting reader what there is: memory first, since the file was begun after it. */
  #continue(): void {
    const to = this.#waiting;
    if (to === undefined || this.#reading) return;
    const next = this.#memory.shift();
    if (next !== undefined) {
      this.#memoryBytes -= next.length;
      this.#waiting = undefined;
      to.push(next, this.#ended && this.#memory.length === 0 && this.#fd < 0);
    } else if (this.#fd >= 0) this.#readFile();
    else if (this.#failure !== undefined) {
      this.#waiting = undefined;
      to.fail(this.#failure);
    } else if (this.#ended) {
      this.#waiting = undefined;
      to.push(nothing, true);
    }
  }

  #settle(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.#owner.credit(owed);
  }

  #spill(bytes: Uint8Array): void {
    if (this.#fd < 0) this.#fd = unnamedFile();
    writeSync(this.#fd, bytes, 0, bytes.length, this.#written);
    this.#written += bytes.length;
  }

  #readFile(): void {
    this.#reading = true;
    const length = Math.min(readBytes, this.#written - this.#readFrom);
    read(this.#fd, Buffer.allocUnsafeSlow(length), 0, length, this.#readFrom, (error, got, bytes) => {
      this.#reading = false;
      if (this.#cancelled) {
        this.#closeFile();
        return;
      }
      if (error !== null || got === 0) {
        this.fail(`temporary file: ${error?.message ?? "it ended early"}`);
        return;
      }
      this.#readFrom += got;
      if (this.#readFrom === this.#written) this.#closeFile();
      this.#settle();
      const to = this.#waiting;
      this.#waiting = undefined;
      to?.push(bytes.subarray(0, got), this.#ended && this.#fd < 0);
    });
  }

  #closeFile(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#written = 0;
    this.#readFrom = 0;
  }
}

const nothing = new Uint8Array(0);
