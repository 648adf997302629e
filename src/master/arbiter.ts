/** The master's view of one app arbiter: the Python process that loads the application and forks its workers. */

import { join } from "node:path";
import type { Subprocess } from "bun";
import type { LogLevel } from "../base/log.ts";
import type { AppPlan } from "./plan.ts";
import { version } from "./version.ts";

/** What the arbiter reports (python/alicorn/arbiter.py). */
type Report =
  | { readonly type: "booting"; readonly slot: number; readonly pid: number }
  | { readonly type: "ready"; readonly slot: number; readonly pid: number }
  | {
      readonly type: "exited";
      readonly slot: number;
      readonly pid: number;
      readonly code: number | null;
      readonly signal: number | null;
    }
  /** Where a worker's threads are; "": it has not said so. */
  | { readonly type: "stack"; readonly pid: number; readonly text: string }
  | { readonly type: "failed"; readonly code: number; readonly message: string }
  /** Somebody has sent it a signal that is meant for the service. */
  | { readonly type: "signal"; readonly name: NodeJS.Signals };

export interface ArbiterOptions {
  readonly plan: AppPlan;
  readonly generation: number;
  /** How many workers there have been before. */
  readonly firstAge: number;
  /** Where on the scoreboard its workers live: first slot and how many. */
  readonly slots: readonly [first: number, count: number];
  readonly board: number;
  /** Abstract names of the web workers' sockets. */
  readonly links: readonly string[];
  readonly secret: string;
  readonly errorLog: string;
  readonly logLevel: LogLevel;
}

/** One of its workers. */
export interface Worker {
  readonly pid: number;
  /** Its place on the scoreboard. */
  readonly slot: number;
  /** Which one it was, counted from the service's start. */
  readonly age: number;
  /** By `performance.now()`. */
  readonly startedAt: number;
}

/** How long an arbiter is waited for that was asked for a worker's stack, ms. */
const stackMs = 3000;

const home = join(import.meta.dir, "../../python/alicorn");

export class Arbiter {
  readonly generation: number;
  readonly #process: Subprocess;
  readonly #wanted: number;
  readonly #living = new Map<number, Worker>();
  readonly #ready = new Set<number>();
  readonly #stacks = new Map<number, (text: string) => void>();
  /** How many workers it has started. */
  #booted = 0;
  readonly #firstAge: number;
  #isServing = false;
  #resolveServing: () => void = () => {};
  #rejectServing: (failure: ArbiterFailure) => void = () => {};
  /** All workers are ready for the first time. Rejected with ArbiterFailure if the application cannot be loaded. */
  readonly serving: Promise<void>;
  /** The process has ended, with this exit code. */
  readonly exited: Promise<number>;

  constructor(options: ArbiterOptions) {
    const { plan, generation, firstAge, slots, board, links, secret, errorLog, logLevel } = options;
    this.generation = generation;
    this.#wanted = plan.workers;
    this.#firstAge = firstAge;
    this.serving = new Promise((resolve, reject) => {
      this.#resolveServing = resolve;
      this.#rejectServing = reject;
    });
    this.#process = Bun.spawn([plan.python, home], {
      stdio: ["ignore", "inherit", "inherit", board],
      serialization: "json",
      ipc: (report: Report) => this.#take(report),
    });
    this.exited = this.#process.exited.then((code) => {
      this.#rejectServing(new ArbiterFailure(code, `the application's arbiter ended with code ${code}`));
      return code;
    });
    const { python: _, name: __, user, ...settings } = plan;
    this.#send({
      type: "start",
      ...settings,
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid, user: user.name }),
      generation,
      slots,
      links,
      secret,
      errorlog: errorLog,
      loglevel: logLevel,
      reload_extra_files: [],
      server_software: `alicorn/${version}`,
    });
  }

  /** The age of its last worker, as Gunicorn counts them. */
  get lastAge(): number {
    return this.#firstAge + this.#booted;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Process ids of its workers. */
  get workers(): ReadonlySet<number> {
    return new Set(this.#living.keys());
  }

  /** Those that live, oldest first. */
  get living(): readonly Worker[] {
    return [...this.#living.values()];
  }

  #take(report: Report): void {
    switch (report.type) {
      case "booting":
        this.#booted++;
        this.#living.set(report.pid, {
          pid: report.pid,
          slot: report.slot,
          age: this.lastAge,
          startedAt: performance.now(),
        });
        return;
      case "ready":
        this.#ready.add(report.pid);
        if (!this.#isServing && this.#ready.size >= this.#wanted) {
          this.#isServing = true;
          this.#resolveServing();
        }
        return;
      case "exited":
        this.#living.delete(report.pid);
        this.#ready.delete(report.pid);
        this.#answerStack(report.pid, "");
        return;
      case "stack":
        this.#answerStack(report.pid, report.text);
        return;
      case "signal":
        process.kill(process.pid, report.name);
        return;
      case "failed":
        this.#rejectServing(new ArbiterFailure(report.code, report.message));
    }
  }

  #answerStack(pid: number, text: string): void {
    this.#stacks.get(pid)?.(text);
    this.#stacks.delete(pid);
  }

  /** Where the worker's threads are, also if it is stuck; "" if it cannot say. */
  stack(pid: number): Promise<string> {
    const answer = new Promise<string>((resolve) => {
      const before = this.#stacks.get(pid);
      this.#stacks.set(pid, (text) => {
        before?.(text);
        resolve(text);
      });
    });
    this.#send({ type: "stack", pid });
    return Promise.race([answer, Bun.sleep(stackMs).then(() => "")]);
  }

  /** Replaces a worker: its successor starts, it finishes what it has, and leaves. */
  recycle(pid: number): void {
    this.#send({ type: "recycle", pid });
  }

  /** Lets the workers finish what they have, within graceful_timeout, and ends. `forGood`: no other arbiter follows. */
  stop(forGood = false): void {
    this.#send({ type: "stop", for_good: forGood });
  }

  /** Ends without waiting for requests. */
  quit(forGood = false): void {
    this.#send({ type: "quit", for_good: forGood });
  }

  /** Another program is about to be started with the same sockets. */
  tellUpgrade(): void {
    this.#send({ type: "upgrade" });
  }

  setWorkers(count: number): void {
    this.#send({ type: "workers", count });
  }

  reopenLogs(): void {
    this.#send({ type: "reopen" });
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #send(message: object): void {
    try {
      this.#process.send(message);
    } catch {
      // It has just ended; `exited` says so to whom it concerns.
    }
  }
}

/** The application could not be started; its arbiter has told the user why. */
export class ArbiterFailure extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
