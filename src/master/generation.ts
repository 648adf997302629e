/** All processes of one configuration: applications and web workers, from their start to the end of the last. */
import type { WorkerPlan } from "../worker/plan.ts";
import { AppSide } from "./app_side.ts";
import type { SharedMemories, ZoneMemory } from "./memory.ts";
import type { Plan } from "./plan.ts";
import type { Report } from "./report.ts";
import { type Listening, localEnd, socketsFor } from "./sockets.ts";
import { version } from "./version.ts";
import { atMost } from "./waiting.ts";
import { WebWorker } from "./web_workers.ts";

/** Web workers that are told to leave at once, or whose time is over, have this long before they are killed, ms. */
const lastWordsMs = 1000;

export interface GenerationOptions {
  readonly plan: Plan;
  readonly listening: readonly Listening[];
  readonly memories: SharedMemories;
  readonly zones: readonly ZoneMemory[];
  /** worker_connections as far as the limit of open files allows. */
  readonly connections: number;
  readonly secret: string;
  readonly report: Report;
  /** Nobody else serves: clients are better off with a connection that waits for the applications than with none. */
  readonly isFirst: boolean;
}

export class Generation {
  readonly #options: GenerationOptions;
  readonly apps: readonly AppSide[];
  readonly #webWorkers: readonly WebWorker[];
  /** All answer. Rejected with ArbiterFailure or another Error if something cannot. */
  readonly serving: Promise<unknown>;
  #cut: () => void = () => {};
  /** `cut` was called. */
  readonly #isCut: Promise<void>;
  #ended: Promise<void> | undefined;

  constructor(options: GenerationOptions) {
    this.#options = options;
    const { plan, secret, report } = options;
    const { webWorkers, errorLog, logLevel } = plan;
    this.#isCut = new Promise((resolve) => {
      this.#cut = resolve;
    });
    this.apps = plan.apps.map((app) => new AppSide({ plan: app, webWorkers, secret, errorLog, logLevel, report }));
    this.#webWorkers = Array.from({ length: webWorkers }, (_, i) => this.#startWebWorker(i));
    this.serving = this.#begin(options.isFirst);
    this.serving.catch(() => {});
  }

  /** Where others serve, no client comes here before all of it can: if something cannot, nobody has noticed. */
  async #begin(isFirst: boolean): Promise<unknown> {
    const applications = Promise.all(this.apps.map(({ serving }) => serving));
    if (!isFirst) await Promise.all([applications, ...this.#webWorkers.map(({ ready }) => ready)]);
    return Promise.all([applications, ...this.#webWorkers.map((worker) => worker.accept())]);
  }

  get plan(): Plan {
    return this.#options.plan;
  }

  #startWebWorker(webWorker: number): WebWorker {
    const { plan, listening, memories, zones, report } = this.#options;
    const sockets = listening.flatMap((each) =>
      socketsFor(each, webWorker, plan.webWorkers).map((fd) => ({
        fd,
        listener: { key: each.plan?.key ?? "", local: localEnd(each) },
      })),
    );
    return new WebWorker({
      plan: this.#workerPlan(
        webWorker,
        sockets.map(({ listener }) => listener),
      ),
      fds: [
        memories.counters,
        ...this.apps.flatMap(({ board, links }) => [board, links[webWorker]?.fd ?? -1]),
        ...zones.map(({ fd }) => fd),
        ...sockets.map(({ fd }) => fd),
      ],
      report,
      onEnd: (_, pid) => {
        memories.forget(pid);
        for (const app of this.apps) app.forget(webWorker);
      },
    });
  }

  #workerPlan(webWorker: number, listeners: WorkerPlan["listeners"]): WorkerPlan {
    const { plan, listening, connections, secret } = this.#options;
    return {
      type: "start",
      webWorker,
      webWorkers: plan.webWorkers,
      configuration: plan.configuration,
      apps: plan.apps.map(({ name, timeout }) => ({ name, queueTimeoutMs: timeout * 1000 })),
      zones: plan.zones,
      listeners,
      secret,
      connections,
      leftovers: {
        unixPaths: listening.flatMap(({ address }) => (address.kind === "unix" ? [address.path] : [])),
        pidFile: plan.pidFile,
        masterPid: process.pid,
      },
      user: plan.user,
      version,
    };
  }

  get webWorkers(): readonly WebWorker[] {
    return this.#webWorkers;
  }

  reopenLogs(): void {
    for (const each of [...this.#webWorkers, ...this.apps]) each.reopenLogs();
  }

  /**
   * Ends, once: clients are served to the end first, then the applications' workers go. `withinMs`: how long clients may take, 0: as long
   * as they like. `graceful` false: nobody is waited for. `forGood`: no other generation follows.
   */
  end(graceful: boolean, withinMs: number, forGood = false): Promise<void> {
    this.#ended ??= this.#end(graceful, withinMs, forGood);
    return this.#ended;
  }

  async #end(graceful: boolean, withinMs: number, forGood: boolean): Promise<void> {
    if (!graceful) this.#cut();
    let isCut = !graceful;
    void this.#isCut.then(() => {
      isCut = true;
      for (const app of this.apps) app.quit(forGood);
    });
    for (const worker of this.#webWorkers) worker.drain(graceful ? withinMs : 1);
    const left = Promise.all(this.#webWorkers.map((worker) => worker.left));
    if (graceful) {
      const first = Promise.race([left, this.#isCut]);
      await (withinMs === 0 ? first : atMost(first, withinMs));
      if (isCut) for (const worker of this.#webWorkers) worker.drain(1);
    }
    await atMost(left, lastWordsMs);
    for (const worker of this.#webWorkers) worker.kill();
    await Promise.all(this.apps.map((app) => app.end(!isCut, forGood)));
  }

  /** What `end` is waiting for need not be waited for any longer. */
  cut(): void {
    this.#cut();
  }
}
