/** A response's body on its way out, framed (RFC 9112 6 and 7.1), and with it all that a connection has to send. */
import type { Headers } from "../headers.ts";
import type { ResponseFraming } from "./framing.ts";
import { chunkEnd, chunkStart, lastChunk, writeTrailers } from "./write.ts";

const noPieces: readonly (string | Uint8Array)[] = [];

export class BodyWriter {
  framing: ResponseFraming = "none";
  /** What was wrong with the last body; nothing may follow it on its connection. */
  fault: string | undefined = undefined;
  #left = 0;
  /** What stands behind a chunked body's last chunk. */
  #last = lastChunk;
  #output: (string | Uint8Array)[] | undefined = undefined;

  /** `length`: the body's bytes, where the framing is "length". */
  begin(framing: ResponseFraming, length: number): void {
    this.framing = framing;
    this.#left = length;
    this.#last = lastChunk;
  }

  /** Is the body sent as it is, without framing around it? */
  get isPlain(): boolean {
    return this.framing === "length" || this.framing === "close" || this.framing === "tunnel";
  }

  /** Throws if a field cannot be sent. */
  setTrailers(headers: Headers): void {
    if (this.framing === "chunked") this.#last = writeTrailers(headers);
  }

  /** `count` bytes of a plain body have gone another way. */
  note(count: number): void {
    if (this.framing === "length") this.#left -= count;
  }

  send(bytes: Uint8Array): void {
    switch (this.framing) {
      case "none":
        return;
      case "chunked":
        this.text(chunkStart(bytes.length));
        this.#pieces().push(bytes, chunkEnd);
        return;
      case "close":
      case "tunnel":
        this.#pieces().push(bytes);
        return;
      case "length":
        if (bytes.length > this.#left) {
          this.fault = "response with more bytes than its Content-Length";
          if (this.#left > 0) this.#pieces().push(bytes.subarray(0, this.#left));
          this.#left = 0;
          return;
        }
        this.#left -= bytes.length;
        this.#pieces().push(bytes);
    }
  }

  end(): void {
    if (this.framing === "chunked") this.text(this.#last);
    else if (this.framing === "length" && this.#left > 0) {
      this.fault = "response with fewer bytes than its Content-Length";
    }
  }

  /** Text joins text: a head and its first chunk's size are one piece, an end of chunk and the next size too. */
  text(text: string): void {
    const pieces = this.#pieces();
    const last = pieces.length - 1;
    const before = pieces[last];
    if (typeof before === "string") pieces[last] = before + text;
    else pieces.push(text);
  }

  /** What is to be sent; empties it. */
  take(): readonly (string | Uint8Array)[] {
    const output = this.#output;
    if (output === undefined) return noPieces;
    this.#output = undefined;
    return output;
  }

  #pieces(): (string | Uint8Array)[] {
    this.#output ??= [];
    return this.#output;
  }
}
