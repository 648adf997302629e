/** One response on its way: from a Reply through its filters into the engine, piece by piece at the client's pace. */
import { httpDateNow } from "../base/date.ts";
import type { ServerEngine, StreamId } from "../http/engine.ts";
import type { Body, Reply, ResponseHead, Sink, Source } from "../http/message.ts";
import { sourceOf } from "../web/body_change.ts";
import type { Exchange } from "../web/exchange.ts";
import { filter } from "../web/pipeline.ts";
import { dropBody } from "../web/reply.ts";
import { sliced } from "../web/sliced.ts";

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
  readonly #exchange: Exchange;
  bodyBytes = 0;
  /** Of these, what the kernel has taken from a file: the transport never saw it. */
  fileBytes = 0;
  /** All of it is with the engine. */
  ended = false;
  /** undefined: the body was given at once. */
  #source: Source | undefined;
  /** … or the kernel reads it. */
  #file: FileBody | undefined;
  /** It waits for the first piece. */
  #head: ResponseHead | undefined;
  #trailers: Reply["trailers"];
  #pulling = false;
  /** Bytes per second, and from which byte on; 0: as fast as the client reads. */
  #rate = 0;
  #rateAfter = 0;
  #startedAt = 0;
  #waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(engine: ServerEngine, stream: StreamId, owner: SendingOwner, exchange: Exchange, reply: Reply) {
    this.#engine = engine;
    this.#stream = stream;
    this.#owner = owner;
    this.#exchange = exchange;
    filter(exchange, reply);
    const { head, body } = reply;
    const { serverToken, reasons } = exchange.location;
    if (serverToken !== undefined) head.server ??= serverToken;
    if (head.status >= 300 && reasons !== undefined && head.reason === undefined) {
      const reason = reasons[head.status];
      if (reason !== undefined) head.reason = reason;
    }
    this.#trailers = reply.trailers;
    this.ended =
      reply.tunnel === undefined && (body.kind === "empty" || !mayHaveBody(exchange.request.method, head.status));
    if (reply.headWaits === true && body.kind === "stream" && !this.ended) this.#head = head;
    else engine.sendHead(stream, head, this.ended, httpDateNow());
    if (this.ended) {
      dropBody(body, "a response without a body");
      return;
    }
    const { rate = 0 } = exchange;
    if (rate > 0) this.#pace(rate, exchange.rateAfter);
    if (reply.tunnel !== undefined) this.#source = reply.tunnel.source;
    else this.#begin(body);
  }

  #pace(rate: number, rateAfter: number): void {
    this.#rate = rate;
    this.#rateAfter = rateAfter;
    this.#startedAt = performance.now();
  }

  #begin(body: Body): void {
    // Nobody wants to see the bytes: the kernel takes them from the file.
    if (body.kind === "file" && this.#engine.plainBody && this.#owner.sendFile !== undefined) this.#file = body;
    else if (this.#rate > 0) this.#source = sliced(sourceOf(body), Math.max(this.#rate / 16, smallPiece) | 0);
    else if (body.kind === "bytes") this.push(body.bytes, true);
    else this.#source = sourceOf(body);
  }

  /** The transport has room: asks for the next piece, unless one is on its way. */
  pull(): void {
    if (this.ended || this.#waiting !== undefined) return;
    if (this.#rate > 0 && this.#waits()) return;
    if (this.#file !== undefined) this.#sendFile(this.#file);
    else if (this.#source !== undefined && !this.#pulling) {
      this.#pulling = true;
      this.#source.pull(this);
    }
  }

  /** More has been sent than the rate allows so far: the next piece comes later. */
  #waits(): boolean {
    const early = this.bodyBytes - this.#rateAfter - ((performance.now() - this.#startedAt) * this.#rate) / 1000;
    if (early < 0) return false;
    const ms = Math.max((early * 1000) / this.#rate, 1) + pieceMs;
    this.#waiting = setTimeout(() => {
      this.#waiting = undefined;
      this.pull();
    }, ms);
    return true;
  }

  /** How much may be given now. */
  #allowance(most: number): number {
    if (this.#rate === 0) return most;
    const allowed = this.#rateAfter - this.bodyBytes + ((performance.now() - this.#startedAt) * this.#rate) / 1000;
    return Math.max(Math.min(most, Math.ceil(allowed)), 1);
  }

  #sendFile({ file, offset, length }: FileBody): void {
    const left = length - this.bodyBytes;
    const sent =
      this.#owner.sendFile?.(file.fd, offset + this.bodyBytes, Math.min(left, this.#allowance(filePiece))) ?? 0;
    // The transport may have found that the client is gone, and said so.
    if (this.ended) return;
    if (sent === 0) {
      this.fail("the file has become shorter");
      return;
    }
    this.bodyBytes += sent;
    this.fileBytes += sent;
    this.ended = sent === left;
    this.#engine.noteSent(this.#stream, sent, this.ended);
    if (this.ended) file.release();
    this.#owner.onOutput();
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#pulling = false;
    this.bodyBytes += bytes.length;
    this.ended = last;
    if (this.#head !== undefined) this.#engine.sendHead(this.#stream, this.#head, false, httpDateNow());
    this.#head = undefined;
    if (last && this.#trailers !== undefined) this.#sendTrailers(this.#trailers);
    this.#engine.sendData(this.#stream, bytes, last);
    this.#owner.onOutput();
  }

  #sendTrailers(trailers: NonNullable<Reply["trailers"]>): void {
    const fields = trailers();
    if (fields === undefined) return;
    this.#exchange.sentTrailers = fields;
    this.#engine.sendTrailers(this.#stream, fields);
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
    clearTimeout(this.#waiting);
    if (this.ended) return;
    this.ended = true;
    this.#source?.cancel(reason);
    this.#file?.file.release();
  }
}

/** A rate is kept to the tenth of a second: shorter pauses would be many, and each costs a turn of the loop. */
const pieceMs = 100;

/** … and bodies leave in pieces that are small against it, but not below this. */
const smallPiece = 16;

/** RFC 9110 6.4.1 */
function mayHaveBody(method: string | undefined, status: number): boolean {
  return method !== "HEAD" && status !== 204 && status !== 304 && status >= 200;
}
