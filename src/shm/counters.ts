/**
 * What all web workers together have counted (`stub_status`, metrics). Each process has a lane of its own, where nobody else writes, so that
 * counting is exact and costs an addition.
 */

/** Counters only grow, and outlive the process that counted. Gauges say what is now, and end with it. */
const rows = {
  accepted: "counter",
  handled: "counter",
  requests: "counter",
  active: "gauge",
  /** Connections on which a request's head has begun to arrive; requests in progress. All other connections wait for requests. */
  reading: "gauge",
  writing: "gauge",
} as const;

export type CounterName = keyof typeof rows;

const names = Object.keys(rows) as CounterName[];
const places = Object.fromEntries(names.map((name, i) => [name, i + 1])) as Record<CounterName, number>;
/** 128 bytes, two cache lines, which processors fetch together. Word 0 is the owner's process number; then one double each. */
const laneBytes = 128;
/** Sixteen web workers, and as many generations of them that still finish what they have begun. */
const lanes = 256;

/** Bytes of shared memory for the counters. */
export const countersBytes = lanes * laneBytes;

export class Counters {
  readonly #ints: Int32Array;
  readonly #doubles: Float64Array;

  /** Maps the memory behind a descriptor from `sharedMemory`, of `countersBytes` zeros at first. */
  constructor(fd: number) {
    const memory = Bun.mmap(`/proc/self/fd/${fd}`, { shared: true });
    this.#ints = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength >> 2);
    this.#doubles = new Float64Array(memory.buffer, memory.byteOffset, memory.byteLength >> 3);
  }

  /** A lane for this process, until the master calls `release` for it. Throws an Error if all are taken. */
  claim(pid: number): number {
    for (let lane = 0; lane < lanes; lane++)
      if (Atomics.compareExchange(this.#ints, lane * (laneBytes / 4), 0, pid) === 0) return lane;
    throw new Error(`more than ${lanes} processes count at once`);
  }

  /** Does a process have this lane? If not, what it held is held by nobody. */
  isClaimed(lane: number): boolean {
    return Atomics.load(this.#ints, lane * (laneBytes / 4)) !== 0;
  }

  /** For the master, when a process has ended: what it counted stays, what it was doing is over, its lane is free. */
  release(pid: number): void {
    for (let lane = 0; lane < lanes; lane++) {
      if (Atomics.load(this.#ints, lane * (laneBytes / 4)) !== pid) continue;
      for (const name of names) if (rows[name] === "gauge") this.#doubles[indexOf(lane, name)] = 0;
      Atomics.store(this.#ints, lane * (laneBytes / 4), 0);
    }
  }

  /** Adds to a counter, or adds to or (n < 0) takes from a gauge. Only the process whose lane it is may do that. */
  add(lane: number, name: CounterName, n: number): void {
    const index = indexOf(lane, name);
    this.#doubles[index] = (this.#doubles[index] ?? 0) + n;
  }

  /** Over all processes, exact up to 2^53. */
  total(name: CounterName): number {
    let sum = 0;
    for (let lane = 0; lane < lanes; lane++) sum += this.#doubles[indexOf(lane, name)] ?? 0;
    return sum;
  }
}

const indexOf = (lane: number, name: CounterName): number => lane * (laneBytes / 8) + places[name];
