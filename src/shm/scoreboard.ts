/**
 * Who is doing what: one piece of memory shared by the master, the web workers and the app workers.
 * Layout and writers: docs/worker-protocol.md, "The scoreboard"; the Python side is python/alicorn/scoreboard.py.
 */

export const maxWebWorkers = 16;
const version = 3;
const queuesAt = 128;
const queueBytes = 32;
const headerBytes = queuesAt + maxWebWorkers * queueBytes;
const slotBytes = 256;
// Indices into the int32 view.
const at = { version: 0, slots: 1, webWorkers: 2, waiting: 16 } as const;
// Offsets within a slot, in units of its view.
const field = {
  state: 0,
  pid: 1,
  generation: 2,
  threads: 3,
  load: 4,
  done: 5,
  cause: 6,
  rss: 7,
  given: 16,
  begun: 32,
  takenBack: 48,
} as const;
const time = { started: 5, heartbeat: 6, service: 7 } as const;
// Offsets within a web worker's queue, in units of its view.
const queue = { length: 0, waited: 1, seconds: 1, longest: 2 } as const;
const states = ["free", "booting", "ready", "draining"] as const;

export type WorkerState = (typeof states)[number];

/** How requests have waited for a free worker, in all web workers together. */
export interface QueueFacts {
  /** How many wait now. */
  readonly length: number;
  /** How many have waited and been given to a worker. */
  readonly waited: number;
  /** … for so long together, and for so long at most. */
  readonly seconds: number;
  readonly longest: number;
}

/** Why a worker ended, as its arbiter wrote it down. */
export const cause = { itself: 0, timeout: 1 } as const;

/** Bytes of shared memory for so many app workers. */
export function scoreboardSize(slots: number): number {
  return headerBytes + slots * slotBytes;
}

export class Scoreboard {
  readonly #ints: Int32Array;
  readonly #doubles: Float64Array;

  /** Maps the memory behind a descriptor from `sharedMemory`. */
  constructor(fd: number) {
    const memory = Bun.mmap(`/proc/self/fd/${fd}`, { shared: true });
    this.#ints = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength >> 2);
    this.#doubles = new Float64Array(memory.buffer, memory.byteOffset, memory.byteLength >> 3);
  }

  /** The master's first act on fresh memory. */
  initialise(slots: number, webWorkers: number): void {
    this.#ints[at.version] = version;
    this.#ints[at.slots] = slots;
    this.#ints[at.webWorkers] = webWorkers;
  }

  #int(index: number): number {
    return this.#ints[index] ?? 0;
  }

  #slotInt(slot: number, name: keyof typeof field): number {
    return this.#int(intsOf(slot) + field[name]);
  }

  threads(slot: number): number {
    return this.#slotInt(slot, "threads");
  }

  cause(slot: number): number {
    return this.#slotInt(slot, "cause");
  }

  /** The id of the last request from this web worker that the app worker has begun; 0: none. Of several threads: the latest. */
  begun(slot: number, webWorker: number): number {
    return Atomics.load(this.#ints, intsOf(slot) + field.begun + webWorker) >>> 0;
  }

  /**
   * Takes back all requests from this web worker that the app worker has not begun, or (false) allows requests again. Returns the last
   * that it has begun: what comes after that one will not be run. The app worker says what it begins before it looks at this word, we
   * write the word before we look at what it has begun: at least one of us sees the other.
   */
  takeBack(slot: number, webWorker: number, taken: boolean): number {
    Atomics.store(this.#ints, intsOf(slot) + field.takenBack + webWorker, taken ? 1 : 0);
    return this.begun(slot, webWorker);
  }

  /** A worker has just connected: it has begun nothing from this web worker, and nothing was taken back from it. */
  beginLink(slot: number, webWorker: number): void {
    Atomics.store(this.#ints, intsOf(slot) + field.begun + webWorker, 0);
    Atomics.store(this.#ints, intsOf(slot) + field.takenBack + webWorker, 0);
  }

  /** Seconds of CLOCK_MONOTONIC when the oldest running request began; 0: none runs. */
  started(slot: number): number {
    return this.#doubles[doublesOf(slot) + time.started] ?? 0;
  }

  state(slot: number): WorkerState {
    return states[this.#slotInt(slot, "state")] ?? "free";
  }

  /** Requests answered. */
  done(slot: number): number {
    return this.#slotInt(slot, "done") >>> 0;
  }

  /** Resident bytes, as last looked at; 0: not yet. */
  residentBytes(slot: number): number {
    return this.#slotInt(slot, "rss") * 1024;
  }

  /** Seconds of CLOCK_MONOTONIC of the last sign of life of a worker with several threads. */
  heartbeat(slot: number): number {
    return this.#doubles[doublesOf(slot) + time.heartbeat] ?? 0;
  }

  /** Recent mean time per request, seconds. */
  service(slot: number): number {
    return this.#doubles[doublesOf(slot) + time.service] ?? 0;
  }

  /** Requests given to the worker and not yet answered, by all web workers together. */
  load(slot: number): number {
    return Atomics.load(this.#ints, intsOf(slot) + field.load);
  }

  /** Takes a place in front of a worker, unless others took the last of `limit` first. */
  take(slot: number, webWorker: number, limit: number): boolean {
    const index = intsOf(slot);
    for (;;) {
      const load = Atomics.load(this.#ints, index + field.load);
      if (load >= limit) return false;
      if (Atomics.compareExchange(this.#ints, index + field.load, load, load + 1) !== load) continue;
      this.#add(index + field.given + webWorker, 1);
      return true;
    }
  }

  /** Gives a place back. */
  giveBack(slot: number, webWorker: number): void {
    const index = intsOf(slot);
    Atomics.sub(this.#ints, index + field.load, 1);
    this.#add(index + field.given + webWorker, -1);
  }

  /** A web worker is gone, or a slot has a new tenant for it: takes back what that web worker had given. */
  forget(slot: number, webWorker: number): void {
    const index = intsOf(slot) + field.given + webWorker;
    Atomics.sub(this.#ints, intsOf(slot) + field.load, this.#int(index));
    this.#ints[index] = 0;
  }

  #add(index: number, by: number): void {
    this.#ints[index] = this.#int(index) + by;
  }

  /** Since when a web worker's oldest waiting request waits, ms of CLOCK_MONOTONIC (any clock that all share); 0: none waits. */
  setWaiting(webWorker: number, sinceMs: number): void {
    Atomics.store(this.#ints, at.waiting + webWorker, sinceMs === 0 ? 0 : stamp(sinceMs));
  }

  /** How many requests wait in this web worker. */
  setQueueLength(webWorker: number, length: number): void {
    this.#ints[queueIntsOf(webWorker) + queue.length] = length;
  }

  /** A request that had waited for so long has been given to a worker. */
  noteWait(webWorker: number, seconds: number): void {
    const doubles = queueDoublesOf(webWorker);
    this.#add(queueIntsOf(webWorker) + queue.waited, 1);
    this.#doubles[doubles + queue.seconds] = (this.#doubles[doubles + queue.seconds] ?? 0) + seconds;
    this.#doubles[doubles + queue.longest] = Math.max(this.#doubles[doubles + queue.longest] ?? 0, seconds);
  }

  queues(): QueueFacts {
    let [length, waited, seconds, longest] = [0, 0, 0, 0];
    for (let each = 0; each < this.#int(at.webWorkers); each++) {
      const doubles = queueDoublesOf(each);
      length += this.#int(queueIntsOf(each) + queue.length);
      waited += this.#int(queueIntsOf(each) + queue.waited) >>> 0;
      seconds += this.#doubles[doubles + queue.seconds] ?? 0;
      longest = Math.max(longest, this.#doubles[doubles + queue.longest] ?? 0);
    }
    return { length, waited, seconds, longest };
  }

  /** Does another web worker have a request that has waited longer than one of ours that began to wait at `sinceMs`? */
  othersWaitLonger(webWorker: number, sinceMs: number): boolean {
    const others = this.#int(at.webWorkers);
    for (let other = 0; other < others; other++) {
      const since = other === webWorker ? 0 : Atomics.load(this.#ints, at.waiting + other);
      if (since === 0) continue;
      // The difference of two stamps is right even when one has wrapped round.
      const earlier = (stamp(sinceMs) - since) | 0;
      if (earlier > 0 || (earlier === 0 && other < webWorker)) return true;
    }
    return false;
  }
}

/** 32 bits of a time, never 0. */
const stamp = (ms: number): number => Math.floor(ms) | 0 || 1;
const intsOf = (slot: number): number => (headerBytes + slot * slotBytes) >> 2;
const queueIntsOf = (webWorker: number): number => (queuesAt + webWorker * queueBytes) >> 2;
const queueDoublesOf = (webWorker: number): number => (queuesAt + webWorker * queueBytes) >> 3;
const doublesOf = (slot: number): number => (headerBytes + slot * slotBytes) >> 3;
