/** proxy_buffering: an upstream is read as fast as it answers, so that a slow client does not occupy it. */
import { closeSync, read, writeSync } from "node:fs";
import { unnamedFile } from "../../app/spool.ts";
import type { Sink, Source } from "../../http/message.ts";

export interface BufferingLimits {
  /** How much of a response is kept in memory (`proxy_buffers`). */
  readonly memoryBytes: number;
  /** … and then in a file (`proxy_max_temp_file_size`); 0: nothing, the upstream waits. */
  readonly fileBytes: number;
  /** Told once, when a file is begun. */
  onFile(): void;
}

const readBytes = 256 * 1024;
const nothing = new Uint8Array(0);

/** A body that is read ahead of its reader, into memory and then into a file without a name. */
export class ReadAhead implements Source, Sink {
  readonly #source: Source;
  readonly #limits: BufferingLimits;
  #memory: Uint8Array[] = [];
  #memoryBytes = 0;
  /** -1: nothing is in a file. What is in it comes after what is in memory. */
  #fd = -1;
  #written = 0;
  #readFrom = 0;
  #reading = false;
  /** A piece is on its way from the source; or it was not asked for, because there is no room. */
  #pulling = false;
  #looping = false;
  #ended = false;
  #failure: string | undefined;
  #waiting: Sink | undefined;
  #cancelled = false;

  constructor(source: Source, limits: BufferingLimits) {
    this.#source = source;
    this.#limits = limits;
    this.#pull();
  }

  /** A loop: sources may answer at once. */
  #pull(): void {
    if (this.#looping) return;
    this.#looping = true;
    while (!this.#pulling && !this.#ended && !this.#cancelled && this.#failure === undefined && this.#hasRoom()) {
      this.#pulling = true;
      this.#source.pull(this);
    }
    this.#looping = false;
  }

  #hasRoom(): boolean {
    const { memoryBytes, fileBytes } = this.#limits;
    return this.#memoryBytes < memoryBytes || this.#written - this.#readFrom < fileBytes;
  }

  // From the source.

  push(bytes: Uint8Array, last: boolean): void {
    this.#pulling = false;
    if (this.#cancelled) return;
    this.#ended = last;
    if (bytes.length > 0) this.#keep(bytes);
    this.#give();
    this.#pull();
  }

  #keep(bytes: Uint8Array): void {
    const { memoryBytes, fileBytes } = this.#limits;
    const fits = this.#memoryBytes === 0 || this.#memoryBytes + bytes.length <= memoryBytes;
    if (this.#fd < 0 && (fits || fileBytes === 0 || this.#waiting !== undefined)) {
      this.#memory.push(bytes);
      this.#memoryBytes += bytes.length;
      return;
    }
    if (this.#fd < 0) {
      this.#fd = unnamedFile();
      if (this.#written === 0) this.#limits.onFile();
    }
    writeSync(this.#fd, bytes, 0, bytes.length, this.#written);
    this.#written += bytes.length;
  }

  fail(reason: string): void {
    this.#pulling = false;
    this.#failure = reason;
    this.#give();
  }

  // From the reader.

  pull(to: Sink): void {
    this.#waiting = to;
    this.#give();
    this.#pull();
  }

  cancel(reason: string): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#waiting = undefined;
    this.#memory = [];
    if (!this.#reading) this.#closeFile();
    if (!this.#ended && this.#failure === undefined) this.#source.cancel(reason);
  }

  #give(): void {
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

  #readFile(): void {
    this.#reading = true;
    const length = Math.min(readBytes, this.#written - this.#readFrom);
    read(this.#fd, Buffer.allocUnsafeSlow(length), 0, length, this.#readFrom, (error, got, bytes) => {
      this.#reading = false;
      if (this.#cancelled) return this.#closeFile();
      const to = this.#waiting;
      this.#waiting = undefined;
      if (error !== null || got === 0) {
        this.cancel("its temporary file cannot be read");
        to?.fail(`temporary file: ${error?.message ?? "it ended early"}`);
        return;
      }
      this.#readFrom += got;
      if (this.#readFrom === this.#written) this.#closeFile();
      to?.push(bytes.subarray(0, got), this.#ended && this.#fd < 0);
      this.#pull();
    });
  }

  #closeFile(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    this.#written = 0;
    this.#readFrom = 0;
  }
}
