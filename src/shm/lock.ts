/**
 * Mutual exclusion between processes, in one word of shared memory: 0, or who holds it.
 * Its law: what is done under it is short and synchronous, nobody takes two at once, and a holder that was killed does not matter:
 * who waits finds that it is gone, takes the lock over, and repairs what it may have left half done.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Looks at a taken lock before it goes to sleep: about 20 µs, many times what anybody does under a lock. Alone on one core nobody would let go meanwhile. */
const spins = availableParallelism() > 1 ? 400 : 1;
/** The kernel makes about 0.1 ms of it. */
const sleepMs = 0.05;
/** Sleeps before each look whether the holder still lives, which costs two or three system calls. */
const sleepsPerLook = 8;
/** A process number takes 22 bits on Linux (PID_MAX_LIMIT); the rest tells it from a later process with the same number. */
const pidBits = 22;

// Nobody wakes who sleeps here: the runtime's wait across processes does not exist, its wait with a limit of time is a precise sleep.
const bed = new Int32Array(new SharedArrayBuffer(4));
const me = ownerWord(process.pid);
/** This process holds a lock, whichever. */
let holding = false;

export class ZoneLock {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #repair: () => void;
  #held = false;

  /**
   * A lock in this word of shared memory, which is 0 at first. `repair` is called under the lock when it was taken over from a process that
   * died with it; that may happen again before it returns, in another process.
   */
  constructor(words: Int32Array, index: number, repair: () => void) {
    this.#words = words;
    this.#index = index;
    this.#repair = repair;
  }

  /** This process is inside `locked`. */
  get held(): boolean {
    return this.#held;
  }

  /** Runs `work` while no other process is in here. Throws what `work` throws, and an Error when this process holds a lock already. */
  locked<T>(work: () => T): T {
    if (holding) throw new Error("a lock of shared memory is taken inside another one");
    const taken = Atomics.compareExchange(this.#words, this.#index, 0, me) === 0;
    const inherited = taken ? false : this.#contend();
    holding = true;
    this.#held = true;
    try {
      if (inherited) this.#repair();
      return work();
    } finally {
      this.#held = false;
      holding = false;
      Atomics.store(this.#words, this.#index, 0);
    }
  }

  /** Waits for the lock and takes it; true: from a dead process. */
  #contend(): boolean {
    for (let sleeps = 1; ; sleeps++) {
      for (let i = 0; i < spins; i++) {
        if (Atomics.load(this.#words, this.#index) === 0 && this.#takeFrom(0)) return false;
        Atomics.pause();
      }
      if (sleeps % sleepsPerLook === 0) {
        const owner = Atomics.load(this.#words, this.#index);
        if (owner !== 0 && isGone(owner) && this.#takeFrom(owner)) return true;
      }
      Atomics.wait(bed, 0, 0, sleepMs);
    }
  }

  #takeFrom(owner: number): boolean {
    return Atomics.compareExchange(this.#words, this.#index, owner, me) === owner;
  }
}

/** What a process writes into a lock: its number and a trace of when it began (0: that is not known). Never 0. */
function ownerWord(pid: number): number {
  const began = processStatus(pid)?.began;
  const trace = began === undefined ? 0 : 1 + (began % 1023);
  return pid | (trace << pidBits);
}

function isGone(owner: number): boolean {
  const pid = owner & ((1 << pidBits) - 1);
  const trace = owner >>> pidBits;
  const status = processStatus(pid);
  if (status === undefined) return !exists(pid);
  // Ended, but its parent has not asked yet how: it may be the parent who waits here.
  if (status.state === "Z" || status.state === "X") return true;
  return trace !== 0 && trace !== 1 + (status.began % 1023);
}

/** Of /proc/PID/stat (proc(5)) the state and the time of the start; undefined: no such process, or it is hidden from this user. */
function processStatus(pid: number): { state: string; began: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name before it may contain anything, ")" too.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", began: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and is not ours.
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}
