/**
 * The body of a streamed response between an app worker and a client that may be slower: a little in memory, then in a
 * temporary file without a name, so that a slow client does not occupy a Python worker. Past the file's limit the worker waits.
 */
import { OverflowFile } from "../base/overflow_file.ts";
import type { Sink, Source } from "../http/message.ts";

/** As Nginx's proxy_max_temp_file_size. */
const maxFileBytes = 1024 * 1024 * 1024;
const maxMemoryBytes = 256 * 1024;

export interface SpoolOwner {
  /** The worker may send this many more bytes. */
  credit(bytes: number): void;
  /** The reader is gone. */
  cancel(reason: string): void;
}

export class Spool implements Source {
  readonly #owner: SpoolOwner;
  #memory: Uint8Array[] = [];
  #memoryBytes = 0;
  /** Begun when the memory is full: what is in it comes after what is in memory. */
  readonly #file = new OverflowFile();
  /** Credit not given back yet, because the file is full. */
  #owed = 0;
  #ended = false;
  #failure: string | undefined;
  /** Who waits for a piece. */
  #waiting: Sink | undefined;
  #cancelled = false;

  constructor(owner: SpoolOwner) {
    this.#owner = owner;
  }

  /** From the worker: a block of the body. */
  push(bytes: Uint8Array): void {
    if (this.#cancelled) return;
    this.#owed += bytes.length;
    const waiting = this.#waiting;
    if (waiting !== undefined && !this.#file.isReading) {
      this.#waiting = undefined;
      this.#settle();
      waiting.push(bytes, false);
      return;
    }
    if (this.#file.isEmpty && this.#memoryBytes + bytes.length <= maxMemoryBytes) {
      this.#memory.push(bytes);
      this.#memoryBytes += bytes.length;
    } else this.#file.write(bytes);
    if (this.#file.bytes < maxFileBytes) this.#settle();
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
    this.#file.drop();
    this.#owner.cancel(reason);
  }

  /** Gives the waiting reader what there is: memory first, since the file was begun after it. */
  #continue(): void {
    const to = this.#waiting;
    if (to === undefined || this.#file.isReading) return;
    const next = this.#memory.shift();
    if (next !== undefined) {
      this.#memoryBytes -= next.length;
      this.#waiting = undefined;
      to.push(next, this.#ended && this.#memory.length === 0 && this.#file.isEmpty);
    } else if (!this.#file.isEmpty) this.#readFile();
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

  #readFile(): void {
    this.#file.read(
      (piece) => {
        this.#settle();
        const to = this.#waiting;
        this.#waiting = undefined;
        to?.push(piece, this.#ended && this.#file.isEmpty);
      },
      (reason) => this.fail(reason),
    );
  }
}

const nothing = new Uint8Array(0);
