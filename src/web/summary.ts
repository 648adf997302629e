/** What a configuration asks of the processes, for the master and the command line. */

import type { ErrorLogConf } from "./core/error_log.ts";
import { type ControlPlan, mainDirectives } from "./core/main.ts";
import type { Conf } from "./directive.ts";
import { context } from "./directive.ts";
import { appDirectives } from "./modules/app.ts";
import type { ListenPlan, ZonePlan } from "./plan.ts";
import { type Built, listenPlans } from "./site.ts";

/** An `app` block: its name and settings. */
export interface AppSummary {
  readonly name: string;
  readonly settings: Conf<typeof appDirectives>;
}

export interface Summary {
  readonly listens: readonly ListenPlan[];
  readonly zones: readonly ZonePlan[];
  readonly apps: readonly AppSummary[];
  readonly workerProcesses: number | "auto";
  readonly connections: number;
  readonly fileLimit: number | undefined;
  readonly shutdownTimeoutMs: number;
  readonly user: { readonly name: string; readonly group: string | undefined } | undefined;
  readonly errorLogs: readonly ErrorLogConf[];
  /** All log files, absolute. */
  readonly logFiles: readonly string[];
  /** Absolute; undefined: the default. */
  readonly pidFile: string | undefined;
  readonly control: ControlPlan | undefined;
  readonly daemon: boolean;
  readonly warnings: readonly string[];
}

export function summarise(built: Built): Summary {
  const { main, setup } = built;
  const conf = main.conf(mainDirectives);
  const [events] = main.childrenOf(context.events);
  const [http] = main.childrenOf(context.http);
  return {
    listens: listenPlans(built),
    zones: setup.zones,
    apps: (http?.childrenOf(context.app) ?? []).map((block) => ({
      name: block.statement?.args[0] ?? "",
      settings: block.conf(appDirectives),
    })),
    workerProcesses: conf.worker_processes,
    connections: events?.conf(mainDirectives).worker_connections ?? 512,
    fileLimit: conf.worker_rlimit_nofile,
    shutdownTimeoutMs: conf.worker_shutdown_timeout,
    user: conf.user,
    errorLogs: conf.error_log,
    logFiles: [...setup.logFiles],
    pidFile: conf.pid === undefined ? undefined : setup.path(conf.pid),
    control: conf.control_socket,
    daemon: conf.daemon,
    warnings: setup.warnings,
  };
}
