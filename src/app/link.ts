/** One connection to one Python worker: gives it calls, and turns its frames into answers. */
import type { Log } from "../base/log.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import { cause } from "../shm/scoreboard.ts";
import { AppFailure, type Call } from "./call.ts";
import type { Dispatcher } from "./dispatch.ts";
import { FrameError, type FrameHandler, FrameReader, FrameWriter } from "./frames.ts";

/** What becomes of credit: small amounts are gathered, so that it costs a frame per block of this size. */
const creditStep = 64 * 1024;

export class Link implements TransportHandler, FrameHandler {
  readonly #transport: Transport;
  readonly #dispatcher: Dispatcher;
  readonly #log: Log;
  readonly #secret: string;
  readonly #reader = new FrameReader(this);
  readonly #writer = new FrameWriter();
  readonly #calls = new Map<number, Call>();
  #credit: { call: Call; bytes: number } | undefined;
  #flushing = false;
  readonly #returning = new Set<number>();
  readonly #asked = new Set<number>();
  /** -1 until HELLO. */
  slot = -1;
  pid = 0;
  state: "new" | "ready" | "draining" | "closed" = "new";
  /** Something was heard since the dispatcher's last look. */
  heard = false;

  constructor(transport: Transport, dispatcher: Dispatcher, secret: string, log: Log) {
    this.#transport = transport;
    this.#dispatcher = dispatcher;
    this.#secret = secret;
    this.#log = log;
  }

  /** How many requests the worker has not answered, cancelled ones included: until it says so it may be busy with them. */
  get load(): number {
    return this.#calls.size;
  }

  /** The calls that wait for an answer from here, oldest first. */
  calls(): Call[] {
    return [...this.#calls].filter(([id, call]) => this.#owns(call, id)).map(([, call]) => call);
  }

  /** All that the worker may be busy with: also what nobody waits for any more. */
  unanswered(): Call[] {
    return [...this.#calls]
      .filter(([id, call]) => call.id === id && (call.link === this || call.cancelled))
      .map(([, call]) => call);
  }

  // A call that was taken back has another link, or the same one under another id.
  #owns(call: Call, id: number): boolean {
    return call.link === this && call.id === id;
  }

  give(call: Call, id: number): void {
    call.link = this;
    call.id = id;
    this.#calls.set(id, call);
    const { caller } = call;
    this.#writer.request(id, caller, caller.body, caller.flags);
    this.#flushSoon();
  }

  /** The worker will not run these: they can be given to another. Their places are free when it has confirmed that. */
  letGo(calls: readonly Call[]): void {
    for (const call of calls) {
      call.link = undefined;
      this.#returning.add(call.id);
    }
  }

  /** Asks a worker with several threads for those back that it has not begun; each is asked for once. */
  askBack(calls: readonly Call[]): void {
    for (const { id } of calls) {
      if (this.#asked.has(id)) continue;
      this.#asked.add(id);
      this.#writer.takeBack(id);
    }
    this.#flushSoon();
  }

  /** Calls were taken back, and the worker has not come to confirming that: it gets nothing new. */
  get returning(): boolean {
    return this.#returning.size > 0;
  }

  /** Nobody waits for the call's answer from here any more. Its place is free when the worker has confirmed that. */
  cancel(call: Call): void {
    this.#writer.cancel(call.id);
    call.link = undefined;
    this.#flushSoon();
  }

  /** Lets the worker tell those web workers that wait for a free one. */
  poke(): void {
    this.#writer.poke();
    this.#flushSoon();
  }

  credit(call: Call, bytes: number): void {
    if (this.#credit?.call === call) this.#credit.bytes += bytes;
    else {
      this.#writeCredit();
      this.#credit = { call, bytes };
    }
    if (this.#credit.bytes >= creditStep) this.#writeCredit();
  }

  #writeCredit(): void {
    const credit = this.#credit;
    this.#credit = undefined;
    if (credit === undefined || !this.#owns(credit.call, credit.call.id)) return;
    this.#writer.credit(credit.call.id, credit.bytes);
    this.#flushSoon();
  }

  // All requests of one turn of the loop leave in one write: this batching is where the app side's speed comes from.
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    // What was taken before may not have left yet: `onDrain` comes back here.
    if (this.state === "closed" || this.#writer.empty || this.#transport.unsent > 0) return;
    this.#transport.write([this.#writer.take()]);
  };

  onBytes(bytes: Uint8Array): void {
    this.heard = true;
    try {
      this.#reader.feed(bytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#log.error(`worker (pid:${this.pid}) does not speak the worker protocol: ${error.message}`);
      this.#transport.abort();
    }
    this.#writeCredit();
    this.#dispatcher.drain();
  }

  onEnd(): void {
    // The worker has gone, and reads nothing more.
    this.#transport.abort();
  }

  onDrain(): void {
    this.#flush();
  }

  onClose(): void {
    const wasNew = this.state === "new";
    this.state = "closed";
    if (wasNew) return;
    this.#dispatcher.onLinkClosed(this);
    this.#calls.clear();
  }

  onHello(secret: string, slot: number, pid: number): void {
    if (this.state !== "new" || secret !== this.#secret) {
      this.#log.warning("a connection to the worker socket without the secret was closed");
      this.#transport.abort();
      return;
    }
    this.slot = slot;
    this.pid = pid;
    this.state = "ready";
    this.#dispatcher.onLinkReady(this);
  }

  onResponse(id: number, status: number, head: string, body: Uint8Array): void {
    this.#finish(id)?.answer(status, head, body);
  }

  onHead(id: number, status: number, head: string): void {
    this.#get(id)?.begin(status, head);
  }

  onBody(id: number, bytes: Uint8Array): void {
    this.#get(id)?.push(bytes);
  }

  onResponseEnd(id: number): void {
    this.#finish(id)?.end();
  }

  onFile(id: number, path: string, offset: number, length: number): void {
    this.#finish(id)?.file(path, offset, length);
    this.#writer.opened(id);
    this.#flushSoon();
  }

  onAbort(id: number): void {
    this.#finish(id)?.fail(new AppFailure(500, "the application failed; the worker's log says why"));
  }

  onDraining(): void {
    if (this.state !== "ready") return;
    this.state = "draining";
    this.#dispatcher.onLinkDraining(this);
    this.#writer.last();
    this.#flushSoon();
  }

  onIdle(): void {}

  /** A request that was taken back before the worker began it. It may have been the one of which we thought that it had. */
  onReturned(id: number): void {
    const call = this.#finish(id);
    if (call !== undefined) this.#dispatcher.onReturned(call);
    else if (this.#returning.delete(id) && this.#returning.size === 0) this.#dispatcher.onAllReturned(this);
  }

  onHints(id: number, fields: string): void {
    this.#get(id)?.hint(fields);
  }

  #get(id: number): Call | undefined {
    const call = this.#calls.get(id);
    return call !== undefined && this.#owns(call, id) ? call : undefined;
  }

  #finish(id: number): Call | undefined {
    const call = this.#get(id);
    this.#asked.delete(id);
    if (this.#calls.delete(id)) this.#dispatcher.onAnswered(this);
    return call;
  }

  /** Why calls on this link got no answer. */
  failure(call: Call, causeOfEnd: number): AppFailure {
    return causeOfEnd === cause.timeout
      ? new AppFailure(504, `worker (pid:${this.pid}) was aborted after its timeout while it handled ${call.label}`)
      : new AppFailure(502, `worker (pid:${this.pid}) died while it handled ${call.label}`);
  }
}
