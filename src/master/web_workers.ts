/** The web-worker processes: started, replaced when they die, drained at the end. */

import { join } from "node:path";
import type { Subprocess } from "bun";
import type { Log } from "../base/log.ts";
import type { WorkerOrder, WorkerPlan } from "../worker/plan.ts";

const main = join(import.meta.dir, "../main.ts");
/**
 * How the runtime manages memory: one thread marks, since the cores have better things to do than to help each other, and freed pages
 * are kept for a while instead of being faulted in again. Hello: 9 % more requests/s, p99 3 instead of 4.2 ms (2 cores).
 */
const memorySettings = { BUN_JSC_numberOfGCMarkers: "1", MIMALLOC_PURGE_DELAY: "2000" };
/** A worker that dies sooner than this after its start is replaced after a pause only, ms. */
const tooSoonMs = 1000;

export interface WebWorkerOptions {
  readonly plan: WorkerPlan;
  /** Descriptors in the order of `inherited`: scoreboard, link socket, listening sockets. */
  readonly fds: readonly number[];
  readonly log: Log;
  /** It has died unexpectedly, and before it is replaced. */
  readonly onDeath: (webWorker: number) => void;
}

/** One place for a web worker, and the process that fills it. */
export class WebWorker {
  readonly #options: WebWorkerOptions;
  #process!: Subprocess;
  #serving: () => void = () => {};
  #stopping = false;
  /** It accepts connections. */
  readonly serving: Promise<void>;
  #left: () => void = () => {};
  /** The last process in this place has ended after `drain` or `kill`. */
  readonly left: Promise<void>;

  constructor(options: WebWorkerOptions) {
    this.#options = options;
    this.serving = new Promise((resolve) => {
      this.#serving = resolve;
    });
    this.left = new Promise((resolve) => {
      this.#left = resolve;
    });
    this.#start();
  }

  get pid(): number {
    return this.#process.pid;
  }

  #start(): void {
    const { fds, plan } = this.#options;
    const startedAt = performance.now();
    this.#process = Bun.spawn([process.execPath, main, "--web-worker"], {
      stdio: ["ignore", "inherit", "inherit", ...fds],
      env: { ...memorySettings, ...process.env },
      serialization: "json",
      ipc: () => this.#serving(),
      onExit: (_, code, signal) =>
        this.#onExit(startedAt, signal === null ? `with code ${code}` : `on signal ${signal}`),
    });
    this.#send(plan);
  }

  #onExit(startedAt: number, how: string): void {
    if (this.#stopping) {
      this.#left();
      return;
    }
    const { log, onDeath, plan } = this.#options;
    log.error(`web worker (pid:${this.pid}) ended ${how}; it is replaced`);
    onDeath(plan.webWorker);
    const pause = performance.now() - startedAt < tooSoonMs ? tooSoonMs : 0;
    setTimeout(() => (this.#stopping ? this.#left() : this.#start()), pause);
  }

  /** Accepts nothing more, finishes what is under way within so many ms, and leaves. */
  drain(withinMs: number): void {
    this.#stopping = true;
    this.#send({ type: "drain", withinMs });
  }

  kill(): void {
    this.#stopping = true;
    this.#process.kill("SIGKILL");
  }

  reopenLogs(): void {
    this.#send({ type: "reopen" });
  }

  #send(order: WorkerOrder): void {
    try {
      this.#process.send(order);
    } catch {
      // It has just ended; `onExit` deals with that.
    }
  }
}
