/** proxy_buffering: an upstream is read as fast as it answers, so that a slow client does not occupy it. */
import { OverflowFile } from "../../base/overflow_file.ts";
import type { Sink, Source } from "../../http/message.ts";

export interface BufferingLimits {
  /** How much of a response is kept in memory (`proxy_buffers`). */
  readonly memoryBytes: number;
  /** … and then in a file (`proxy_max_temp_file_size`); 0: nothing, the upstream waits. */
  readonly fileBytes: number;
  /** A file is begun. */
  onFile(): void;
}

const nothing = new Uint8Array(0);

/** A body that is read ahead of its reader, into memory and then into a file without a name. */
export class ReadAhead implements Source, Sink {
  readonly #source: Source;
  readonly #limits: BufferingLimits;
  #memory: Uint8Array[] = [];
  #memoryBytes = 0;
  /** What is in it comes after what is in memory. */
  readonly #file = new OverflowFile();
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
    return this.#memoryBytes < memoryBytes || this.#file.bytes < fileBytes;
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
    if (this.#file.isEmpty && (fits || fileBytes === 0 || this.#waiting !== undefined)) {
      this.#memory.push(bytes);
      this.#memoryBytes += bytes.length;
      return;
    }
    if (this.#file.isEmpty) this.#limits.onFile();
    this.#file.write(bytes);
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
    this.#file.drop();
    if (!this.#ended && this.#failure === undefined) this.#source.cancel(reason);
  }

  #give(): void {
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

  #readFile(): void {
    this.#file.read(
      (piece) => {
        const to = this.#waiting;
        this.#waiting = undefined;
        to?.push(piece, this.#ended && this.#file.isEmpty);
        this.#pull();
      },
      (reason) => {
        const to = this.#waiting;
        this.cancel("its temporary file cannot be read");
        to?.fail(reason);
      },
    );
  }
}
