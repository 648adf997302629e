/**
 * A part of a file as a `Source`.
 *
 * Pieces that the page cache holds are read at once: for those, a thread costs as much as the copying itself (on this
 * machine 130 µs of CPU per MiB instead of 70, bench/micro/static.ts). What must come from a disk is read by the
 * runtime's threads, so that nobody else waits for it.
 */
import { read } from "node:fs";
import type { OpenFile, Sink, Source } from "../http/message.ts";
import { readCached } from "../net/libc.ts";

/** First piece, and every piece for a slow reader: what a client that stops reading makes us hold. */
const smallPiece = 64 * 1024;
/** Piece for a fast reader: larger ones leave the processor's cache and are not faster. */
const largePiece = 256 * 1024;
/** Who asks for the next piece within this time of the last is fast. */
const fastMs = 100;

/** Reads without waiting: the count of bytes, 0 at the file's end, -1 if it would have to wait. */
export type ReadCached = (fd: number, into: Uint8Array, length: number, offset: number) => number;

/** Reads `length` bytes from `offset`; releases the file at the end, on failure and when cancelled. */
export function fileSource(
  { file, offset, length }: { readonly file: OpenFile; readonly offset: number; readonly length: number },
  readNow: ReadCached = readCached,
): Source {
  return new FileSource(file, offset, offset + length, readNow);
}

class FileSource implements Source {
  readonly #file: OpenFile;
  readonly #readNow: ReadCached;
  readonly #end: number;
  #offset: number;
  #state: "idle" | "reading" | "cancelled" | "done" = "idle";
  /** Used again for each piece: by asking for the next, the reader says that it is done with the last. */
  #buffer: Uint8Array = none;
  #pushedAt = -Infinity;

  constructor(file: OpenFile, offset: number, end: number, readNow: ReadCached) {
    this.#file = file;
    this.#offset = offset;
    this.#end = end;
    this.#readNow = readNow;
  }

  pull(to: Sink): void {
    if (this.#state !== "idle") return;
    const length = this.#nextLength();
    if (length === 0) {
      this.#finish();
      to.push(none, true);
      return;
    }
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafeSlow(length);
    const count = this.#readNow(this.#file.fd, this.#buffer, length, this.#offset);
    if (count >= 0) this.#push(count, to);
    else this.#readLater(length, to);
  }

  cancel(): void {
    // A read under way still needs the descriptor: another file could get its number.
    if (this.#state === "reading") this.#state = "cancelled";
    else if (this.#state === "idle") this.#finish();
  }

  #nextLength(): number {
    const isFast = performance.now() - this.#pushedAt < fastMs;
    return Math.min(isFast ? largePiece : smallPiece, this.#end - this.#offset);
  }

  #readLater(length: number, to: Sink): void {
    this.#state = "reading";
    read(this.#file.fd, this.#buffer, 0, length, this.#offset, (error, count) => {
      const wasCancelled = this.#state === "cancelled";
      this.#state = "idle";
      if (wasCancelled) this.#finish();
      else if (error !== null) this.#fail(error.message, to);
      else this.#push(count, to);
    });
  }

  #push(count: number, to: Sink): void {
    // The head has promised more.
    if (count === 0) {
      this.#fail(`a file became shorter while it was sent: nothing at ${this.#offset}, ${this.#end} expected`, to);
      return;
    }
    this.#offset += count;
    this.#pushedAt = performance.now();
    const last = this.#offset === this.#end;
    const bytes = this.#buffer.subarray(0, count);
    if (last) this.#finish();
    to.push(bytes, last);
  }

  #fail(reason: string, to: Sink): void {
    this.#finish();
    to.fail(reason);
  }

  #finish(): void {
    this.#state = "done";
    this.#buffer = none;
    this.#file.release();
  }
}

const none = new Uint8Array(0);
