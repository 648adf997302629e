/**
 * Which worker runs a request: fair queueing over all workers of one application.
 *
 * A request goes to a worker with a free thread. If there is none it waits here, unless workers have lately been so fast that
 * waiting in front of one costs nothing: then requests are sent ahead, and the worker never idles between two.
 * If the one in front turns out slow, those that the worker has not begun are taken back and given to another one.
 */
import type { Log } from "../base/log.ts";
import type { Timed, Timers } from "../base/timers.ts";
import { monotonicSeconds } from "../net/libc.ts";
import type { Scoreboard } from "../shm/scoreboard.ts";
import { AppFailure, type Call } from "./call.ts";
import type { Link } from "./link.ts";

/** A worker may have requests waiting in front of it for as long as they will take about this long together, seconds. */
const aheadSeconds = 0.001;
/** … and never more than this: one full read of the worker. */
const maxAhead = 64;
/** Where more run at the same time, none waits for the next. */
const mostThreads = 64;
/** A mean above this is not fast, seconds. That of 1 % slow (300 ms) and 99 % very fast requests is above it: what waits behind those would feel it. */
const fastSeconds = 0.002;
/**
 * A worker that runs one request for longer than this is stuck as far as those behind it are concerned. A busy machine may well take
 * the processor away from it for a few milliseconds.
 */
const stuckMs = 10;

export interface DispatcherOptions {
  readonly board: Scoreboard;
  /** This web worker's number, from 0. */
  readonly webWorker: number;
  readonly timers: Timers;
  readonly log: Log;
  /** How long a request waits for a free worker, ms; 0: for ever. */
  readonly queueTimeoutMs: number;
}

/** A request that a worker has begun and not answered. */
export interface GivenCall {
  /** The worker's process number. */
  readonly pid: number;
  readonly method: string;
  /** As sent, but cut where it is very long. */
  readonly target: string;
  /** Since its head arrived. */
  readonly seconds: number;
  /** … of which it has waited for a free worker. */
  readonly waited: number;
  /** Its client is gone. */
  readonly cancelled: boolean;
}

const longestTarget = 1000;

const factsOf = ({ caller: { request, startedAt }, waitedMs, cancelled }: Call, pid: number): GivenCall => ({
  pid,
  method: request.method,
  target: request.target.slice(0, longestTarget),
  seconds: (performance.now() - startedAt) / 1000,
  waited: waitedMs / 1000,
  cancelled,
});

export class Dispatcher implements Timed {
  readonly #options: DispatcherOptions;
  #ready: Link[] = [];
  /** Those that are ready, and those that are leaving. */
  readonly #links = new Set<Link>();
  #waiting: Call[] = [];
  /** Index of the oldest waiting call: taking from the front of an array of thousands would move all of it. */
  #first = 0;
  #turn = 0;
  #lastId = 0;
  #watching = false;
  deadline = 0;
  tick = -1;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Gives the call to a worker now or later; the answer comes through `call.reply`. */
  submit(call: Call): void {
    const { board, webWorker } = this.#options;
    if (this.#waitingCount === 0 && !board.othersWaitLonger(webWorker, monotonicMs()) && this.#place(call)) return;
    this.#enqueue(call);
  }

  get #waitingCount(): number {
    return this.#waiting.length - this.#first;
  }

  #enqueue(call: Call): void {
    if (call.queuedAt === 0) call.queuedAt = monotonicMs();
    this.#waiting.push(call);
    this.#options.board.setQueueLength(this.#options.webWorker, this.#waitingCount);
    if (this.#waitingCount > 1) return;
    this.#publish();
    if (this.#options.queueTimeoutMs > 0) this.#options.timers.set(this, 1000);
    // A place may have become free between the look at it and the word that we wait for one.
    this.drain();
  }

  /** Places waiting calls, oldest first over all web workers, as far as workers are free. Call when that may have changed. */
  drain(): void {
    const { board, webWorker } = this.#options;
    const before = this.#first;
    while (this.#waitingCount > 0) {
      const call = this.#waiting[this.#first]!;
      if (!call.cancelled) {
        if (board.othersWaitLonger(webWorker, call.queuedAt) || !this.#place(call)) break;
        this.#noteWait(call);
      }
      this.#first++;
    }
    if (this.#first !== before) {
      this.#compact();
      this.#publish();
    }
    this.#pokeForOthers();
  }

  /** A call that is taken back, and given to another worker, has waited once. */
  #noteWait(call: Call): void {
    if (call.waitedMs > 0) return;
    call.waitedMs = Math.max(monotonicMs() - call.queuedAt, 0.001);
    this.#options.board.noteWait(this.#options.webWorker, call.waitedMs / 1000);
  }

  #compact(): void {
    if (this.#waitingCount > 0 && this.#first < 1024) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }

  /** Tells the other web workers since when our oldest call waits. Without a link we could not take a place that they left us. */
  #publish(): void {
    const since = this.#waitingCount > 0 && this.#ready.length > 0 ? this.#waiting[this.#first]!.queuedAt : 0;
    this.#options.board.setWaiting(this.#options.webWorker, since);
    this.#options.board.setQueueLength(this.#options.webWorker, this.#waitingCount);
  }

  /** What the workers are busy with, as far as it comes from here. Costs nothing until somebody asks. */
  given(): GivenCall[] {
    const { board, webWorker } = this.#options;
    return [...this.#links].flatMap((link) => {
      const begun = board.threads(link.slot) === 1 ? board.begun(link.slot, webWorker) : undefined;
      return link
        .unanswered()
        .filter(({ id }) => begun === undefined || !isAfter(id, begun))
        .map((call) => factsOf(call, link.pid));
    });
  }

  /** A worker is free, and it is another web worker's turn: the free worker tells it. */
  #pokeForOthers(): void {
    const { board, webWorker } = this.#options;
    // Without a call of our own whoever waits is before us, also one that began in this very millisecond: hence the second.
    const ours = this.#waitingCount > 0 ? this.#waiting[this.#first]!.queuedAt : monotonicMs() + 1000;
    if (!board.othersWaitLonger(webWorker, ours)) return;
    this.#ready.find(({ slot }) => board.load(slot) < board.threads(slot))?.poke();
  }

  #place(call: Call): boolean {
    const link = this.#choose();
    if (link === undefined) return false;
    // 0 means "none" on the scoreboard.
    this.#lastId = (this.#lastId + 1) >>> 0 || 1;
    link.give(call, this.#lastId);
    if (!this.#watching && link.load > this.#options.board.threads(link.slot)) this.#watch();
    return true;
  }

  /** A worker with a place taken, or undefined. */
  #choose(): Link | undefined {
    const { board, webWorker } = this.#options;
    const links = this.#ready;
    // Start at another one each time, so that equal loads are spread.
    const start = this.#turn++;
    for (;;) {
      let best: Link | undefined;
      let bestLoad = Number.POSITIVE_INFINITY;
      for (let i = 0; i < links.length; i++) {
        const link = links[(start + i) % links.length]!;
        const load = board.load(link.slot);
        if (load < bestLoad && load < this.#limit(link)) {
          best = link;
          bestLoad = load;
        }
      }
      if (best === undefined || board.take(best.slot, webWorker, this.#limit(best))) return best;
      // Another web worker took that place in the meantime: look again.
    }
  }

  /** How many requests may be with this worker at once, running ones included. */
  #limit(link: Link): number {
    const { board } = this.#options;
    const threads = board.threads(link.slot);
    if (threads === 1 ? !canTakeBack : threads > mostThreads) return threads;
    if (link.returning) return 0;
    const service = board.service(link.slot);
    if (service > fastSeconds || this.#stuck(link.slot)) return threads;
    // One at least: between two requests the worker would wait for the next one.
    return threads + Math.min(maxAhead, Math.max(Math.floor(aheadSeconds / service), 1));
  }

  #stuck(slot: number): boolean {
    const started = this.#options.board.started(slot);
    return started > 0 && monotonicMs() - started * 1000 > stuckMs;
  }

  /** A worker has one request less. */
  onAnswered(link: Link): void {
    this.#options.board.giveBack(link.slot, this.#options.webWorker);
  }

  onLinkReady(link: Link): void {
    this.#options.board.beginLink(link.slot, this.#options.webWorker);
    this.#ready.push(link);
    this.#links.add(link);
    this.#publish();
    this.drain();
  }

  onLinkDraining(link: Link): void {
    this.#ready = this.#ready.filter((each) => each !== link);
    this.#publish();
  }

  /** The worker is gone: what it had not begun goes elsewhere, and what is safe and was not its last; the rest fails. */
  onLinkClosed(link: Link): void {
    this.onLinkDraining(link);
    this.#links.delete(link);
    const { board, webWorker, log } = this.#options;
    const { slot } = link;
    const begun = board.begun(slot, webWorker);
    const cause = board.cause(slot);
    board.forget(slot, webWorker);
    const again: Call[] = [];
    for (const call of link.calls()) {
      const wasBefore = board.threads(slot) === 1 && call.caller.safe && call.untouched && call.id !== begun;
      if (isAfter(call.id, begun) || wasBefore) again.push(call);
      else {
        const failure = link.failure(call, cause);
        log.error(failure.message);
        call.fail(failure);
      }
    }
    this.#requeue(again);
  }

  /** The worker has given a call back that it was thought to have begun. */
  onReturned(call: Call): void {
    this.#requeue([call]);
  }

  /** The worker has confirmed all that was taken back from it. */
  onAllReturned({ slot }: Link): void {
    this.#options.board.takeBack(slot, this.#options.webWorker, false);
  }

  /** Puts calls back in front: they have waited longest. */
  #requeue(calls: readonly Call[]): void {
    if (calls.length === 0) return;
    for (const call of calls) if (call.queuedAt === 0) call.queuedAt = monotonicMs();
    this.#waiting = [...calls, ...this.#waiting.slice(this.#first)];
    this.#first = 0;
    this.#publish();
    if (this.#options.queueTimeoutMs > 0) this.#options.timers.set(this, 1000);
    this.drain();
  }

  // Looks a few milliseconds from now whether requests are still behind a worker from which nothing was heard. It runs only
  // while there are such requests.
  #watch(): void {
    this.#watching = true;
    setTimeout(this.#look, stuckMs);
  }

  readonly #look = (): void => {
    this.#watching = false;
    const { board, webWorker } = this.#options;
    for (const link of this.#ready) {
      if (link.load <= board.threads(link.slot)) continue;
      this.#watching = true;
      if (link.heard || !this.#stuck(link.slot)) {
        link.heard = false;
        continue;
      }
      // Without a worker that is free they would only wait somewhere else.
      if (link.returning || !this.#ready.some(({ slot }) => board.load(slot) < board.threads(slot))) continue;
      if (board.threads(link.slot) > 1) {
        const begun = board.begun(link.slot, webWorker);
        link.askBack(link.calls().filter(({ id }) => isAfter(id, begun)));
        continue;
      }
      const begun = board.takeBack(link.slot, webWorker, true);
      const behind = link.calls().filter((call) => isAfter(call.id, begun));
      link.letGo(behind);
      if (behind.length === 0) board.takeBack(link.slot, webWorker, false);
      this.#requeue(behind);
    }
    if (this.#watching) this.#watch();
  };

  /** The wheel's turn: has the oldest waited too long? */
  onTimeout(): void {
    const { queueTimeoutMs, timers, log } = this.#options;
    const oldest = monotonicMs() - queueTimeoutMs;
    while (this.#waitingCount > 0 && this.#waiting[this.#first]!.queuedAt < oldest) {
      const call = this.#waiting[this.#first++]!;
      if (call.cancelled) continue;
      log.error(`no worker was free for ${call.label} within ${queueTimeoutMs / 1000} s`);
      call.fail(new AppFailure(503, "no worker was free in time"));
    }
    this.#publish();
    if (this.#waitingCount > 0) timers.set(this, 1000);
  }
}

/** Was `id` given after `other`? Ids count up and wrap round. */
const isAfter = (id: number, other: number): boolean => other === 0 || ((id - other) | 0) > 0;

/** Taking requests back from one thread relies on the strong memory order of x86: Python has no atomics of its own (python/alicorn/worker.py). */
const canTakeBack = process.arch === "x64";

// The clock of the scoreboard, at the cost of the process's own.
const startMs = monotonicSeconds() * 1000 - performance.now();
const monotonicMs = (): number => startMs + performance.now();
