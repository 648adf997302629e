/** From a configuration file to a plan. */
import { availableParallelism } from "node:os";
import { isAbsolute, join } from "node:path";
import { formatAddress, parseAddress } from "../base/address.ts";
import { type ErrorLevel, errorLevels } from "../base/error_log.ts";
import type { LogLevel } from "../base/log.ts";
import type { Configuration } from "../config/configuration.ts";
import { systemFiles } from "../config/files.ts";
import { type ConfigFile, parseFile, parseParameters } from "../config/parser.ts";
import type { Statement } from "../config/statement.ts";
import { type ListenPlan, type Plan, StartError } from "../master/plan.ts";
import type { UserPlan } from "../worker/plan.ts";
import { defaultPidFile } from "./nginx_paths.ts";
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
  return { configuration: { statements: [...before, ...statements], prefix, file, errorLog }, files };
}

/** Reads and compiles a configuration. Throws ConfigError or StartError. */
export async function loadPlan(options: LoadOptions): Promise<LoadedPlan> {
  const { configuration, files } = loadConfiguration(options);
  const all = configuration.statements.flatMap(withInner);
  const value = (name: string) => all.find((each) => each.name === name)?.args;
  const path = (text: string) => (isAbsolute(text) ? text : join(options.prefix, text));
  const log = value("error_log");
  const level = log?.[1] ?? "error";
  const errorLevel = errorLevels.find((each) => each === level) ?? "error";
  const listens = all.filter(({ name }) => name === "listen").map(({ args }) => listenPlan(args[0] ?? ""));
  const user = resolveUser(value("user"));
  return {
    plan: {
      configuration,
      listens: [...new Map(listens.map((each) => [each.key, each])).values()],
      webWorkers: Math.min(Number(value("worker_processes")?.[0] ?? 1) || availableParallelism(), 16),
      apps: [],
      zones: [],
      connections: Number(value("worker_connections")?.[0] ?? 512),
      fileLimit: undefined,
      shutdownTimeoutMs: Number(/^(\d+)s?$/.exec(value("worker_shutdown_timeout")?.[0] ?? "")?.[1] ?? 0) * 1000,
      user: user.plan,
      errorLog: log?.[0] === undefined ? options.errorLog : log[0] === "stderr" ? "-" : path(log[0]),
      logLevel: appLevels[errorLevel],
      pidFile: path(value("pid")?.[0] ?? defaultPidFile),
    },
    errorLevel,
    daemon: value("daemon")?.[0] !== "off",
    warnings: user.warning === undefined ? [] : [user.warning],
    files,
  };
}

const withInner = (statement: Statement): Statement[] => [statement, ...(statement.block ?? []).flatMap(withInner)];

function listenPlan(text: string): ListenPlan {
  const bare = text.replace(/^\*/, "0.0.0.0");
  const address = parseAddress(/^\d+$/.test(bare) ? `0.0.0.0:${bare}` : bare, 80);
  if (typeof address === "string") throw new StartError(address);
  return {
    key: formatAddress(address).replace(/^0\.0\.0\.0/, "*"),
    address,
    backlog: 511,
    reusePort: true,
    ipv6Only: true,
    receiveBuffer: undefined,
    sendBuffer: undefined,
    fastOpen: undefined,
    deferred: false,
    keepAlive: undefined,
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
export function resolveUser(given: readonly string[] | undefined): {
  readonly plan: UserPlan | undefined;
  readonly warning: string | undefined;
} {
  if (process.getuid?.() !== 0) {
    const warning =
      'the "user" directive makes sense only if the master process runs with super-user privileges, ignored';
    return { plan: undefined, warning: given === undefined ? undefined : warning };
  }
  const [name, group] = given ?? [];
  const plan = name === undefined ? nobody() : findUser(name, group);
  if (typeof plan === "string") throw new StartError(plan);
  return { plan, warning: undefined };
}
