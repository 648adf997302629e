/** All that a command line and a configuration ask for; what the master carries out. */
import type { LogLevel } from "../base/log.ts";
import type { Configuration } from "../config/configuration.ts";
import type { ControlPlan } from "../web/core/main.ts";
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
  /** Resident bytes; 0: no bound. */
  readonly max_worker_memory: number;
  readonly max_worker_age: number;
  readonly max_request_time: number;
  readonly client_disconnected: boolean;
  readonly preload: boolean;
  readonly reload: boolean;
  /** Who the workers are, once they have been forked; undefined: who the master is. */
  readonly user: UserPlan | undefined;
  /** What a drop-in for Gunicorn hands to its arbiter (python/alicorn/drop_in.py); absent: this is none. */
  readonly gunicorn?: GunicornFacts;
}

/** How Gunicorn's command line was given: the arbiter reads it once more, since hooks are Python's. */
export interface GunicornFacts {
  readonly arguments: readonly string[];
  /** Where it was started. */
  readonly directory: string;
  readonly version: string;
  /** The environment's SERVER_SOFTWARE. */
  readonly server_software: string;
  /** The master's process number, to which signals are sent. */
  readonly master: number;
  readonly listening: readonly string[];
  readonly reloading: boolean;
  readonly previous_workers: number | null;
  /** How many workers there have been before; absent: none. */
  readonly worker_age?: number;
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
  readonly control: ControlPlan | undefined;
}

/** The user's mistake, or the machine's state, in one sentence that says what to do. Never shown with a stack. */
export class StartError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
