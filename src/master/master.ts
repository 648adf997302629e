/** The master process: binds, starts, supervises and ends all others. It never touches a request. */
import { randomBytes } from "node:crypto";
import { constants } from "node:os";
import { isatty } from "node:tty";
import { ConfigError } from "../config/statement.ts";
import { raiseFileLimit, SystemError, setFileLimit } from "../net/libc.ts";
import { type AppSide, readyWithinMs } from "./app_side.ts";
import { ArbiterFailure } from "./arbiter.ts";
import { ControlSocket } from "./control.ts";
import type { Controlled } from "./control_commands.ts";
import { Generation } from "./generation.ts";
import { SharedMemories } from "./memory.ts";
import type { MasterOptions } from "./options.ts";
import { OwnPidFile } from "./own_pidfile.ts";
import { removePidFile, writePidFile } from "./pidfile.ts";
import { type Plan, StartError } from "./plan.ts";
import type { Report } from "./report.ts";
import { type Action, onSignals } from "./signals.ts";
import { closeSockets, type Listening, leaveSockets, openSockets } from "./sockets.ts";
import { Upgrade } from "./upgrade.ts";
import { withDeadline } from "./waiting.ts";
import { type Calls, joinCalls } from "./web_workers.ts";

/** Descriptors that a web worker needs besides its connections: files, links, logs. */
const spareFds = 256;
/** How often an address in use is tried, where that may be the socket of a server that is just ending. */
const patientTries = 5;

/** starting → serving ⇄ reloading → stopping; retired: without workers, after an upgrade or in the middle of one. */
type State = "starting" | "serving" | "reloading" | "retired" | "stopping";

export class Master implements Controlled {
  readonly #options: MasterOptions;
  readonly #report: Report;
  #plan: Plan;
  #state: State = "starting";
  #listening: Listening[] = [];
  readonly #memories = new SharedMemories();
  #generation: Generation | undefined;
  /** Ends, or begins, beside it. */
  readonly #others = new Set<Generation>();
  /** What was asked for during a reload: it is done afterwards. Of several wishes the last counts. */
  #next: "reload" | "retire" | undefined;
  #upgrade: Upgrade | undefined;
  readonly #pidFile: OwnPidFile;
  /** Who started this process: as long as it lives it may be serving with the same sockets. */
  readonly #parent = process.ppid;
  readonly startedAt = performance.now();
  /** How many have succeeded. */
  reloads = 0;
  readonly #control: ControlSocket;
  readonly #secret = randomBytes(16).toString("hex");
  #finish: (exitCode: number) => void = () => {};

  constructor(options: MasterOptions) {
    this.#options = options;
    this.#plan = options.plan;
    this.#report = options.report;
    this.#pidFile = new OwnPidFile({
      renames: options.upgrade?.renames,
      predecessorServes: () => this.#predecessorServes,
      onPromoted: () => {
        options.onPromoted?.();
        this.#control.use(this.#plan.control);
      },
    });
    this.#control = new ControlSocket(this, options.report);
  }

  get listening(): readonly Listening[] {
    return this.#listening;
  }

  get plan(): Plan {
    return this.#plan;
  }

  get apps(): readonly AppSide[] {
    return this.#generation?.apps ?? [];
  }

  get webWorkers(): readonly number[] {
    return this.#all().flatMap(({ webWorkers }) => webWorkers.map(({ pid }) => pid));
  }

  /** What the applications' workers are busy with. */
  async calls(): Promise<Calls> {
    return joinCalls(
      await Promise.all(this.#all().flatMap(({ webWorkers }) => webWorkers.map((each) => each.calls()))),
    );
  }

  /** Serves until a signal ends it; returns the exit code. Throws StartError. */
  async run(): Promise<number> {
    const { signals, onBound, upgrade } = this.#options;
    try {
      this.#listening = await this.#open(this.#plan, upgrade?.inherited ?? []);
      const zones = this.#memories.prepare(this.#plan.zones);
      this.#memories.adopt(zones);
      const ended = new Promise<number>((resolve) => {
        this.#finish = resolve;
      });
      onSignals(signals, (action, name) => this.#onSignal(action, name));
      this.#pidFile.take(this.#plan.pidFile);
      leaveSockets(upgrade?.inherited ?? [], this.#listening);
      onBound?.();
      this.#control.use(this.#plan.control);
      this.#generation = this.#begin(this.#plan, this.#listening);
      void this.#whenServing(this.#generation);
      const exitCode = await ended;
      this.#report.ended();
      return exitCode;
    } finally {
      this.#control.close();
      this.#closeSockets();
      this.#pidFile.remove(this.#plan.pidFile);
    }
  }

  /** Returns how many connections a web worker may have. */
  #limitFiles({ fileLimit, connections }: Plan): number {
    let limit = raiseFileLimit();
    try {
      if (fileLimit !== undefined) setFileLimit(fileLimit);
      limit = fileLimit ?? limit;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#report.wrong("alert", `setrlimit(RLIMIT_NOFILE, ${fileLimit}) failed (${error.code})`);
    }
    return Math.min(connections, Math.max(limit - spareFds, 64));
  }

  #open(plan: Plan, kept: readonly Listening[]): Promise<Listening[]> {
    return openSockets(plan.listens, {
      kept,
      webWorkers: plan.webWorkers,
      tries: this.#options.renewWebWorkers ? patientTries : 1,
      explain: this.#report.cannotListen,
      onInUse: this.#report.startFailed,
    });
  }

  #begin(plan: Plan, listening: readonly Listening[], zones = this.#memories.prepare(plan.zones)): Generation {
    const isFirst = this.#state === "starting" && this.#options.upgrade?.inherited === undefined;
    return new Generation({
      isFirst,
      plan,
      listening,
      memories: this.#memories,
      zones,
      connections: this.#limitFiles(plan),
      secret: this.#secret,
      report: this.#report,
    });
  }

  async #whenServing(generation: Generation): Promise<void> {
    try {
      await generation.serving;
      if (this.#state !== "starting") return;
      this.#state = "serving";
      this.#options.onServing?.();
      this.#goOn();
    } catch (error) {
      if (this.#state !== "starting") return;
      this.#report.startFailed((error as Error).message);
      await this.#end(error instanceof ArbiterFailure && error.exitCode > 0 ? error.exitCode : 1, false);
    }
  }

  // --- signals

  #onSignal(wanted: Action, name: NodeJS.Signals): void {
    const action = this.#allowed(wanted);
    this.#report.signalled(name, constants.signals[name], action);
    this.#act(action);
  }

  /** What a signal would do. */
  act(action: Action): void {
    this.#act(this.#allowed(action));
  }

  #act(action: Action): void {
    if (action === "stop") void this.#end(0, false);
    else if (action === "finish") void this.#end(0, true);
    else if (action === "reload") void this.#reload();
    else if (action === "reopen") this.#reopenLogs();
    else if (action === "upgrade") this.#startUpgrade();
    else if (action === "retire") this.#retire();
    else if (action === "grow") this.resize(1);
    else if (action === "shrink") this.resize(-1);
  }

  #allowed(action: Action): Action {
    // A terminal sends WINCH when its window changes its size: that is nobody's wish.
    if (action === "retire" && isatty(0)) return "ignore";
    // Three programs at once would be one too many.
    if (action === "upgrade" && (this.#upgrade?.isRunning || this.#predecessorServes)) return "ignore";
    return action;
  }

  /** Another master, from which this one has its sockets, has not ended yet. */
  get #predecessorServes(): boolean {
    return this.#options.upgrade?.inherited !== undefined && process.ppid === this.#parent;
  }

  /** So many application workers more, or fewer. */
  resize(by: number): void {
    for (const app of this.apps) {
      const count = app.resize(by);
      if (count !== undefined) this.#report.appWorkers(count);
    }
  }

  #reopenLogs(): void {
    try {
      this.#options.reopenLog();
    } catch (error) {
      this.#report.wrong("error", `cannot reopen the error log: ${(error as Error).message}`);
    }
    for (const generation of this.#all()) generation.reopenLogs();
  }

  #all(): Generation[] {
    return [...this.#others, ...(this.#generation === undefined ? [] : [this.#generation])];
  }

  // --- reload

  async #reload(): Promise<void> {
    if (this.#state === "reloading" || this.#state === "starting") this.#next = "reload";
    if (this.#state !== "serving" && this.#state !== "retired") return;
    const before = this.#state;
    this.#state = "reloading";
    this.#report.reloading();
    try {
      // During an upgrade the old program's workers come back as they were: the new one owns the configuration.
      if (before === "retired" && this.#upgrade?.isRunning) await this.#renew(this.#plan);
      else await this.#take(await this.#options.load());
      this.reloads++;
      this.#report.reloaded((this.#generation?.apps ?? []).map(({ generation }) => generation));
    } catch (error) {
      if (!this.#isStopping()) this.#report.reloadFailed(wordsOf(error));
    }
    this.#afterReload();
  }

  #afterReload(): void {
    if (this.#isStopping()) return;
    this.#state = this.#generation === undefined ? "retired" : "serving";
    this.#goOn();
  }

  #goOn(): void {
    const next = this.#next;
    this.#next = undefined;
    if (next === "reload") void this.#reload();
    else if (next === "retire") this.#retire();
  }

  #isStopping(): boolean {
    return this.#state === "stopping";
  }

  #take(plan: Plan): Promise<void> {
    const { renewWebWorkers, sameWebSide } = this.#options;
    const isSame = this.#generation !== undefined && sameWebSide?.(this.#plan, plan) === true;
    return renewWebWorkers && !isSame ? this.#renew(plan) : this.#reloadApps(plan);
  }

  /** New code; the web workers stay. */
  async #reloadApps(plan: Plan): Promise<void> {
    const apps = this.#generation?.apps ?? [];
    await Promise.all(apps.map((app, i) => app.reload(plan.apps[i] ?? app.plan)));
    this.#plan = plan;
    this.#control.use(plan.control);
  }

  /** Everything anew: the old ones serve until the new ones do. Throws if those cannot; then nothing has changed. */
  async #renew(plan: Plan): Promise<void> {
    const old = this.#generation;
    const before = this.#listening;
    const zones = this.#memories.prepare(plan.zones);
    let listening: Listening[] = [];
    let fresh: Generation | undefined;
    try {
      listening = await this.#open(plan, before);
      if (this.#isStopping()) throw new StartError("stopped");
      if (plan.pidFile !== this.#plan.pidFile && plan.pidFile !== undefined) writePidFile(plan.pidFile);
      fresh = this.#begin(plan, listening, zones);
      this.#others.add(fresh);
      await withDeadline(fresh.serving, readyWithinMs, "the new worker processes were not ready in time");
      if (this.#isStopping()) throw new StartError("stopped");
    } catch (error) {
      if (fresh !== undefined) void this.#let(fresh, false);
      // Of a reload in which the service was stopped nothing is left to be undone: its sockets are closed with all others.
      closeSockets(listening, before);
      this.#memories.discard(zones);
      throw error;
    }
    this.#others.delete(fresh);
    this.#generation = fresh;
    this.#listening = listening;
    this.#memories.adopt(zones);
    this.#takeOver(plan);
    if (old !== undefined) void this.#let(old, true);
    closeSockets(before, listening);
  }

  #takeOver(plan: Plan): void {
    const before = this.#plan;
    this.#plan = plan;
    if (before.pidFile !== undefined && before.pidFile !== plan.pidFile) removePidFile(before.pidFile, process.pid);
    this.#options.onPlan?.(plan);
    this.#control.use(plan.control);
  }

  /** Lets a generation end beside the one that serves. */
  async #let(generation: Generation, graceful: boolean): Promise<void> {
    this.#others.add(generation);
    await generation.end(graceful, generation.plan.shutdownTimeoutMs);
    this.#others.delete(generation);
  }

  // --- upgrade

  #startUpgrade(): void {
    for (const app of this.apps) app.tellUpgrade();
    try {
      this.#upgrade = new Upgrade({
        command: this.#options.upgrade?.command ?? [],
        pidFile: this.#options.upgrade?.renames === "old" ? this.#plan.pidFile : undefined,
        fds: this.#listening.flatMap(({ fds }) => fds),
        report: this.#report,
        onFailed: () => {
          if (this.#state === "retired") void this.#comeBack();
        },
      });
    } catch (error) {
      this.#report.wrong("alert", `the new binary process could not be started: ${(error as Error).message}`);
    }
  }

  /** The workers leave, and the master stays. */
  #retire(): void {
    if (this.#state === "reloading") this.#next = "retire";
    const generation = this.#generation;
    if (generation === undefined || (this.#state !== "serving" && this.#state !== "starting")) return;
    this.#state = "retired";
    this.#generation = undefined;
    void this.#let(generation, true);
  }

  /** The new program is gone: the workers of this one are needed again. */
  async #comeBack(): Promise<void> {
    this.#state = "reloading";
    try {
      await this.#renew(this.#plan);
    } catch (error) {
      if (!this.#isStopping()) this.#report.reloadFailed(wordsOf(error));
    }
    this.#afterReload();
  }

  // --- the end

  async #end(exitCode: number, graceful: boolean): Promise<void> {
    if (this.#isStopping()) {
      // Asked twice: the user does not want to wait.
      if (!graceful || !this.#options.renewWebWorkers) for (const generation of this.#all()) generation.cut();
      return;
    }
    this.#state = "stopping";
    // Where there are no upgrades another one may be started while this one finishes.
    if (this.#options.upgrade === undefined) this.#pidFile.remove(this.#plan.pidFile);
    this.#report.stopping(graceful);
    const { shutdownTimeoutMs } = this.#plan;
    const all = this.#all();
    const ends = all.map((generation) => generation.end(graceful, shutdownTimeoutMs, true));
    if (!graceful) for (const generation of all) generation.cut();
    this.#closeSockets();
    await Promise.all(ends);
    this.#finish(exitCode);
  }

  /** Ours; each web worker closes its own when it stops accepting. */
  #closeSockets(): void {
    if (this.#upgrade?.isRunning || this.#predecessorServes) leaveSockets(this.#listening);
    else closeSockets(this.#listening);
    this.#listening = [];
  }
}

/** An error that the user can do something about in one sentence, another one with all that helps to find it. */
function wordsOf(error: unknown): string {
  if (error instanceof ConfigError || error instanceof StartError || error instanceof ArbiterFailure)
    return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
