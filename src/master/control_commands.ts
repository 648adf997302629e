/** What can be said to the control socket. Names of commands and of what they answer are those of Gunicorn's `gunicornc`, and more. */
import { formatAddress } from "../base/address.ts";
import type { AppSide, WorkerFacts } from "./app_side.ts";
import type { Plan } from "./plan.ts";
import type { Action } from "./signals.ts";
import type { Listening } from "./sockets.ts";
import type { Calls } from "./web_workers.ts";

/** What of a service can be controlled. */
export interface Controlled {
  /** When it began, by `performance.now()`. */
  readonly startedAt: number;
  readonly reloads: number;
  readonly listening: readonly Listening[];
  readonly apps: readonly AppSide[];
  /** Process numbers. */
  readonly webWorkers: readonly number[];
  /** What the applications' workers are busy with. */
  calls(): Promise<Calls>;
  readonly plan: Plan;
  act(action: Action): void;
  /** So many workers more, or fewer. */
  resize(by: number): void;
}

/** It cannot be obeyed; the message is for whoever has said it. */
export class CommandError extends Error {}

type Command = readonly [
  words: string,
  summary: string,
  run: (service: Controlled, args: readonly string[]) => object | Promise<object>,
];

const commands: readonly Command[] = [
  ["show all", "Shows all processes.", showAll],
  ["show workers", "Lists the application's workers, and what each is doing now.", showWorkers],
  ["show stats", "Shows how busy workers are, and how requests wait for a free one.", showStats],
  ["show listeners", "Lists addresses.", showListeners],
  ["show config", "Shows settings.", showConfig],
  ["show dirty", "Lists dirty workers: there are none.", () => noDirty],
  ["worker add [N]", "Adds a worker, or N.", (service, args) => resize(service, count(args), "added")],
  [
    "worker remove [N]",
    "Removes a worker, or N, the oldest first.",
    (service, args) => resize(service, -count(args), "removed"),
  ],
  ["worker kill PID", "Replaces a worker: its successor starts, it finishes what it has, and leaves.", replace],
  ["scale N", "Sets how many workers there are.", scale],
  ["stack [PID]", "Shows where the threads of a worker are, or of all; also of one that is stuck.", showStacks],
  [
    "reload",
    "Loads settings and application anew (HUP).",
    (service) => order(service, "reload", { status: "reloading" }),
  ],
  ["reopen", "Opens the log files anew (USR1).", (service) => order(service, "reopen", { status: "reopening" })],
  ["shutdown [graceful|quick]", "Ends the service (TERM, INT).", shutDown],
  [
    "help",
    "Lists commands.",
    () => ({ commands: Object.fromEntries(commands.map(([words, summary]) => [words, summary])) }),
  ],
];

/** For `--help`. */
export const commandList: readonly (readonly [words: string, summary: string])[] = commands.map(([words, summary]) => [
  words,
  summary,
]);

const nameOf = (words: string): string => words.replace(/ [[A-Z].*$/, "");

/** Does what the words say. Throws CommandError. */
export async function obey(words: readonly string[], service: Controlled): Promise<object> {
  const [first = "", second] = words.map((word) => word.toLowerCase());
  if (first === "") throw new CommandError("Empty command");
  const found =
    commands.find(([usage]) => nameOf(usage) === `${first} ${second}`) ??
    commands.find(([usage]) => nameOf(usage) === first);
  if (found === undefined) throw new CommandError(`Unknown command: ${words.join(" ")} ("help" lists them)`);
  const [usage, , run] = found;
  const args = words.slice(nameOf(usage).split(" ").length);
  if (args.length > usage.split(" ").length - nameOf(usage).split(" ").length)
    throw new CommandError(`Usage: ${usage}`);
  return await run(service, args);
}

function numberIn(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new CommandError(`Invalid argument: "${text}" is not a whole number from 1 on`);
  return Number(text);
}

const count = ([text]: readonly string[]): number => (text === undefined ? 1 : numberIn(text));

const rounded = (seconds: number): number => Math.round(seconds * 1000) / 1000;

const order = (service: Controlled, action: Action, answer: object): object => {
  service.act(action);
  return answer;
};

const noDirty = { enabled: false, pid: null, workers: [], apps: [] };

interface Doing {
  readonly method: string;
  readonly target: string;
  /** Since its head arrived, and how much of that it waited for a free worker. */
  readonly seconds: number;
  readonly waited: number;
  readonly client_gone: boolean;
}

/** A worker as `show workers` tells it. */
export interface WorkerReport {
  readonly pid: number;
  readonly app: string;
  readonly age: number;
  readonly generation: number;
  readonly booted: boolean;
  readonly state: WorkerFacts["state"];
  readonly last_heartbeat: number | null;
  readonly uptime: number;
  readonly requests: number;
  readonly rss: number;
  readonly threads: number;
  readonly busy_for: number | null;
  readonly doing: readonly Doing[];
}

function workerReport(app: AppSide, worker: WorkerFacts, calls: Calls): WorkerReport {
  const { pid, age, generation, state, threads, done, residentBytes, seconds, busySeconds, silentSeconds } = worker;
  const silent = threads === 1 ? (busySeconds ?? 0) : silentSeconds;
  return {
    pid,
    app: app.plan.name,
    age,
    generation,
    booted: state !== "booting",
    state,
    last_heartbeat: silent === undefined ? null : rounded(silent),
    uptime: rounded(seconds),
    requests: done,
    rss: residentBytes,
    threads,
    busy_for: busySeconds === undefined ? null : rounded(busySeconds),
    doing: (calls[app.plan.name] ?? [])
      .filter((call) => call.pid === pid)
      .sort((a, b) => b.seconds - a.seconds)
      .map(({ method, target, seconds: since, waited, cancelled }) => ({
        method,
        target,
        seconds: rounded(since),
        waited: rounded(waited),
        client_gone: cancelled,
      })),
  };
}

async function workerReports({ apps, ...service }: Pick<Controlled, "apps"> & { calls: Controlled["calls"] }) {
  const calls = await service.calls();
  return apps.flatMap((app) => app.workers.map((worker) => workerReport(app, worker, calls)));
}

async function showWorkers(service: Controlled): Promise<object> {
  const workers = await workerReports({ apps: service.apps, calls: () => service.calls() });
  return { workers, count: workers.length };
}

async function showAll(service: Controlled): Promise<object> {
  const workers = await workerReports({ apps: service.apps, calls: () => service.calls() });
  return {
    arbiter: { pid: process.pid, type: "arbiter", role: "master" },
    // Gunicorn's word for workers that serve HTTP.
    web_workers: workers.map((worker) => ({ type: "web", ...worker })),
    web_worker_count: workers.length,
    http_workers: service.webWorkers,
    dirty_arbiter: null,
    dirty_workers: [],
    dirty_worker_count: 0,
  };
}

function showStats({ apps, startedAt, reloads, webWorkers }: Controlled): object {
  const workers = apps.flatMap((app) => app.workers);
  const queues = apps.map(({ queue }) => queue);
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  const spawned = sum(apps.map(({ booted }) => booted));
  const waited = sum(queues.map((queue) => queue.waited));
  return {
    uptime: rounded((performance.now() - startedAt) / 1000),
    pid: process.pid,
    workers_current: workers.length,
    workers_target: sum(apps.map(({ size }) => size)),
    workers_spawned: spawned,
    workers_killed: spawned - workers.length,
    workers_busy: workers.filter(({ busySeconds }) => busySeconds !== undefined).length,
    reloads,
    requests: sum(workers.map(({ done }) => done)),
    requests_waiting: sum(queues.map(({ length }) => length)),
    requests_waited: waited,
    mean_wait: waited === 0 ? 0 : rounded(sum(queues.map(({ seconds }) => seconds)) / waited),
    longest_wait: rounded(Math.max(0, ...queues.map(({ longest }) => longest))),
    http_workers: webWorkers,
    dirty_arbiter_pid: null,
  };
}

function showListeners({ listening }: Controlled): object {
  const listeners = listening.map(({ address, fds }) => ({
    address: formatAddress(address),
    type: address.kind === "unix" ? "unix" : address.family === 6 ? "tcp6" : "tcp",
    fd: fds[0] ?? null,
  }));
  return { listeners, count: listeners.length };
}

/** Without the environment, which may hold secrets. */
function showConfig({ plan, listening }: Controlled): object {
  const apps = plan.apps.map(({ env: _, user, gunicorn: __, ...settings }) => ({
    ...settings,
    user: user?.name ?? null,
  }));
  return {
    bind: listening.map(({ address }) => formatAddress(address)),
    web_workers: plan.webWorkers,
    worker_connections: plan.connections,
    pidfile: plan.pidFile ?? null,
    errorlog: plan.errorLog,
    loglevel: plan.logLevel,
    control_socket: plan.control?.path ?? null,
    ...(apps.length === 1 ? apps[0] : Object.fromEntries(apps.map((app) => [`app ${app.name}`, app]))),
  };
}

const target = ({ apps }: Controlled): number => apps.reduce((sum, { size }) => sum + size, 0);

function resize(service: Controlled, by: number, word: "added" | "removed"): object {
  const previous = target(service);
  service.resize(by);
  const total = target(service);
  return { [word]: Math.abs(total - previous), previous, total };
}

function scale(service: Controlled, [text = ""]: readonly string[]): object {
  const [app, ...others] = service.apps;
  if (app === undefined || others.length > 0) throw new CommandError("scale: there must be one application");
  const previous = app.size;
  service.resize(numberIn(text) - previous);
  return { previous, total: app.size };
}

function replace({ apps }: Controlled, [text = ""]: readonly string[]): object {
  const pid = numberIn(text);
  if (!apps.some((app) => app.recycle(pid))) throw new CommandError(`Worker ${pid} not found`);
  return { success: true, killed: pid };
}

async function showStacks({ apps }: Controlled, [text]: readonly string[]): Promise<object> {
  const pids = text === undefined ? apps.flatMap((app) => app.workers.map(({ pid }) => pid)) : [numberIn(text)];
  const stacks = await Promise.all(
    pids.map(async (pid) => {
      const stack = apps.map((app) => app.stack(pid)).find((answer) => answer !== undefined);
      if (stack === undefined) throw new CommandError(`Worker ${pid} not found`);
      return { pid, text: await stack };
    }),
  );
  return { stacks };
}

function shutDown(service: Controlled, [mode = "graceful"]: readonly string[]): object {
  if (mode !== "graceful" && mode !== "quick")
    throw new CommandError(`Invalid argument: "${mode}" is not graceful or quick`);
  // The answer leaves first.
  setTimeout(() => service.act(mode === "quick" ? "stop" : "finish"));
  return { status: "shutting_down", mode };
}
