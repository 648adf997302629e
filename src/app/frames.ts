/** The worker protocol, sans-IO (docs/worker-protocol.md). Its Python twin is python/alicorn/protocol.py; tests/wire/worker-protocol.txt tests both. */

import { asBuffer } from "../base/bytes.ts";

export const frameType = {
  request: 1,
  credit: 2,
  cancel: 3,
  opened: 4,
  last: 5,
  poke: 6,
  takeBack: 7,
  hello: 16,
  response: 17,
  head: 18,
  body: 19,
  end: 20,
  file: 21,
  abort: 22,
  draining: 23,
  idle: 24,
  returned: 25,
  hints: 26,
} as const;

export const headerBytes = 12;
/** In a REQUEST: the body is in a file, whose path the frame carries. */
export const bodyInFile = 1;
/** In a REQUEST: PATH_INFO is still percent-encoded, because decoded it has a line feed, which separates the list. */
export const pathEncoded = 2;

/** Who receives what the app worker says. `bytes` belong to the receiver. */
export interface FrameHandler {
  onHello(secret: string, slot: number, pid: number): void;
  onResponse(id: number, status: number, head: string, body: Uint8Array): void;
  onHead(id: number, status: number, head: string): void;
  onBody(id: number, bytes: Uint8Array): void;
  onResponseEnd(id: number): void;
  onFile(id: number, path: string, offset: number, length: number): void;
  onAbort(id: number): void;
  onDraining(): void;
  onIdle(): void;
  onReturned(id: number): void;
  /** Fields for a 103 (RFC 8297), as in a head list. */
  onHints(id: number, fields: string): void;
}

/** Thrown when the other side does not speak this protocol. */
export class FrameError extends Error {}

// A HEAD or RESPONSE is taken whole: more than an application's largest block, less than what would hurt.
const maxPayload = 64 * 1024 * 1024;

/** Cuts a byte stream into frames. Frames that come in one piece are read where they lie. */
export class FrameReader {
  readonly #to: FrameHandler;
  /** Pieces of a frame that is not complete yet. */
  #pieces: Uint8Array[] = [];
  #have = 0;
  #need = headerBytes;

  constructor(to: FrameHandler) {
    this.#to = to;
  }

  feed(bytes: Uint8Array): void {
    if (this.#have === 0) {
      this.#read(bytes);
      return;
    }
    this.#pieces.push(bytes);
    this.#have += bytes.length;
    if (this.#have < this.#need) return;
    const all = Buffer.concat(this.#pieces, this.#have);
    this.#pieces = [];
    this.#have = 0;
    this.#read(all);
  }

  #read(bytes: Uint8Array): void {
    const buffer = asBuffer(bytes);
    let from = 0;
    while (bytes.length - from >= headerBytes) {
      const length = buffer.readUInt32LE(from);
      if (length > maxPayload) throw new FrameError(`a frame of ${length} bytes`);
      const end = from + headerBytes + length;
      if (end > bytes.length) {
        this.#keep(bytes, from, headerBytes + length);
        return;
      }
      this.#deliver(buffer, from, end);
      from = end;
    }
    if (from < bytes.length) this.#keep(bytes, from, headerBytes);
  }

  #keep(bytes: Uint8Array, from: number, need: number): void {
    this.#pieces.push(bytes.subarray(from));
    this.#have = bytes.length - from;
    this.#need = need;
  }

  #deliver(frame: Buffer, at: number, end: number): void {
    const to = this.#to;
    const id = frame.readUInt32LE(at + 8);
    const payload = at + headerBytes;
    switch (frame[at + 4]) {
      case frameType.response: {
        const body = payload + 4 + frame.readUInt32LE(payload);
        to.onResponse(id, frame.readUInt16LE(at + 6), frame.latin1Slice(payload + 4, body), frame.subarray(body, end));
        return;
      }
      case frameType.head:
        to.onHead(id, frame.readUInt16LE(at + 6), frame.latin1Slice(payload, end));
        return;
      case frameType.body:
        to.onBody(id, frame.subarray(payload, end));
        return;
      case frameType.end:
        to.onResponseEnd(id);
        return;
      case frameType.file:
        to.onFile(
          id,
          frame.latin1Slice(payload + 16, end),
          Number(frame.readBigUInt64LE(payload)),
          Number(frame.readBigUInt64LE(payload + 8)),
        );
        return;
      case frameType.abort:
        to.onAbort(id);
        return;
      case frameType.hello:
        to.onHello(
          frame.hexSlice(payload, payload + 16),
          frame.readUInt32LE(payload + 16),
          frame.readUInt32LE(payload + 20),
        );
        return;
      case frameType.draining:
        to.onDraining();
        return;
      case frameType.idle:
        to.onIdle();
        return;
      case frameType.returned:
        to.onReturned(id);
        return;
      case frameType.hints:
        to.onHints(id, frame.latin1Slice(payload, end));
        return;
      default:
        throw new FrameError(`a frame of unknown type ${frame[at + 4]}`);
    }
  }
}

const initialBuffer = 64 * 1024;
/** A buffer that grew above this for a rare burst is not kept. */
const maxKeptBuffer = 2 * 1024 * 1024;

/** Gathers frames for one write. One per link. */
export class FrameWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(initialBuffer);
  /** What `take` gave last, to be written into again: two buffers take turns, and none is made per batch. */
  #taken: Buffer | undefined;
  #filled = 0;

  get empty(): boolean {
    return this.#filled === 0;
  }

  /** The gathered bytes. They stay as they are until the next call of `take`: call it when they have been sent. */
  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#filled);
    const next = this.#taken;
    this.#taken = this.#buffer.length > maxKeptBuffer ? undefined : this.#buffer;
    this.#buffer = next ?? Buffer.allocUnsafeSlow(initialBuffer);
    this.#filled = 0;
    return bytes;
  }

  /** REQUEST. `environ` writes the list; the body inline, or the path of the file that holds it; `flags`: pathEncoded or 0. */
  request(
    id: number,
    environ: { writeEnviron(to: FrameWriter): void },
    body: Uint8Array | string | undefined,
    flags = 0,
  ): void {
    const at = this.#filled;
    this.#header(frameType.request, typeof body === "string" ? flags | bodyInFile : flags, id, 4);
    this.#filled += 4;
    environ.writeEnviron(this);
    const environEnd = this.#filled;
    if (typeof body === "string") this.text(body);
    else if (body !== undefined) this.bytes(body);
    this.#buffer.writeUInt32LE(this.#filled - at - headerBytes, at);
    this.#buffer.writeUInt32LE(environEnd - at - headerBytes - 4, at + headerBytes);
  }

  /** Appends latin-1 text to the frame that is being written. */
  text(text: string): void {
    const { length } = text;
    if (this.#filled + length > this.#buffer.length) this.#grow(this.#filled + length);
    const buffer = this.#buffer;
    const at = this.#filled;
    // Short texts are cheaper byte by byte than through a native call (30 ns).
    if (length < 32) for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i);
    else buffer.latin1Write(text, at, length);
    this.#filled = at + length;
  }

  /** Appends bytes to the frame that is being written. */
  bytes(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > this.#buffer.length) this.#grow(this.#filled + bytes.length);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  credit(id: number, bytes: number): void {
    this.#header(frameType.credit, 0, id, 4);
    this.#filled = this.#buffer.writeUInt32LE(bytes, this.#filled);
  }

  cancel(id: number): void {
    this.#header(frameType.cancel, 0, id, 0);
  }

  opened(id: number): void {
    this.#header(frameType.opened, 0, id, 0);
  }

  poke(): void {
    this.#header(frameType.poke, 0, 0, 0);
  }

  takeBack(id: number): void {
    this.#header(frameType.takeBack, 0, id, 0);
  }

  last(): void {
    this.#header(frameType.last, 0, 0, 0);
  }

  #header(type: number, flags: number, id: number, length: number): void {
    const need = this.#filled + headerBytes + length;
    if (need > this.#buffer.length) this.#grow(need);
    const buffer = this.#buffer;
    const at = this.#filled;
    buffer.writeUInt32LE(length, at);
    buffer.writeUInt32LE(type | (flags << 8), at + 4);
    buffer.writeUInt32LE(id, at + 8);
    this.#filled = at + headerBytes;
  }

  #grow(need: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(need, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#filled));
    this.#buffer = larger;
  }
}
