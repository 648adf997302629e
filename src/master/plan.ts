/** All that a command line asks for; what the master carries out. */
import type { Address } from "../base/address.ts";
import type { LogLevel } from "../base/log.ts";
import type { SiteConf } from "../web/site.ts";
import type { Limits } from "../worker/service.ts";

/** The Python application and how it is run. Names and meanings are those of Gunicorn's settings; times in seconds. */
export interface AppPlan {
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
}

export interface Plan {
  readonly binds: readonly Address[];
  readonly webWorkers: number;
  readonly backlog: number;
  readonly app: AppPlan;
  readonly site: SiteConf;
  readonly limits: Limits;
  /** A file, or "-" for stderr. */
  readonly errorLog: string;
  readonly logLevel: LogLevel;
  /** A file, or "-" for stdout; undefined: none. */
  readonly accessLog: string | undefined;
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
