/** The master process: binds, starts, supervises and ends all others. It never touches a request. */
import { randomBytes } from "node:crypto";
import type { Log } from "../base/log.ts";
import { closeFd, listenAbstract, raiseFileLimit, sharedMemory } from "../net/libc.ts";
import type { LogFile } from "../net/log_file.ts";
import { Scoreboard, scoreboardSize } from "../shm/scoreboard.ts";
import { Arbiter, ArbiterFailure } from "./arbiter.ts";
import { removePidFile, writePidFile } from "./pidfile.ts";
import type { Plan } from "./plan.ts";
import { closeAll, type Listening, listenOnAll } from "./sockets.ts";
import { WebWorker } from "./web_workers.ts";

/** Slots on the scoreboard. Two generations of workers live side by side during a reload, each in its own half. */
const slots = 256;
/** Descriptors that a web worker needs besides its connections: files, links, logs. */
const spareFds = 256;

/** A new generation that is not ready by then is given up: one of its workers may fail to start again and again. */
const reloadWithinMs = 120_000;

/** starting → serving ⇄ reloading → stopping */
type State = "starting" | "serving" | "reloading" | "stopping";

export class Master {
  readonly #plan: Plan;
  readonly #log: Log;
  readonly #logFile: LogFile;
  #state: State = "starting";
  #listening: Listening[] = [];
  #board!: { readonly fd: number; readonly view: Scoreboard };
  #links: { readonly fd: number; readonly name: string }[] = [];
  #webWorkers: WebWorker[] = [];
  #arbiter!: Arbiter;
  #generation = 0;
  #workers: number;
  /** HUP came during a reload: once more, afterwards. */
  #reloadAgain = false;
  readonly #secret = randomBytes(16).toString("hex");
  #finish: (exitCode: number) => void = () => {};

  constructor(plan: Plan, log: Log, logFile: LogFile) {
    this.#plan = plan;
    this.#log = log;
    this.#logFile = logFile;
    this.#workers = plan.app.workers;
  }

  get listening(): readonly Listening[] {
    return this.#listening;
  }

  /** Serves until a signal ends it; returns the exit code. `onServing`: the application answers now. Throws StartError. */
  async run(onServing: () => void): Promise<number> {
    const plan = this.#plan;
    const limit = raiseFileLimit();
    if (plan.pidFile !== undefined) writePidFile(plan.pidFile);
    try {
      this.#listening = listenOnAll(plan.binds, plan.webWorkers, plan.backlog);
      const ended = new Promise<number>((resolve) => {
        this.#finish = resolve;
      });
      this.#handleSignals();
      this.#startProcesses(limit);
      void this.#whenServing(onServing);
      return await ended;
    } finally {
      this.#closeSockets();
      if (plan.pidFile !== undefined) removePidFile(plan.pidFile, process.pid);
    }
  }

  /** Ours; each web worker closes its own when it stops accepting. */
  #closeSockets(): void {
    closeAll(this.#listening);
    this.#listening = [];
  }

  #startProcesses(fileLimit: number): void {
    const { webWorkers } = this.#plan;
    const fd = sharedMemory("alicorn-scoreboard", scoreboardSize(slots));
    this.#board = { fd, view: new Scoreboard(fd) };
    this.#board.view.initialise(slots, webWorkers);
    for (let i = 0; i < webWorkers; i++) this.#links.push(listenAbstract(slots));
    this.#arbiter = this.#startArbiter();
    const connections = Math.min(this.#plan.limits.connections, Math.max(fileLimit - spareFds, 64));
    for (let i = 0; i < webWorkers; i++) this.#webWorkers.push(this.#startWebWorker(i, connections));
  }

  #startWebWorker(webWorker: number, connections: number): WebWorker {
    const plan = this.#plan;
    const link = this.#links[webWorker];
    if (link === undefined) throw new Error("no link socket");
    return new WebWorker({
      plan: {
        type: "start",
        webWorker,
        listeners: this.#listening.map(({ local }) => local),
        site: plan.site,
        limits: { ...plan.limits, connections },
        secret: this.#secret,
        queueTimeoutMs: plan.app.timeout * 1000,
        errorLog: plan.errorLog,
        logLevel: plan.logLevel,
        accessLog: plan.accessLog,
        leftovers: {
          unixPaths: this.#listening.flatMap(({ address }) => (address.kind === "unix" ? [address.path] : [])),
          pidFile: plan.pidFile,
          masterPid: process.pid,
        },
      },
      fds: [this.#board.fd, link.fd, ...this.#listening.map(({ fds }) => fds[webWorker] ?? -1)],
      log: this.#log,
      onDeath: () => this.#forgetWebWorker(webWorker),
    });
  }

  /** What it had given to app workers is no longer waited for by anybody. */
  #forgetWebWorker(webWorker: number): void {
    for (let slot = 0; slot < slots; slot++) this.#board.view.forget(slot, webWorker);
    this.#board.view.setWaiting(webWorker, 0);
  }

  #startArbiter(): Arbiter {
    this.#generation++;
    const half = slots / 2;
    const arbiter = new Arbiter({
      plan: { ...this.#plan.app, workers: this.#workers },
      generation: this.#generation,
      slots: [(this.#generation % 2) * half, half],
      board: this.#board.fd,
      links: this.#links.map(({ name }) => name),
      secret: this.#secret,
      errorLog: this.#plan.errorLog,
      logLevel: this.#plan.logLevel,
      log: this.#log,
    });
    void arbiter.exited.then((code) => this.#onArbiterGone(arbiter, code));
    // Whoever starts one decides what its failure means; unheard, it must not end the process.
    arbiter.serving.catch(() => {});
    return arbiter;
  }

  async #whenServing(onServing: () => void): Promise<void> {
    try {
      await Promise.all([this.#arbiter.serving, ...this.#webWorkers.map(({ serving }) => serving)]);
      if (this.#state !== "starting") return;
      this.#state = "serving";
      onServing();
    } catch (error) {
      if (this.#state === "stopping") return;
      this.#log.error((error as Error).message);
      await this.#end(error instanceof ArbiterFailure && error.exitCode > 0 ? error.exitCode : 1, false);
    }
  }

  /** An arbiter that nobody told to stop: its workers are orphans. A new generation takes over. */
  #onArbiterGone(arbiter: Arbiter, code: number): void {
    if (arbiter !== this.#arbiter || this.#state === "stopping" || this.#state === "starting") return;
    this.#log.error(`application arbiter (pid:${arbiter.pid}) ended with code ${code}; it is replaced`);
    for (const pid of arbiter.workers) signal(pid, "SIGTERM");
    const again = () => {
      if (this.#state !== "stopping") this.#arbiter = this.#startArbiter();
    };
    // A second at least between two tries: an application that cannot be loaded any more must not occupy the machine.
    setTimeout(again, 1000);
  }

  /** New workers start and are ready before the old ones stop: no request fails, and new code that fails changes nothing. */
  async #reload(): Promise<void> {
    if (this.#state === "reloading") this.#reloadAgain = true;
    if (this.#state !== "serving") return;
    this.#state = "reloading";
    this.#log.info("Hang up: reloading the application");
    this.#workers = this.#plan.app.workers;
    const old = this.#arbiter;
    const fresh = this.#startArbiter();
    try {
      await withDeadline(fresh.serving, reloadWithinMs, "its workers were not ready in time");
      this.#arbiter = fresh;
      old.stop();
      this.#log.info(`reloaded: generation ${fresh.generation} serves`);
    } catch (error) {
      fresh.quit();
      this.#log.error(`the reload failed, the application as it was keeps serving: ${(error as Error).message}`);
    }
    if (this.#isStopping()) fresh.quit();
    else this.#state = "serving";
    if (!this.#reloadAgain) return;
    this.#reloadAgain = false;
    await this.#reload();
  }

  #isStopping(): boolean {
    return this.#state === "stopping";
  }

  #handleSignals(): void {
    process.on("SIGTERM", () => void this.#end(0, true));
    process.on("SIGINT", () => void this.#end(0, false));
    process.on("SIGQUIT", () => void this.#end(0, false));
    process.on("SIGHUP", () => void this.#reload());
    process.on("SIGTTIN", () => this.#resize(1));
    process.on("SIGTTOU", () => this.#resize(-1));
    process.on("SIGUSR1", () => this.#reopenLogs());
    for (const ignored of ["SIGUSR2", "SIGWINCH"] as const) process.on(ignored, () => {});
  }

  #resize(by: number): void {
    const count = Math.min(Math.max(this.#workers + by, 1), slots / 2 - 1);
    if (count === this.#workers) return;
    this.#workers = count;
    this.#log.info(`${count} application worker${count === 1 ? "" : "s"} from now on`);
    this.#arbiter.setWorkers(count);
  }

  #reopenLogs(): void {
    try {
      this.#logFile.reopen();
    } catch (error) {
      this.#log.error(`cannot reopen the error log: ${(error as Error).message}`);
    }
    for (const worker of this.#webWorkers) worker.reopenLogs();
    this.#arbiter.reopenLogs();
  }

  /** Graceful: clients are served to the end first, then the application's workers go. Both within graceful_timeout. */
  async #end(exitCode: number, graceful: boolean): Promise<void> {
    if (this.#isStopping()) {
      // Asked twice: the user does not want to wait.
      for (const worker of this.#webWorkers) worker.kill();
      this.#arbiter.quit();
      return;
    }
    this.#state = "stopping";
    if (this.#plan.pidFile !== undefined) removePidFile(this.#plan.pidFile, process.pid);
    const withinMs = graceful ? this.#plan.app.graceful_timeout * 1000 : 0;
    this.#log.info(graceful ? "Shutting down: finishing what is under way" : "Shutting down");
    for (const worker of this.#webWorkers) worker.drain(withinMs);
    this.#closeSockets();
    if (!graceful) this.#arbiter.quit();
    await atMost(Promise.all(this.#webWorkers.map(({ left }) => left)), withinMs + 1000);
    for (const worker of this.#webWorkers) worker.kill();
    // Before the application's workers leave: they would connect again, and wait for the LAST of nobody.
    for (const { fd } of this.#links) closeFd(fd);
    if (graceful) this.#arbiter.stop();
    await atMost(this.#arbiter.exited, withinMs + 2000);
    this.#arbiter.kill();
    for (const pid of this.#arbiter.workers) signal(pid, "SIGKILL");
    this.#finish(exitCode);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}

/** Waits for the promise, but not longer than `ms`. */
async function atMost(promise: Promise<unknown>, ms: number): Promise<void> {
  await withDeadline(promise, ms, "late").catch(() => {});
}

/** The promise's outcome, or after `ms` an error that says why. */
async function withDeadline<T>(promise: Promise<T>, ms: number, why: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(why)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
