/** One application: its scoreboard, the sockets over which its workers reach the web workers, and its arbiter, which a reload replaces. */
import type { LogLevel } from "../base/log.ts";
import { closeFd, listenAbstract, monotonicSeconds, sharedMemory } from "../net/libc.ts";
import { type QueueFacts, Scoreboard, scoreboardSize, type WorkerState } from "../shm/scoreboard.ts";
import { Arbiter } from "./arbiter.ts";
import type { AppPlan } from "./plan.ts";
import type { Report } from "./report.ts";
import { atMost, withDeadline } from "./waiting.ts";

/** Slots on the scoreboard. Two generations of workers live side by side during a reload, each in its own half. */
const slots = 256;
const half = slots / 2;
/** A new generation that is not ready by then is given up: one of its workers may fail to start again and again. */
export const readyWithinMs = 120_000;
/** Between the death of an arbiter and its replacement: an application that cannot be loaded any more must not occupy the machine. */
const pauseMs = 1000;
/** How much longer than its workers' time to finish an arbiter may take. */
const leaveMs = 2000;

export interface AppSideOptions {
  readonly plan: AppPlan;
  readonly webWorkers: number;
  readonly secret: string;
  readonly errorLog: string;
  readonly logLevel: LogLevel;
  readonly report: Report;
}

/** A worker, and what the scoreboard says of it. Times in seconds until now. */
export interface WorkerFacts {
  readonly pid: number;
  /** Which one it was, counted from the start. */
  readonly age: number;
  readonly generation: number;
  readonly state: WorkerState;
  readonly threads: number;
  /** Requests answered. */
  readonly done: number;
  /** As last looked at; 0: not yet. */
  readonly residentBytes: number;
  /** Since its start. */
  readonly seconds: number;
  /** Since the oldest request that runs began; undefined: none runs. */
  readonly busySeconds: number | undefined;
  /** Since its last sign of life, of workers with several threads. */
  readonly silentSeconds: number | undefined;
}

const sinceOr = (then: number): number | undefined => (then > 0 ? Math.max(monotonicSeconds() - then, 0) : undefined);

export class AppSide {
  readonly #options: AppSideOptions;
  #plan: AppPlan;
  readonly board: number;
  readonly #view: Scoreboard;
  /** By web worker. */
  readonly links: readonly { readonly fd: number; readonly name: string }[];
  #arbiter: Arbiter;
  /** Those whose workers are finishing what they have. */
  readonly #leaving = new Set<Arbiter>();
  /** Loads new code while the other serves. */
  #fresh: Arbiter | undefined;
  #generation = 0;
  #workers: number;
  #isServing = false;
  #stopping = false;

  constructor(options: AppSideOptions) {
    this.#options = options;
    this.#plan = options.plan;
    this.#workers = options.plan.workers;
    this.board = sharedMemory("alicorn-scoreboard", scoreboardSize(slots));
    this.#view = new Scoreboard(this.board);
    this.#view.initialise(slots, options.webWorkers);
    this.links = Array.from({ length: options.webWorkers }, () => listenAbstract(slots));
    this.#arbiter = this.#start();
    void this.#arbiter.serving.then(
      () => {
        this.#isServing = true;
      },
      () => {},
    );
  }

  get plan(): AppPlan {
    return this.#plan;
  }

  /** Which start of the application it is, from 1. */
  get generation(): number {
    return this.#arbiter.generation;
  }

  /** All workers are ready. Rejected with ArbiterFailure if the application cannot be loaded. */
  get serving(): Promise<void> {
    return this.#arbiter.serving;
  }

  #start(): Arbiter {
    const { secret, errorLog, logLevel } = this.#options;
    this.#generation++;
    const arbiter = new Arbiter({
      plan: { ...this.#plan, workers: this.#workers },
      generation: this.#generation,
      firstAge: this.#generation === 1 ? 0 : this.#arbiter.lastAge,
      slots: [(this.#generation % 2) * half, half],
      board: this.board,
      links: this.links.map(({ name }) => name),
      secret,
      errorLog,
      logLevel,
    });
    void arbiter.exited.then((code) => this.#onGone(arbiter, code));
    // Whoever starts one decides what its failure means; unheard, it must not end the process.
    arbiter.serving.catch(() => {});
    return arbiter;
  }

  /** An arbiter that nobody told to stop: its workers are orphans. A new generation takes over. */
  #onGone(arbiter: Arbiter, code: number): void {
    if (arbiter !== this.#arbiter || this.#stopping || !this.#isServing) return;
    this.#options.report.arbiterEnded(arbiter.pid, code);
    killAll(arbiter, "SIGTERM");
    const again = () => {
      if (!this.#stopping && arbiter === this.#arbiter) this.#arbiter = this.#start();
    };
    setTimeout(again, pauseMs);
  }

  /** New workers start and are ready before the old ones stop: no request fails. Throws if they do not get ready; then nothing has changed. */
  async reload(plan: AppPlan): Promise<void> {
    const before = { plan: this.#plan, workers: this.#workers };
    const { gunicorn } = plan;
    const facts = gunicorn && {
      gunicorn: { ...gunicorn, previous_workers: before.workers, worker_age: this.#arbiter.lastAge },
    };
    this.#plan = { ...plan, ...facts };
    this.#workers = plan.workers;
    const fresh = this.#start();
    this.#fresh = fresh;
    try {
      await withDeadline(fresh.serving, readyWithinMs, "its workers were not ready in time");
      const old = this.#arbiter;
      this.#arbiter = fresh;
      this.#leaving.add(old);
      void old.exited.then(() => this.#leaving.delete(old));
      old.stop();
    } catch (error) {
      fresh.quit();
      this.#plan = before.plan;
      this.#workers = before.workers;
      throw error;
    } finally {
      this.#fresh = undefined;
      if (this.#stopping) fresh.quit();
    }
  }

  /** How many workers there should be. */
  get size(): number {
    return this.#workers;
  }

  /** How many workers have been started. */
  get booted(): number {
    return this.#arbiter.lastAge;
  }

  /** All workers, those of a generation that is leaving first. */
  get workers(): readonly WorkerFacts[] {
    return [...this.#arbiters].flatMap(({ generation, living }) =>
      living.map(({ pid, slot, age, startedAt }) => ({
        pid,
        age,
        generation,
        state: this.#view.state(slot),
        threads: this.#view.threads(slot),
        done: this.#view.done(slot),
        residentBytes: this.#view.residentBytes(slot),
        seconds: (performance.now() - startedAt) / 1000,
        busySeconds: sinceOr(this.#view.started(slot)),
        silentSeconds: sinceOr(this.#view.heartbeat(slot)),
      })),
    );
  }

  /** How requests wait for a free worker. */
  get queue(): QueueFacts {
    return this.#view.queues();
  }

  get #arbiters(): readonly Arbiter[] {
    return [...this.#leaving, this.#arbiter, ...(this.#fresh === undefined ? [] : [this.#fresh])];
  }

  #arbiterOf(pid: number): Arbiter | undefined {
    return this.#arbiters.find(({ living }) => living.some((worker) => worker.pid === pid));
  }

  /** Replaces one worker; false: it is none of ours. */
  recycle(pid: number): boolean {
    const arbiter = this.#arbiterOf(pid);
    arbiter?.recycle(pid);
    return arbiter !== undefined;
  }

  /** Where a worker's threads are; undefined: it is none of ours. */
  stack(pid: number): Promise<string> | undefined {
    return this.#arbiterOf(pid)?.stack(pid);
  }

  /** A web worker is gone: what it had given to app workers is no longer waited for by anybody. */
  forget(webWorker: number): void {
    for (let slot = 0; slot < slots; slot++) this.#view.forget(slot, webWorker);
    this.#view.setWaiting(webWorker, 0);
  }

  /** One worker more or fewer, at least one; undefined: there is no room for that. */
  resize(by: number): number | undefined {
    const count = Math.min(Math.max(this.#workers + by, 1), half - 1);
    if (count === this.#workers) return undefined;
    this.#workers = count;
    this.#arbiter.setWorkers(count);
    return count;
  }

  reopenLogs(): void {
    this.#arbiter.reopenLogs();
  }

  tellUpgrade(): void {
    this.#arbiter.tellUpgrade();
  }

  /** Ends without waiting for requests. `forGood`: the service ends. */
  quit(forGood: boolean): void {
    this.#stopping = true;
    this.#fresh?.quit();
    this.#arbiter.quit(forGood);
  }

  /** The web workers have left: lets the application's workers finish, unless they were told to quit, and waits for their end. */
  async end(graceful: boolean, forGood: boolean): Promise<void> {
    this.#stopping = true;
    // Before the application's workers leave: they would connect again, and wait for the LAST of nobody.
    for (const { fd } of this.links) closeFd(fd);
    this.#fresh?.quit();
    if (graceful) this.#arbiter.stop(forGood);
    else this.#arbiter.quit(forGood);
    await atMost(this.#arbiter.exited, (graceful ? this.#plan.graceful_timeout * 1000 : 0) + leaveMs);
    this.#arbiter.kill();
    killAll(this.#arbiter, "SIGKILL");
    closeFd(this.board);
  }
}

function killAll({ workers }: Arbiter, name: NodeJS.Signals): void {
  for (const pid of workers) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended already.
    }
  }
}
