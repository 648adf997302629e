/** Bytes that do not fit in memory: a temporary file that exists only as an open descriptor, read back in the order it was written. */
import { closeSync, openSync, read, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const readBytes = 256 * 1024;

/** Opened for reading and writing: nothing to clean up however the process ends. Throws what the system says. */
export function unnamedFile(): number {
  const path = join(tmpdir(), `alicorn-${process.pid}-${crypto.randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return fd;
}

/** Takes disk space only while there is something in it. */
export class OverflowFile {
  /** -1: empty. */
  #fd = -1;
  #written = 0;
  #readFrom = 0;
  #isReading = false;
  #isDropped = false;

  get isEmpty(): boolean {
    return this.#fd < 0;
  }

  /** A `read` is under way. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** What has been written and not read. */
  get bytes(): number {
    return this.#written - this.#readFrom;
  }

  /** Throws what the system says. */
  write(bytes: Uint8Array): void {
    if (this.#fd < 0) this.#fd = unnamedFile();
    writeSync(this.#fd, bytes, 0, bytes.length, this.#written);
    this.#written += bytes.length;
  }

  /** The next piece, of a file that is not empty; one at a time. What cannot be read is given up: the file is empty then. */
  read(done: (piece: Uint8Array) => void, failed: (reason: string) => void): void {
    this.#isReading = true;
    const length = Math.min(readBytes, this.bytes);
    read(this.#fd, Buffer.allocUnsafeSlow(length), 0, length, this.#readFrom, (error, got, buffer) => {
      this.#isReading = false;
      if (this.#isDropped) return this.#close();
      if (error !== null || got === 0) {
        this.#close();
        return failed(`temporary file: ${error?.message ?? "it ended early"}`);
      }
      this.#readFrom += got;
      if (this.bytes === 0) this.#close();
      done(buffer.subarray(0, got));
    });
  }

  /** For good: a `read` under way is not answered. */
  drop(): void {
    this.#isDropped = true;
    if (!this.#isReading) this.#close();
  }

  #close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    this.#written = 0;
    this.#readFrom = 0;
  }
}
