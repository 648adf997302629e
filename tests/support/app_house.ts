/** A dispatcher with workers that do what a test says. */
import { Call } from "../../src/app/call.ts";
import { Dispatcher } from "../../src/app/dispatch.ts";
import { frameType, headerBytes } from "../../src/app/frames.ts";
import { Link } from "../../src/app/link.ts";
import { Timers } from "../../src/base/timers.ts";
import { Headers } from "../../src/http/headers.ts";
import type { RequestHead } from "../../src/http/message.ts";
import { closeFd, monotonicSeconds, sharedMemory } from "../../src/net/libc.ts";
import type { Piece, Transport } from "../../src/net/transport.ts";
import { Scoreboard, scoreboardSize } from "../../src/shm/scoreboard.ts";

const secret = "00112233445566778899aabbccddeeff";
const slotBytes = 256;
const slotsAt = 640;

/** The other end of a link: a Python worker that does what the test says. */
export class FakeWorker implements Transport {
  readonly slot: number;
  readonly link: Link;
  readonly #memory: DataView;
  requests: number[] = [];
  cancelled: number[] = [];
  askedBack: number[] = [];
  last = false;
  poked = 0;
  state = "open";
  readonly unsent = 0;
  readonly peerAddress = "";
  readonly peerPort = 0;
  readonly localAddress = "";

  constructor(house: House, slot: number, threads: number) {
    this.slot = slot;
    this.#memory = house.memory;
    this.set(12, threads);
    this.setTime(56, 0.004);
    this.link = new Link(this, house.dispatcher, secret, house.log);
    const payload = Buffer.alloc(24);
    payload.write(secret, "hex");
    payload.writeUInt32LE(slot, 16);
    payload.writeUInt32LE(1000 + slot, 20);
    this.say(frameType.hello, 0, payload);
  }

  set(field: number, value: number): void {
    this.#memory.setInt32(slotsAt + this.slot * slotBytes + field, value, true);
  }

  setTime(field: number, value: number): void {
    this.#memory.setFloat64(slotsAt + this.slot * slotBytes + field, value, true);
  }

  get takenBack(): boolean {
    return this.#memory.getInt32(slotsAt + this.slot * slotBytes + 192, true) === 1;
  }

  get load(): number {
    return this.#memory.getInt32(slotsAt + this.slot * slotBytes + 16, true);
  }

  /** Its recent mean time per request. */
  fast(): this {
    this.setTime(56, 0.00001);
    return this;
  }

  /** Has begun this request, and runs it for `ms` now. */
  running(id: number, ms: number): void {
    this.set(128, id);
    this.setTime(40, monotonicSeconds() - ms / 1000);
  }

  write(pieces: readonly Piece[]): boolean {
    const bytes = Buffer.concat(pieces.map((piece) => Buffer.from(piece as Uint8Array)));
    for (let at = 0; at < bytes.length; at += headerBytes + bytes.readUInt32LE(at)) {
      const id = bytes.readUInt32LE(at + 8);
      if (bytes[at + 4] === frameType.request) this.requests.push(id);
      if (bytes[at + 4] === frameType.cancel) this.cancelled.push(id);
      if (bytes[at + 4] === frameType.takeBack) this.askedBack.push(id);
      if (bytes[at + 4] === frameType.last) this.last = true;
      if (bytes[at + 4] === frameType.poke) this.poked++;
    }
    return true;
  }

  say(type: number, id: number, payload: Uint8Array = Buffer.alloc(0), status = 0): void {
    const frame = Buffer.alloc(headerBytes + payload.length);
    frame.writeUInt32LE(payload.length, 0);
    frame[4] = type;
    frame.writeUInt16LE(status, 6);
    frame.writeUInt32LE(id, 8);
    frame.set(payload, headerBytes);
    this.link.onBytes(frame);
  }

  answer(id: number): void {
    const list = Buffer.from("OK\nContent-Length\n0");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(list.length);
    this.say(frameType.response, id, Buffer.concat([length, list]), 200);
  }

  pause(): void {}
  resume(): void {}
  shutdown(): void {}
  end(): void {
    this.state = "ended";
  }
  abort(): void {
    this.state = "aborted";
  }
}

export class House implements Disposable {
  readonly #fd = sharedMemory("test", scoreboardSize(8));
  readonly memory: DataView;
  readonly board: Scoreboard;
  readonly dispatcher: Dispatcher;
  readonly logged: string[] = [];
  readonly log = {
    debug: () => {},
    info: () => {},
    warning: (message: string) => this.logged.push(message),
    error: (message: string) => this.logged.push(message),
  };
  now = 0;
  readonly timers = new Timers(() => this.now);

  constructor(queueTimeoutMs = 0) {
    const memory = Bun.mmap(`/proc/self/fd/${this.#fd}`, { shared: true });
    this.memory = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.board = new Scoreboard(this.#fd);
    this.board.initialise(8, 2);
    const { board, timers, log } = this;
    this.dispatcher = new Dispatcher({ board, webWorker: 0, timers, log, queueTimeoutMs });
  }

  worker(slot: number, threads = 1): FakeWorker {
    return new FakeWorker(this, slot, threads);
  }

  /** A call that has been submitted; `outcome` is its status, or that of its failure. */
  submit(method = "GET"): { readonly call: Call; readonly outcome: Promise<number> } {
    const request = { method, path: "/", headers: new Headers() } as unknown as RequestHead;
    const call = new Call({
      request,
      safe: method === "GET",
      body: undefined,
      flags: 0,
      startedAt: 0,
      writeEnviron: (to) => to.text("A\nb"),
      onHints() {},
    });
    const outcome = call.reply.then(
      ({ head }) => head.status,
      (failure) => failure.status,
    );
    this.dispatcher.submit(call);
    return { call, outcome };
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }
}

/** Frames leave at the end of the loop's turn. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
export const ms = (count: number) => new Promise<void>((resolve) => setTimeout(resolve, count));
