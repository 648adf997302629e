/** A content that is fetched in slices of one size, each when its turn comes. */
import type { Headers } from "../http/headers.ts";
import type { Body, Sink, Source } from "../http/message.ts";
import { sourceOf } from "./body_change.ts";
import { dropBody } from "./reply.ts";

/** A Content-Range (RFC 9110 14.4), the end not included. */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
  readonly complete: number;
}

/** "invalid": it is none. "incomplete": nobody knows how long the whole is. */
export function parseContentRange(value: string | undefined): ContentRange | "invalid" | "incomplete" {
  const found = /^bytes +(\d{1,15}) *- *(\d{1,15}) *\/ *(?:(\d{1,15})|\*) *$/.exec(value ?? "");
  if (found === null) return "invalid";
  const [, first, last, complete] = found;
  if (complete === undefined) return "incomplete";
  return { start: Number(first), end: Number(last) + 1, complete: Number(complete) };
}

/** Where the slice begins that a request needs first: what its Range begins with. */
export function firstSlice(asked: Headers, size: number): number {
  if (asked.has("if-range")) return 0;
  const found = /^bytes= *(\d{1,15})[^,]*$/i.exec(asked.get("range") ?? "");
  return size * Math.floor(Number(found?.[1] ?? "0") / size);
}

/** One slice: `body` has the bytes from `start` to before `end`. */
export interface Slice {
  readonly start: number;
  readonly end: number;
  readonly body: Body;
}

/** Fetches the slice that begins there. Rejects with an Error where it is not to be had. */
export type Fetch = (start: number) => Promise<Slice>;

export class SlicesSource implements Source, Sink {
  readonly #size: number;
  readonly #fetch: Fetch;
  /** The next byte to give, and the last one. */
  #at: number;
  readonly #last: number;
  /** A slice that is there already. */
  #ready: Slice | undefined;
  #current: Source | undefined;
  /** Bytes of the slice at hand that come before what is wanted; and its end. */
  #skip = 0;
  #end = 0;
  #to: Sink | undefined;
  #cancelled: string | undefined;

  /** The bytes from `first` to `last`. `ready` may be one that is not needed. */
  constructor(fetch: Fetch, size: number, range: { readonly first: number; readonly last: number }, ready: Slice) {
    this.#fetch = fetch;
    this.#size = size;
    this.#at = range.first;
    this.#last = range.last;
    this.#ready = ready;
  }

  pull(to: Sink): void {
    this.#to = to;
    if (this.#current !== undefined) return this.#current.pull(this);
    const ready = this.#takeReady();
    if (ready !== undefined) return this.#begin(ready);
    this.#fetch(this.#size * Math.floor(this.#at / this.#size)).then(
      (slice) => this.#begin(slice),
      (error: Error) => this.fail(error.message),
    );
  }

  /** The ready slice, if it has the next byte; else it is dropped. */
  #takeReady(): Slice | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready === undefined || (ready.start <= this.#at && this.#at < ready.end)) return ready;
    dropBody(ready.body, "another part was asked for");
    return undefined;
  }

  #begin({ start, end, body }: Slice): void {
    if (this.#cancelled !== undefined) return dropBody(body, this.#cancelled);
    this.#skip = this.#at - start;
    this.#end = end;
    this.#current = sourceOf(body);
    this.#current.pull(this);
  }

  push(bytes: Uint8Array, last: boolean): void {
    const from = Math.min(this.#skip, bytes.length);
    this.#skip -= from;
    const left = this.#last + 1 - this.#at;
    const piece = bytes.subarray(from, from + left);
    this.#at += piece.length;
    const isOver = this.#at > this.#last;
    if (isOver && !last) this.#current?.cancel("the rest was not asked for");
    if (isOver || last) this.#current = undefined;
    if (last && !isOver && this.#at < this.#end) return this.fail("a slice is shorter than it should be");
    if (piece.length > 0 || isOver) this.#to?.push(piece, isOver);
    else if (this.#to !== undefined) this.pull(this.#to);
  }

  fail(reason: string): void {
    if (this.#cancelled === undefined) this.#to?.fail(reason);
  }

  cancel(reason: string): void {
    this.#cancelled = reason;
    this.#current?.cancel(reason);
    if (this.#ready !== undefined) dropBody(this.#ready.body, reason);
    this.#ready = undefined;
  }
}
