/** All that a command line and a configuration ask for; what the master carries out. */
import type { LogLevel } from "../base/log.ts";
import type { Configuration } from "../config/configuration.ts";
import type { ListenPlan, ZonePlan } from "../web/plan.ts";
import type { UserPlan } from "../worker/plan.ts";

export type { ListenPlan };

/** A Python application and how it is run. Names and meanings are those of Gunicorn's settings; times in seconds. */
export interface AppPlan {
  /** As in `app_pass NAME`. */
  readonly name: string;
  /** `MODULE[:VARIABLE]` or `MODULE:factory()`. */
  readonly app: string;
  /** The interpreter. */
  readonly python: string;
  /** Absolute: the application's working directory, first in its import path. */
  readonly chdir: string;
  /** `KEY=VALUE` */
  readonly env: readonly string[];
  readonly workers: number;
  readonly threads: number;
  readonly timeout: number;
  readonly graceful_timeout: number;
  readonly max_requests: number;
  readonly max_requests_jitter: number;
  readonly preload: boolean;
  readonly reload: boolean;
  /** Who the workers are, once they have been forked; undefined: who the master is. */
  readonly user: UserPlan | undefined;
}

export interface Plan {
  readonly configuration: Configuration;
  readonly listens: readonly ListenPlan[];
  readonly webWorkers: number;
  readonly apps: readonly AppPlan[];
  readonly zones: readonly ZonePlan[];
  /** worker_connections */
  readonly connections: number;
  /** worker_rlimit_nofile; undefined: as many as the system allows. */
  readonly fileLimit: number | undefined;
  /** worker_shutdown_timeout, ms; 0: web workers that drain are not bounded by it. */
  readonly shutdownTimeoutMs: number;
  readonly user: UserPlan | undefined;
  /** The main error log: a file, or "-" for stderr. */
  readonly errorLog: string;
  readonly logLevel: LogLevel;
  readonly pidFile: string | undefined;
}

/** The user's mistake, or the machine's state, in one sentence that says what to do. Never shown with a stack. */
export class StartError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
