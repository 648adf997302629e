/** Request bodies: so many bytes (RFC 9112 6.2), or chunks (7.1). Bytes are passed on as they lie in what was received. */
import type { EngineEvent, ProtocolError, StreamId } from "../engine.ts";
import { classes, isHexDigit, isValue } from "./classes.ts";
import { FieldsReader, type Progress } from "./fields.ts";
import { invalidChunkedBody } from "./loose_field.ts";
import type { Policy } from "./policy.ts";

export interface BodyReader {
  /** After `read`: where the bytes begin that were not understood yet. */
  readonly position: number;
  readonly error: ProtocolError | undefined;
  /** True once a byte of the body has been read. */
  readonly begun: boolean;
  /** Reads from `bytes[from, to)`, adds what that means to `events`; go on with the bytes from `position`. */
  read(bytes: Buffer, from: number, to: number, events: EngineEvent[]): Progress;
}

export const noBytes = new Uint8Array(0);

function dataEvent(stream: StreamId, bytes: Buffer, from: number, to: number, end: boolean): EngineEvent {
  const part = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
  return { type: "data", stream, bytes: part, end };
}

/** A body with a Content-Length. */
export class LengthReader implements BodyReader {
  position = 0;
  readonly error = undefined;
  begun = false;
  readonly #stream: StreamId;
  #left: number;

  /** `length`: at least 1. */
  constructor(stream: StreamId, length: number) {
    this.#stream = stream;
    this.#left = length;
  }

  read(bytes: Buffer, from: number, to: number, events: EngineEvent[]): Progress {
    const end = Math.min(to, from + this.#left);
    this.#left -= end - from;
    this.begun = true;
    this.position = end;
    events.push(dataEvent(this.#stream, bytes, from, end, this.#left === 0));
    return this.#left === 0 ? "done" : "more";
  }
}

/** What the next byte of a chunked body is part of. */
type ChunkState =
  | "firstDigit"
  | "digits"
  | "blanks"
  | "extension"
  | "sizeLf"
  | "data"
  | "dataCr"
  | "dataLf"
  | "trailers";

const cr = 0x0d;
const lf = 0x0a;
const semicolon = 0x3b;
// 2^53 - 1 has 14 hexadecimal digits; some clients pad with zeros to a fixed width.
const maxSizeDigits = 16;

/** A chunked body, with its extensions (ignored, RFC 9112 7.1.1) and trailers. */
export class ChunkedReader implements BodyReader {
  position = 0;
  error: ProtocolError | undefined;
  begun = false;
  readonly #stream: StreamId;
  readonly #policy: Policy;
  #state: ChunkState = "firstDigit";
  /** The size of the chunk as far as it is read, then what is left of the chunk. */
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailers: FieldsReader | undefined;

  constructor(stream: StreamId, policy: Policy) {
    this.#stream = stream;
    this.#policy = policy;
  }

  read(bytes: Buffer, from: number, to: number, events: EngineEvent[]): Progress {
    this.begun = true;
    let at = from;
    while (at < to) {
      if (this.#state === "trailers") return this.#readTrailers(bytes, at, to, events);
      if (this.#state === "data") {
        at = this.#readData(bytes, at, to, events);
        continue;
      }
      if (!this.#step(bytes[at]!)) {
        this.position = at;
        return "refused";
      }
      at++;
    }
    this.position = at;
    return "more";
  }

  #readData(bytes: Buffer, from: number, to: number, events: EngineEvent[]): number {
    const end = Math.min(to, from + this.#size);
    events.push(dataEvent(this.#stream, bytes, from, end, false));
    this.#size -= end - from;
    if (this.#size === 0) this.#state = "dataCr";
    return end;
  }

  /** One byte of what stands around the data: chunk-size [chunk-ext] CRLF … CRLF. False if it must not be there. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case "firstDigit":
        // No sign, no "0x", no white space: a size is 1*HEXDIG.
        this.#size = 0;
        this.#digits = 0;
        this.#state = "digits";
        return this.#addDigit(byte);
      case "digits":
        if (byte === cr) this.#state = "sizeLf";
        else if (byte === semicolon) this.#state = "extension";
        else if (byte === 0x20 || byte === 0x09) this.#state = "blanks";
        else return this.#addDigit(byte);
        return true;
      case "blanks":
        // RFC 9112 7.1.1: blanks may stand before an extension, not alone.
        if (byte === semicolon) this.#state = "extension";
        else if (byte !== 0x20 && byte !== 0x09) return this.#refuse("7.1.1", "white space after a chunk size");
        return this.#countExtension();
      case "extension":
        // A bare CR or LF here ends the line for some readers and not for others.
        if (byte === cr) this.#state = "sizeLf";
        else if ((classes[byte]! & isValue) === 0)
          return this.#refuse("7.1.1", "control character in a chunk extension");
        return this.#countExtension();
      case "sizeLf":
        if (byte !== lf) return this.#refuse("7.1", "bare CR after a chunk size");
        this.#state = this.#size === 0 ? "trailers" : "data";
        return true;
      case "dataCr":
        if (byte !== cr) return this.#refuse("7.1", "chunk longer than its size");
        this.#state = "dataLf";
        return true;
      default:
        if (byte !== lf) return this.#refuse("7.1", "bare CR after a chunk");
        this.#state = "firstDigit";
        return true;
    }
  }

  #addDigit(byte: number): boolean {
    if ((classes[byte]! & isHexDigit) === 0) return this.#refuse("7.1", "invalid chunk size");
    this.#digits++;
    // Letters: 0x41 and 0x61 and following; their low four bits begin at 1.
    this.#size = this.#size * 16 + (byte < 0x40 ? byte & 15 : (byte & 15) + 9);
    if (this.#digits <= maxSizeDigits && this.#size <= Number.MAX_SAFE_INTEGER) return true;
    return this.#refuse("7.1", "chunk size too large");
  }

  #countExtension(): boolean {
    this.#extensionBytes++;
    if (this.#extensionBytes <= this.#policy.chunkExtensionsLimit) return true;
    return this.#refuse("7.1.1", "chunk extensions too long");
  }

  /** RFC 9112 7.1.2: trailers are kept apart from the fields of the head, always. */
  #readTrailers(bytes: Buffer, from: number, to: number, events: EngineEvent[]): Progress {
    this.#trailers ??= new FieldsReader(this.#policy, true);
    const trailers = this.#trailers;
    const progress = trailers.read(bytes, from, to);
    this.position = trailers.position;
    this.error = trailers.error;
    if (progress !== "done") return progress;
    const stream = this.#stream;
    if (trailers.headers.size > 0) events.push({ type: "trailers", stream, headers: trailers.headers });
    else events.push({ type: "data", stream, bytes: noBytes, end: true });
    return "done";
  }

  #refuse(section: string, detail: string): false {
    this.error = {
      status: 400,
      rule: `RFC 9112 ${section}`,
      detail: this.#policy.looseHead ? invalidChunkedBody : detail,
    };
    return false;
  }
}
