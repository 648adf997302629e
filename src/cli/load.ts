/** From a configuration file to a plan. */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { ErrorLevel } from "../base/error_log.ts";
import type { LogLevel } from "../base/log.ts";
import type { Configuration } from "../config/configuration.ts";
import { systemFiles } from "../config/files.ts";
import { type ConfigFile, parseFile, parseParameters } from "../config/parser.ts";
import { type AppPlan, type Plan, StartError } from "../master/plan.ts";
import { buildConfiguration } from "../web/site.ts";
import { type AppSummary, type Summary, summarise } from "../web/summary.ts";
import type { UserPlan } from "../worker/plan.ts";
import { defaultPidFile } from "./nginx_paths.ts";
import { findPython } from "./python.ts";
import { findUser, nobody } from "./users.ts";

export interface LoadOptions {
  /** The main configuration file, absolute. */
  readonly file: string;
  /** Absolute, ends with a slash. */
  readonly prefix: string;
  /** A file, or "-" for stderr. */
  readonly errorLog: string;
  /** The text of `-g`: directives that stand before those of the file. */
  readonly globals: string;
}

export interface LoadedPlan {
  readonly plan: Plan;
  /** Nginx's level of the main error log; `plan.logLevel` is what the application side makes of it. */
  readonly errorLevel: ErrorLevel;
  /** Serve in the background. */
  readonly daemon: boolean;
  /** What the operator should know, and does not stop anything. */
  readonly warnings: readonly string[];
  /** Log files that are to be made, absolute: all but the standard ones. */
  readonly logFiles: readonly string[];
  /** All files that were read. */
  readonly files: readonly ConfigFile[];
}

/** Reads a configuration. Throws ConfigError. */
export function loadConfiguration({ file, prefix, errorLog, globals }: LoadOptions): {
  configuration: Configuration;
  files: readonly ConfigFile[];
} {
  const before = parseParameters(globals);
  const { statements, files } = parseFile(file, systemFiles());
  return { configuration: { statements: [...before, ...statements], prefix, file, errorLog, readOnce: {} }, files };
}

/** Reads and compiles a configuration. Throws ConfigError or StartError. */
export async function loadPlan(options: LoadOptions): Promise<LoadedPlan> {
  const { configuration, files } = loadConfiguration(options);
  const loaded = planOf(configuration, resolve(options.prefix, defaultPidFile));
  return { ...loaded, files };
}

/** Understands a configuration. `pidFile`: where the process number is written if it does not say. Throws ConfigError or StartError. */
export function planOf(configuration: Configuration, pidFile: string | undefined): Omit<LoadedPlan, "files"> {
  const { main, setup, servers } = buildConfiguration(configuration);
  const summary = summarise({ main, setup, servers });
  const user = resolveUser(summary.user);
  const log = summary.errorLogs.find(({ to }) => typeof to === "string");
  const errorLevel = log?.level ?? "error";
  return {
    plan: {
      configuration,
      listens: summary.listens,
      webWorkers: Math.min(
        summary.workerProcesses === "auto" ? availableParallelism() : summary.workerProcesses,
        mostWebWorkers,
      ),
      apps: summary.apps.map((app) => appPlan(app, configuration.prefix, user.plan)),
      zones: summary.zones,
      connections: summary.connections,
      fileLimit: summary.fileLimit,
      shutdownTimeoutMs: summary.shutdownTimeoutMs,
      user: user.plan,
      errorLog: typeof log?.to === "string" ? (log.to === "/dev/stderr" ? "-" : log.to) : configuration.errorLog,
      logLevel: appLevels[errorLevel],
      pidFile: summary.pidFile ?? pidFile,
      control: summary.control,
    },
    errorLevel,
    daemon: summary.daemon,
    logFiles: summary.logFiles.filter((path) => !path.startsWith("/dev/")),
    warnings: user.warning === undefined ? summary.warnings : [...summary.warnings, user.warning],
  };
}

/** The scoreboard's bound. */
const mostWebWorkers = 16;
/** More workers than this are a decision that the user makes, not the number of cores. */
const mostByDefault = 4;

function appPlan({ name, settings }: AppSummary, prefix: string, user: UserPlan | undefined): AppPlan {
  const { module, python, workers, "env@app": env, ...rest } = settings;
  const chdir = resolve(prefix, settings.chdir ?? ".");
  return {
    ...rest,
    user,
    name,
    app: module ?? "",
    python: findPython(python, chdir, process.env),
    chdir,
    env,
    workers: workers ?? Math.min(availableParallelism(), mostByDefault),
  };
}

/** How much the application's side says at each of Nginx's levels. */
const appLevels: Readonly<Record<ErrorLevel, LogLevel>> = {
  emerg: "critical",
  alert: "critical",
  crit: "critical",
  error: "error",
  warn: "warning",
  notice: "info",
  info: "info",
  debug: "debug",
};

/** Only root can let its workers be somebody else. `given`: the directive's words. Throws StartError for a user that does not exist. */
export function resolveUser(given: Summary["user"]): {
  readonly plan: UserPlan | undefined;
  readonly warning: string | undefined;
} {
  if (process.getuid?.() !== 0) {
    const warning =
      'the "user" directive makes sense only if the master process runs with super-user privileges, ignored';
    return { plan: undefined, warning: given === undefined ? undefined : warning };
  }
  const plan = given === undefined ? nobody() : findUser(given.name, given.group);
  if (typeof plan === "string") throw new StartError(plan);
  return { plan, warning: undefined };
}
