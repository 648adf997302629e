/** One response on its way: from a Reply through its filters into the engine, piece by piece at the client's pace. */
import { httpDateNow } from "../base/date.ts";
import type { ServerEngine, StreamId } from "../http/engine.ts";
import type { Body, Reply, Sink, Source } from "../http/message.ts";
import type { Exchange } from "../web/exchange.ts";
import { fileSource } from "../web/file_source.ts";
import { attach } from "../web/pipeline.ts";
import { dropBody } from "../web/reply.ts";

/** Who is told what became of it. */
export interface SendingOwner {
  /** There is output for the transport. */
  onOutput(): void;
  /** The body cannot be completed. */
  onBroken(reason: string): void;
  /** The transport's `sendFile`; undefined: it has none. */
  readonly sendFile: ((fd: number, offset: number, length: number) => number) | undefined;
}

type FileBody = Extract<Body, { kind: "file" }>;

/** Of a file this much is given to the kernel in one turn of the loop. */
const filePiece = 2 * 1024 * 1024;

export class Sending implements Sink {
  readonly #engine: ServerEngine;
  readonly #stream: StreamId;
  readonly #owner: SendingOwner;
  readonly status: number;
  bodyBytes = 0;
  /** All of it is with the engine. */
  ended = false;
  /** undefined: the body was given at once. */
  #source: Source | undefined;
  /** … or the kernel reads it. */
  #file: FileBody | undefined;
  #out: Sink = this;
  #pulling = false;

  /** `exchange` is undefined for the answer to what was no request. */
  constructor(
    engine: ServerEngine,
    stream: StreamId,
    owner: SendingOwner,
    exchange: Exchange | undefined,
    reply: Reply,
  ) {
    this.#engine = engine;
    this.#stream = stream;
    this.#owner = owner;
    if (exchange !== undefined) this.#out = attach(exchange, reply, this);
    const { head, body } = reply;
    this.status = head.status;
    this.ended = body.kind === "empty" || !mayHaveBody(exchange?.request.method, head.status);
    engine.sendHead(stream, head, this.ended, httpDateNow());
    if (this.ended) dropBody(body, "a response without a body");
    else this.#begin(body);
  }

  #begin(body: Body): void {
    if (body.kind === "bytes") this.#out.push(body.bytes, true);
    else if (body.kind === "stream") this.#source = body.source;
    else if (body.kind === "file") {
      // Nobody wants to see the bytes: the kernel takes them from the file.
      if (this.#out === this && this.#engine.plainBody && this.#owner.sendFile !== undefined) this.#file = body;
      else this.#source = fileSource(body);
    }
  }

  /** The transport has room: asks for the next piece, unless one is on its way. */
  pull(): void {
    if (this.ended) return;
    if (this.#file !== undefined) this.#sendFile(this.#file);
    else if (this.#source !== undefined && !this.#pulling) {
      this.#pulling = true;
      this.#source.pull(this.#out);
    }
  }

  #sendFile({ file, offset, length }: FileBody): void {
    const left = length - this.bodyBytes;
    const sent = this.#owner.sendFile?.(file.fd, offset + this.bodyBytes, Math.min(left, filePiece)) ?? 0;
    // The transport may have found that the client is gone, and said so.
    if (this.ended) return;
    if (sent === 0) {
      this.fail("the file has become shorter");
      return;
    }
    this.bodyBytes += sent;
    this.ended = sent === left;
    this.#engine.noteSent(this.#stream, sent, this.ended);
    if (this.ended) file.release();
    this.#owner.onOutput();
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#pulling = false;
    this.bodyBytes += bytes.length;
    this.ended = last;
    this.#engine.sendData(this.#stream, bytes, last);
    this.#owner.onOutput();
  }

  fail(reason: string): void {
    this.#pulling = false;
    this.ended = true;
    this.#source = undefined;
    this.#file?.file.release();
    this.#owner.onBroken(reason);
  }

  /** The client is gone. */
  cancel(reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.#source?.cancel(reason);
    this.#file?.file.release();
  }
}

/** RFC 9110 6.4.1 */
function mayHaveBody(method: string | undefined, status: number): boolean {
  return method !== "HEAD" && status !== 204 && status !== 304 && status >= 200;
}
