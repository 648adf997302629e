/** FastCGI's records (FastCGI Specification 3.3): a header of eight bytes, up to 65535 bytes of content, padding. */

export const recordType = { begin: 1, end: 3, params: 4, stdin: 5, stdout: 6, stderr: 7 } as const;

const headerBytes = 8;
/** One request at a time: it is always this one. */
const requestId = 1;
/** The most that a record holds without padding behind it. */
const fullRecord = 65_528;

function header(type: number, length: number): Buffer {
  const padding = -length & 7;
  return Buffer.from([1, type, 0, requestId, length >> 8, length & 0xff, padding, 0]);
}

const paddings = Array.from({ length: 8 }, (_, length) => Buffer.alloc(length));

/** Adds the records of a stream's bytes to `out`; of its end, if there are none. The bytes are not copied. */
export function writeStream(out: Uint8Array[], type: number, bytes: Uint8Array): void {
  let at = 0;
  do {
    const piece = bytes.subarray(at, at + fullRecord);
    out.push(header(type, piece.length));
    if (piece.length > 0) out.push(piece);
    const padding = -piece.length & 7;
    if (padding > 0) out.push(paddings[padding]!);
    at += piece.length;
  } while (at < bytes.length);
}

/** Begins a request to a responder (5.1, 6.2). */
export function beginRecord(keepsConnection: boolean): Buffer {
  return Buffer.concat([header(recordType.begin, 8), Buffer.from([0, 1, keepsConnection ? 1 : 0, 0, 0, 0, 0, 0])]);
}

export interface RecordSink {
  /** Part of a record's content; `last`: the rest of it, which may be nothing. False: read no further. */
  onContent(type: number, bytes: Uint8Array, last: boolean): boolean;
  /** A record has ended, its padding included. False: read no further. */
  onRecord(type: number): boolean;
}

/** Takes records apart. */
export class RecordReader {
  readonly #header = Buffer.alloc(headerBytes);
  #have = 0;
  #type = 0;
  #content = 0;
  #padding = 0;
  #inContent = false;

  /** It is between two records. */
  get isBetween(): boolean {
    return this.#have === 0;
  }

  /** Where it has stopped; text: what is wrong with a header, in Nginx's words. */
  read(bytes: Uint8Array, to: RecordSink): number | string {
    let at = 0;
    for (;;) {
      if (this.#have < headerBytes) {
        if (at === bytes.length) return at;
        this.#header[this.#have++] = bytes[at++]!;
        const fault = this.#check();
        if (fault !== undefined) return fault;
        if (this.#have < headerBytes) continue;
        this.#inContent = true;
      }
      if (this.#inContent) {
        if (at === bytes.length && this.#content > 0) return at;
        const piece = bytes.subarray(at, at + this.#content);
        at += piece.length;
        this.#content -= piece.length;
        this.#inContent = this.#content > 0;
        if (!to.onContent(this.#type, piece, !this.#inContent)) return at;
        if (this.#inContent) return at;
      }
      const skipped = Math.min(this.#padding, bytes.length - at);
      at += skipped;
      this.#padding -= skipped;
      if (this.#padding > 0) return at;
      this.#have = 0;
      if (!to.onRecord(this.#type)) return at;
    }
  }

  /** The byte of the header that came last. */
  #check(): string | undefined {
    const byte = this.#header[this.#have - 1]!;
    switch (this.#have) {
      case 1:
        return byte === 1 ? undefined : `upstream sent unsupported FastCGI protocol version: ${byte}`;
      case 2:
        this.#type = byte;
        if (byte === recordType.stdout || byte === recordType.stderr || byte === recordType.end) return undefined;
        return `upstream sent invalid FastCGI record type: ${byte}`;
      case 3:
        return byte === 0 ? undefined : `upstream sent unexpected FastCGI request id high byte: ${byte}`;
      case 4:
        return byte === requestId ? undefined : `upstream sent unexpected FastCGI request id low byte: ${byte}`;
      case headerBytes:
        this.#content = this.#header.readUInt16BE(4);
        this.#padding = this.#header[6]!;
        return undefined;
      default:
        return undefined;
    }
  }
}
