/** Several parts of one content as a multipart/byteranges body (RFC 9110 14.6). */
import type { Body, OpenFile, Sink, Source } from "../http/message.ts";
import { fileSource } from "./file_source.ts";
import { dropBody } from "./reply.ts";

/** Both ends count: 0 to 0 is one byte. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** Content of which a part can be sent. */
export type SliceableBody = Extract<Body, { kind: "bytes" | "file" }>;

export const lengthOf = ({ first, last }: ByteRange): number => last - first + 1;

/** RFC 9110 14.4 */
export const contentRange = ({ first, last }: ByteRange, size: number): string => `bytes ${first}-${last}/${size}`;

/** The part alone, in the place of the whole. */
export function sliceBody(body: SliceableBody, range: ByteRange): SliceableBody;
export function sliceBody(body: Exclude<Body, { kind: "empty" }>, range: ByteRange): Body;
export function sliceBody(body: Exclude<Body, { kind: "empty" }>, range: ByteRange): Body {
  if (body.kind === "bytes") return { kind: "bytes", bytes: body.bytes.subarray(range.first, range.last + 1) };
  if (body.kind === "file")
    return { kind: "file", file: body.file, offset: body.offset + range.first, length: lengthOf(range) };
  return { kind: "stream", source: body.part?.(range.first, range.last) ?? new PartSource(body.source, range) };
}

/** Reads past what comes before the part, and gives up what comes after it. */
class PartSource implements Source, Sink {
  readonly #whole: Source;
  readonly #range: ByteRange;
  /** Bytes of the whole that have come. */
  #at = 0;
  #to: Sink | undefined;

  constructor(whole: Source, range: ByteRange) {
    this.#whole = whole;
    this.#range = range;
  }

  pull(to: Sink): void {
    this.#to = to;
    this.#whole.pull(this);
  }

  push(bytes: Uint8Array, last: boolean): void {
    const { first, last: end } = this.#range;
    const from = Math.max(first - this.#at, 0);
    const piece = bytes.subarray(from, end + 1 - this.#at);
    this.#at += bytes.length;
    const isOver = this.#at > end;
    if (isOver && !last) this.#whole.cancel("the rest was not asked for");
    if (piece.length > 0 || isOver || last) this.#to?.push(piece, isOver || last);
    else this.#whole.pull(this);
  }

  fail(reason: string): void {
    this.#to?.fail(reason);
  }

  cancel(reason: string): void {
    if (this.#at <= this.#range.last) this.#whole.cancel(reason);
  }
}

/** A body of all the parts, with its length and the boundary between them. It takes the place of `body`. */
export function multipartBody(
  body: SliceableBody,
  ranges: readonly ByteRange[],
  { size, type }: { readonly size: number; readonly type: string | undefined },
): { readonly body: Body; readonly length: number; readonly boundary: string } {
  // Nobody can place it in a file beforehand.
  const boundary = crypto.randomUUID().replaceAll("-", "");
  const about = type === undefined ? "" : `Content-Type: ${type}\r\n`;
  const parts: Piece[] = [];
  let length = 0;
  for (const range of ranges) {
    const start = Buffer.from(
      `\r\n--${boundary}\r\n${about}Content-Range: ${contentRange(range, size)}\r\n\r\n`,
      "latin1",
    );
    parts.push(start, range);
    length += start.length + lengthOf(range);
  }
  const end = Buffer.from(`\r\n--${boundary}--\r\n`, "latin1");
  parts.push(end);
  return { body: { kind: "stream", source: new PartsSource(body, parts) }, length: length + end.length, boundary };
}

type Piece = Uint8Array | ByteRange;

/** Text between the parts, and the parts, one after the other. */
class PartsSource implements Source {
  readonly #whole: SliceableBody;
  readonly #pieces: readonly Piece[];
  #next = 0;
  /** The part of a file that is being read. */
  #part: Source | undefined;
  #isOver = false;

  constructor(whole: SliceableBody, pieces: readonly Piece[]) {
    this.#whole = whole;
    this.#pieces = pieces;
  }

  pull(to: Sink): void {
    if (this.#isOver) return;
    if (this.#part !== undefined) {
      this.#pullPart(this.#part, to);
      return;
    }
    const piece = this.#pieces[this.#next];
    this.#next++;
    if (piece === undefined) return;
    if (piece instanceof Uint8Array) {
      this.#push(piece, to);
      return;
    }
    const slice = sliceBody(this.#whole, piece);
    if (slice.kind === "bytes") {
      this.#push(slice.bytes, to);
      return;
    }
    this.#part = fileSource({ file: borrowed(slice.file), offset: slice.offset, length: slice.length });
    this.#pullPart(this.#part, to);
  }

  #pullPart(part: Source, to: Sink): void {
    part.pull({
      push: (bytes, last) => {
        if (last) this.#part = undefined;
        this.#push(bytes, to);
      },
      fail: (reason) => {
        this.#end(reason);
        to.fail(reason);
      },
    });
  }

  #push(bytes: Uint8Array, to: Sink): void {
    const last = this.#part === undefined && this.#next === this.#pieces.length;
    if (last) this.#end("sent");
    to.push(bytes, last);
  }

  cancel(reason: string): void {
    if (!this.#isOver) this.#end(reason);
  }

  #end(reason: string): void {
    this.#isOver = true;
    this.#part?.cancel(reason);
    dropBody(this.#whole, reason);
  }
}

// The parts share one file, which is released once, with the whole.
const borrowed = ({ fd }: OpenFile): OpenFile => ({ fd, release: () => {} });
