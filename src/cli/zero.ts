/** `alicorn app:app --static …`: the zero-configuration mode. From a command line to a plan, and the master that carries it out. */
import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { type Address, formatAddress, parseAddress } from "../base/address.ts";
import { makeLog } from "../base/log.ts";
import { check } from "../master/check.ts";
import { Master } from "../master/master.ts";
import { type ListenPlan, type Plan, StartError } from "../master/plan.ts";
import { zeroReport } from "../master/report.ts";
import { zeroSignals } from "../master/signals.ts";
import { version } from "../master/version.ts";
import { LogFile } from "../net/log_file.ts";
import { banner } from "./banner.ts";
import { helpText } from "./help.ts";
import { type Given, parseArguments, UsageError } from "./options.ts";
import { findPython } from "./python.ts";

/** More workers than this are a decision that the user makes, not the number of cores. */
const mostByDefault = 4;
/** Of one web worker, where the limit of open files allows it. */
const mostConnections = 16_384;

/** Runs a command line to its end and exits the process with its code. */
export async function main(args: readonly string[]): Promise<never> {
  process.exit(await run(args));
}

async function run(args: readonly string[]): Promise<number> {
  try {
    const { given, positional } = parseArguments(args);
    if (given.help) return print(helpText());
    if (given.version) return print(`alicorn ${version}\n`);
    const plan = makePlan(given, positional, process.env);
    const statics = given.static.map(staticRoute);
    const logFile = openLog(plan.errorLog, "--error-log");
    if (given.accessLog !== undefined) openLog(absolute(given.accessLog), "--access-log").close();
    const log = makeLog(plan.logLevel, (line) => logFile.write(line));
    if (given.check) return await check(plan, log);
    const master = new Master({
      plan,
      load: () => makePlan(given, positional, process.env),
      signals: zeroSignals,
      renewWebWorkers: false,
      report: zeroReport(log),
      reopenLog: () => logFile.reopen(),
      onServing() {
        const { listening } = master;
        process.stderr.write(banner(plan, { listening, statics, colours: colours(process.stderr) }));
      },
    });
    return await master.run();
  } catch (error) {
    if (error instanceof UsageError) return complain(`${error.message} (alicorn --help lists the options)`, 2);
    if (error instanceof StartError) return complain(error.message, error.exitCode);
    throw error;
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function complain(message: string, exitCode: number): number {
  const name = colours(process.stderr) ? "\x1b[31malicorn:\x1b[0m" : "alicorn:";
  process.stderr.write(`${name} ${message}\n`);
  return exitCode;
}

const colours = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && process.env.NO_COLOR === undefined;

function openLog(path: string, flag: string): LogFile {
  try {
    return new LogFile(path, 2);
  } catch (error) {
    throw new StartError(`${flag} ${path}: cannot be opened: ${(error as Error).message}`);
  }
}

function makePlan(given: Given, positional: readonly string[], environment: NodeJS.ProcessEnv): Plan {
  const [app, ...further] = positional;
  if (app === undefined)
    throw new UsageError("name the application: alicorn MODULE[:VARIABLE], for example alicorn app:app");
  if (further.length > 0) throw new UsageError(`one application, please: what is ${further[0]}?`);
  const cores = Math.min(availableParallelism(), mostByDefault);
  const chdir = directory(given.chdir ?? ".", "--chdir");
  for (const pair of given.env) if (!/^[^=]+=/.test(pair)) throw new UsageError(`--env ${pair}: write it as KEY=VALUE`);
  return {
    configuration: { statements: [], prefix: `${process.cwd()}/`, file: "", errorLog: absolute(given.errorLog) },
    listens: binds(given, environment).map((address) => listenPlan(address, given.backlog)),
    webWorkers: Math.min(given.webWorkers ?? cores, 16),
    apps: [
      {
        name: "app",
        app,
        python: findPython(given.python, chdir, environment),
        chdir,
        env: given.env,
        workers: given.reload ? 1 : (given.workers ?? concurrency(environment) ?? cores),
        threads: given.threads,
        timeout: given.timeout,
        graceful_timeout: given.gracefulTimeout,
        max_requests: given.maxRequests,
        max_requests_jitter: given.maxRequestsJitter,
        preload: given.preload,
        reload: given.reload,
      },
    ],
    zones: [],
    connections: mostConnections,
    fileLimit: undefined,
    // 0 would mean: without a bound.
    shutdownTimeoutMs: Math.max(given.gracefulTimeout * 1000, 1),
    user: undefined,
    errorLog: absolute(given.errorLog),
    logLevel: given.logLevel,
    pidFile: given.pid === undefined ? undefined : resolve(given.pid),
  };
}

function listenPlan(address: Address, backlog: number): ListenPlan {
  return {
    key: formatAddress(address),
    address,
    backlog,
    reusePort: true,
    ipv6Only: true,
    receiveBuffer: undefined,
    sendBuffer: undefined,
    fastOpen: undefined,
    deferred: false,
    keepAlive: undefined,
  };
}

const absolute = (path: string): string => (path === "-" ? path : resolve(path));

function binds({ bind }: Given, { PORT }: NodeJS.ProcessEnv): Address[] {
  if (bind.length === 0 && PORT !== undefined && !/^\d+$/.test(PORT))
    throw new StartError(`PORT=${PORT}: must be a number`);
  const texts = bind.length > 0 ? bind : [PORT === undefined ? "127.0.0.1:8000" : `0.0.0.0:${PORT}`];
  return texts.map((each) => {
    const address = parseAddress(each, 8000);
    if (typeof address === "string") throw new UsageError(`--bind ${address}`);
    return address;
  });
}

/** Gunicorn's WEB_CONCURRENCY, which platforms set. */
function concurrency({ WEB_CONCURRENCY: given }: NodeJS.ProcessEnv): number | undefined {
  if (given === undefined || given === "") return undefined;
  if (!/^[1-9]\d*$/.test(given)) throw new StartError(`WEB_CONCURRENCY=${given}: must be a whole number from 1 on`);
  return Number(given);
}

function directory(path: string, flag: string): string {
  const full = resolve(path);
  if (statSync(full, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new StartError(`${flag} ${path}: there is no such directory`);
  return full;
}

function staticRoute(text: string): { prefix: string; root: string } {
  const equals = text.indexOf("=");
  const url = text.slice(0, equals);
  if (equals < 1 || !url.startsWith("/"))
    throw new UsageError(`--static ${text}: write it as URL=DIR, for example /static=./static`);
  return { prefix: url.endsWith("/") ? url : `${url}/`, root: directory(text.slice(equals + 1), "--static") };
}
