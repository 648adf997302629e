/**
 * From bytes to whole frames (RFC 9113 4.1), and from HEADERS and CONTINUATION to whole header blocks (4.3).
 *
 * Frames are understood where they lie; only one that comes in several reads is copied. DATA is not: what has come of a frame
 * is passed on as a smaller frame.
 */
import { asBuffer } from "../../base/bytes.ts";
import { broken, type ConnectionError, code, connectionError } from "./errors.ts";
import { defaultFrameSize, flag, frame, frameHeaderLength, preface, read24, read31 } from "./frames.ts";
import { flood } from "./guard.ts";
import { maxContinuations } from "./options.ts";

/** Where a frame's payload lies. */
export interface Span {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Who understands them. Whatever it returns ends the connection. */
export interface FrameHandler {
  onHeaders(stream: number, flags: number, block: Span): ConnectionError | undefined;
  onFrame(kind: number, flags: number, stream: number, payload: Span): ConnectionError | undefined;
  /** A header block begins, of which nothing has been decoded: may it? */
  onHeadersBegin(stream: number, dependsOn: number): ConnectionError | undefined;
}

/** Who is at the other end, as the log names it. */
export type PeerName = "client" | "upstream";

/** A header block of which fragments have come. */
interface Gathered {
  readonly stream: number;
  readonly flags: number;
  readonly fragments: Uint8Array[];
  length: number;
}

interface Split {
  readonly flags: number;
  readonly stream: number;
  /** Bytes that are still to come. */
  left: number;
}

export class FrameReader {
  error: ConnectionError | undefined = undefined;
  readonly #handler: FrameHandler;
  readonly #peer: PeerName;
  /** Most bytes of a header block before it is decoded. */
  maxBlock: number;
  #prefaceLeft: number;
  /** The beginning of a frame. */
  #kept: Buffer | undefined = undefined;
  #keptLength = 0;
  #gathered: Gathered | undefined = undefined;
  /** A DATA frame of which part has been passed on. */
  #split: Split | undefined = undefined;

  /** `peer`: who sends; clients begin with a preface. */
  constructor(handler: FrameHandler, peer: PeerName, maxBlock: number) {
    this.#handler = handler;
    this.#peer = peer;
    this.maxBlock = maxBlock;
    this.#prefaceLeft = peer === "client" ? preface.length : 0;
  }

  /** The stream whose head has begun to arrive; 0: none. */
  get headStream(): number {
    if (this.#gathered !== undefined) return this.#gathered.stream;
    const kept = this.#kept;
    if (kept === undefined || this.#keptLength < frameHeaderLength || kept[3] !== frame.headers) return 0;
    return read31(kept, 5);
  }

  /** A frame has begun to arrive, or a header block. */
  get isWithin(): boolean {
    return this.#kept !== undefined || this.#gathered !== undefined || this.#split !== undefined;
  }

  /** Understands what it can; false: `error` says why the connection has to end. */
  read(given: Uint8Array): boolean {
    const bytes = asBuffer(given);
    let at = 0;
    if (this.#prefaceLeft > 0) {
      at = this.#readPreface(bytes);
      if (at < 0) return false;
    }
    if (this.#kept !== undefined) {
      at = this.#complete(this.#kept, bytes, at);
      if (at < 0) return false;
    }
    if (this.#split !== undefined) {
      at = this.#dataPart(this.#split, bytes, at);
      if (at < 0) return false;
    }
    const { length } = bytes;
    while (length - at >= frameHeaderLength) {
      const size = read24(bytes, at);
      if (!this.#mayCome(bytes, at)) return false;
      if (length - at < frameHeaderLength + size) break;
      if (!this.#frame(bytes, at, size)) return false;
      at += frameHeaderLength + size;
    }
    if (at < length && !this.#splits(bytes, at)) this.#keep(bytes, at);
    return this.error === undefined;
  }

  /** Passes on what has come of a DATA frame; false: it is another frame, or one with padding, which comes whole. */
  #splits(bytes: Buffer, at: number): boolean {
    const from = at + frameHeaderLength;
    if (bytes.length < from || !this.#maySplit(bytes, at)) return false;
    this.#dataPart(this.#beginSplit(bytes, at), bytes, from);
    return true;
  }

  #maySplit(bytes: Buffer, at: number): boolean {
    return bytes[at + 3] === frame.data && (bytes[at + 4]! & flag.padded) === 0 && this.#gathered === undefined;
  }

  #beginSplit(bytes: Buffer, at: number): Split {
    const split = { flags: bytes[at + 4]!, stream: read31(bytes, at + 5), left: read24(bytes, at) };
    this.#split = split;
    return split;
  }

  /** Returns what is behind it; -1: the connection has to end. */
  #dataPart(split: Split, bytes: Buffer, from: number): number {
    const to = Math.min(from + split.left, bytes.length);
    if (to === from) return from;
    split.left -= to - from;
    const isLast = split.left === 0;
    if (isLast) this.#split = undefined;
    const flags = isLast ? split.flags : split.flags & ~flag.endStream;
    const error = this.#handler.onFrame(frame.data, flags, split.stream, { bytes, from, to });
    if (error === undefined) return to;
    this.#fail(error);
    return -1;
  }

  #readPreface(bytes: Buffer): number {
    const at = preface.length - this.#prefaceLeft;
    const count = Math.min(this.#prefaceLeft, bytes.length);
    if (preface.compare(bytes, 0, count, at, at + count) !== 0) {
      this.#fail(connectionError(code.protocolError, "RFC 9113 3.4", "client sent invalid connection preface"));
      return -1;
    }
    this.#prefaceLeft -= count;
    return count;
  }

  /** What a frame's header says by itself. */
  #mayCome(bytes: Buffer, at: number): boolean {
    const size = read24(bytes, at);
    if (size > defaultFrameSize) return this.#fail(tooLarge(size, this.#peer));
    if (bytes[at + 3] !== frame.pushPromise) return true;
    return this.#fail(broken("RFC 9113 8.4", `${this.#peer} sent PUSH_PROMISE frame`));
  }

  #keep(bytes: Buffer, at: number): void {
    const count = bytes.length - at;
    const size = count < frameHeaderLength ? 0 : read24(bytes, at);
    this.#kept = Buffer.allocUnsafeSlow(frameHeaderLength + size);
    this.#kept.set(bytes.subarray(at));
    this.#keptLength = count;
  }

  /** The frame that had begun to arrive; returns where the next begins; -1: none does. */
  #complete(begun: Buffer, bytes: Buffer, from: number): number {
    let at = from;
    let kept = begun;
    if (this.#keptLength < frameHeaderLength) {
      at = this.#fill(kept, bytes, at);
      if (this.#keptLength < frameHeaderLength) return at;
      if (!this.#mayCome(kept, 0)) return -1;
      if (read24(kept, 0) > 0 && this.#maySplit(kept, 0)) {
        this.#kept = undefined;
        this.#beginSplit(kept, 0);
        return at;
      }
      kept = Buffer.allocUnsafeSlow(frameHeaderLength + read24(kept, 0));
      kept.set(begun);
      this.#kept = kept;
    }
    at = this.#fill(kept, bytes, at);
    if (this.#keptLength < kept.length) return at;
    this.#kept = undefined;
    return this.#frame(kept, 0, kept.length - frameHeaderLength) ? at : -1;
  }

  #fill(kept: Buffer, bytes: Buffer, at: number): number {
    const count = Math.min(kept.length - this.#keptLength, bytes.length - at);
    kept.set(bytes.subarray(at, at + count), this.#keptLength);
    this.#keptLength += count;
    return at + count;
  }

  #frame(bytes: Buffer, at: number, size: number): boolean {
    const kind = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const stream = read31(bytes, at + 5);
    const from = at + frameHeaderLength;
    const payload = { bytes, from, to: from + size };
    const error =
      kind === frame.headers || kind === frame.continuation || this.#gathered !== undefined
        ? this.#blockFrame(kind, flags, stream, payload)
        : this.#handler.onFrame(kind, flags, stream, payload);
    return error === undefined || this.#fail(error);
  }

  #blockFrame(kind: number, flags: number, stream: number, payload: Span): ConnectionError | undefined {
    const gathered = this.#gathered;
    if (gathered === undefined) {
      return kind === frame.headers
        ? this.#headers(flags, stream, payload)
        : broken("RFC 9113 6.10", "CONTINUATION without HEADERS");
    }
    // RFC 9113 4.3: nothing comes between the frames of a block.
    if (kind !== frame.continuation || stream !== gathered.stream)
      return broken("RFC 9113 6.10", `${this.#peer} sent inappropriate frame while CONTINUATION was expected`);
    return this.#gather(gathered, flags, payload);
  }

  /** RFC 9113 6.2 */
  #headers(flags: number, stream: number, { bytes, from, to }: Span): ConnectionError | undefined {
    const prefix = ((flags & flag.padded) !== 0 ? 1 : 0) + ((flags & flag.priority) !== 0 ? 5 : 0);
    if (to - from < prefix) return tooSmall("HEADERS", this.#peer);
    let begin = from;
    const padding = (flags & flag.padded) !== 0 ? bytes[begin++]! : 0;
    const dependsOn = (flags & flag.priority) !== 0 ? read31(bytes, begin) : -1;
    begin = from + prefix;
    const end = to - padding;
    if (end < begin) return broken("RFC 9113 6.2", `${this.#peer} sent padded frame with incorrect length`);
    const error = this.#handler.onHeadersBegin(stream, dependsOn);
    if (error !== undefined) return error;
    const block = { bytes, from: begin, to: end };
    if ((flags & flag.endHeaders) !== 0) return this.#handler.onHeaders(stream, flags, block);
    this.#gathered = { stream, flags, fragments: [], length: 0 };
    return this.#gather(this.#gathered, flags, block);
  }

  #gather(gathered: Gathered, flags: number, { bytes, from, to }: Span): ConnectionError | undefined {
    gathered.fragments.push(new Uint8Array(bytes.subarray(from, to)));
    gathered.length += to - from;
    if (gathered.length > this.maxBlock) return flood("a header block is too large");
    if ((flags & flag.endHeaders) === 0)
      return gathered.fragments.length > maxContinuations ? flood("a header block in too many frames") : undefined;
    this.#gathered = undefined;
    const block = Buffer.concat(gathered.fragments);
    return this.#handler.onHeaders(gathered.stream, gathered.flags, { bytes: block, from: 0, to: block.length });
  }

  #fail(error: ConnectionError): false {
    this.error = error;
    return false;
  }
}

export const tooSmall = (what: string, peer: PeerName = "client"): ConnectionError =>
  connectionError(code.frameSizeError, "RFC 9113 4.2", `${peer} sent ${what} frame with incorrect length`);

const tooLarge = (size: number, peer: PeerName): ConnectionError =>
  connectionError(code.frameSizeError, "RFC 9113 4.2", `${peer} sent too large frame: ${size}`);

/** A DATA frame's bytes without their padding (RFC 9113 6.1). */
export function dataOf(flags: number, { bytes, from, to }: Span, peer: PeerName): Uint8Array | ConnectionError {
  if ((flags & flag.padded) === 0) return bytes.subarray(from, to);
  if (to === from) return tooSmall("DATA", peer);
  const end = to - bytes[from]!;
  return end > from
    ? bytes.subarray(from + 1, end)
    : broken("RFC 9113 6.1", `${peer} sent padded DATA frame with incorrect length`);
}
