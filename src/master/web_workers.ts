/** The web-worker processes: started, replaced when they die, drained at the end. */

import { join } from "node:path";
import type { Subprocess } from "bun";
import type { GivenCall } from "../app/dispatch.ts";
import type { WorkerOrder, WorkerPlan, WorkerReport } from "../worker/plan.ts";
import { type Ending, endingOf, type Report } from "./report.ts";

const main = join(import.meta.dir, "../main.ts");
/**
 * How the runtime manages memory: one thread marks, since the cores have better things to do than to help each other, and freed pages
 * are kept for a while instead of being faulted in again. Hello: 9 % more requests/s, p99 3 instead of 4.2 ms (2 cores).
 */
const memorySettings = { BUN_JSC_numberOfGCMarkers: "1", MIMALLOC_PURGE_DELAY: "2000" };
/** A worker that dies sooner than this after its start is replaced after a pause only, ms. */
const tooSoonMs = 1000;
/** A worker that ends so has said that it cannot work (a file, a user's rights): another one would do no better. */
const fatalCode = 2;

export interface WebWorkerOptions {
  readonly plan: WorkerPlan;
  /** Descriptors in the order that `firstInherited` tells. */
  readonly fds: readonly number[];
  readonly report: Report;
  /** A process in this place has ended, whatever for; a dead one is not replaced yet. */
  readonly onEnd: (webWorker: number, pid: number) => void;
}

/** How long a web worker is waited for that was asked what is going on, ms. */
const answerMs = 1000;

/** By application's name. */
export type Calls = Readonly<Record<string, readonly GivenCall[]>>;

/** What several web workers have said. */
export function joinCalls(all: readonly Calls[]): Calls {
  const names = new Set(all.flatMap((calls) => Object.keys(calls)));
  return Object.fromEntries([...names].map((name) => [name, all.flatMap((calls) => calls[name] ?? [])]));
}

/** One place for a web worker, and the process that fills it. */
export class WebWorker {
  readonly #options: WebWorkerOptions;
  #process!: Subprocess;
  #resolveReady: () => void = () => {};
  #resolveServing: () => void = () => {};
  #rejectReady: (why: Error) => void = () => {};
  #rejectServing: (why: Error) => void = () => {};
  #stopping = false;
  #asked = 0;
  readonly #questions = new Map<number, (calls: Calls) => void>();
  #isReady = false;
  /** It is to accept, and so is who takes its place. */
  #accepts = false;
  /** It can accept connections. Rejected if it never will. */
  readonly ready: Promise<void>;
  /** It accepts them. Rejected likewise. */
  readonly serving: Promise<void>;
  #left: () => void = () => {};
  /** The last process in this place has ended after `drain` or `kill`, or says that it cannot work. */
  readonly left: Promise<void>;

  constructor(options: WebWorkerOptions) {
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.serving = new Promise((resolve, reject) => {
      this.#resolveServing = resolve;
      this.#rejectServing = reject;
    });
    // Whoever starts one decides what its failure means; unheard, it must not end the master.
    this.ready.catch(() => {});
    this.serving.catch(() => {});
    this.left = new Promise((resolve) => {
      this.#left = resolve;
    });
    this.#start();
  }

  get pid(): number {
    return this.#process.pid;
  }

  #start(): void {
    const { fds, plan, report } = this.#options;
    const startedAt = performance.now();
    this.#isReady = false;
    this.#process = Bun.spawn([process.execPath, main, "--web-worker"], {
      stdio: ["ignore", "inherit", "inherit", ...fds],
      env: { ...memorySettings, ...process.env },
      serialization: "json",
      ipc: (report: WorkerReport) => this.#take(report),
      onExit: (_, code, signal) => this.#onExit(startedAt, endingOf(code, signal)),
    });
    report.webWorkerStarted(this.pid);
    this.#send(plan);
  }

  #take(report: WorkerReport): void {
    if (report.type === "serving") return this.#resolveServing();
    if (report.type === "ready") {
      this.#isReady = true;
      this.#resolveReady();
      if (this.#accepts) this.#send({ type: "accept" });
      return;
    }
    this.#questions.get(report.question)?.(report.calls);
    this.#questions.delete(report.question);
  }

  /** What it has given to the applications' workers; nothing, should it not answer in time. */
  async calls(): Promise<Calls> {
    const question = ++this.#asked;
    const answer = new Promise<Calls>((resolve) => this.#questions.set(question, resolve));
    this.#send({ type: "calls", question });
    const calls = await Promise.race([answer, Bun.sleep(answerMs)]);
    this.#questions.delete(question);
    return calls ?? {};
  }

  #onExit(startedAt: number, ending: Ending): void {
    const { report, onEnd, plan } = this.#options;
    report.webWorkerEnded(this.pid, ending, this.#stopping);
    onEnd(plan.webWorker, this.pid);
    if (!this.#stopping && ending.code === fatalCode) {
      report.wrong("alert", `worker process ${this.pid} exited with fatal code ${fatalCode} and cannot be respawned`);
      this.#stopping = true;
      const why = new Error("a web worker cannot work; its log says why");
      this.#rejectReady(why);
      this.#rejectServing(why);
    }
    if (this.#stopping) {
      this.#left();
      return;
    }
    const pause = performance.now() - startedAt < tooSoonMs ? tooSoonMs : 0;
    setTimeout(() => (this.#stopping ? this.#left() : this.#start()), pause);
  }

  /** Accepts connections, now or as soon as it can. */
  accept(): Promise<void> {
    this.#accepts = true;
    if (this.#isReady) this.#send({ type: "accept" });
    return this.serving;
  }

  /** Accepts nothing more, finishes what is under way within so many ms (0: however long it takes), and leaves. */
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
