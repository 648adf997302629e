/** What a module of the web side declares: one file each, under the name that Nginx gives it. */
import type { Dispatcher } from "../app/dispatch.ts";
import type { ErrorLevel, ErrorLog } from "../base/error_log.ts";
import type { Timers } from "../base/timers.ts";
import type { Counters } from "../shm/counters.ts";
import type { Block } from "./build.ts";
import type { Conf, Directives } from "./directive.ts";
import type { Exchange } from "./exchange.ts";
import type { AccessHandler, Filter, Handler, Location, LogHandler } from "./pipeline.ts";
import type { Setup } from "./setup.ts";
import type { FamilyTable, VariableTable } from "./variables.ts";

/** What the process offers to a site: its connections to applications, shared memory, clock and logs. */
export interface Runtime {
  readonly webWorker: number;
  readonly timers: Timers;
  readonly log: ErrorLog;
  /** Whom the process will run as when it has opened everything; undefined: it stays who it is. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Where `error_log_style` asks for another form than Nginx's. */
  readonly formatError: (level: ErrorLevel, message: string) => string;
  /** The Server field with our version. */
  readonly serverToken: string;
  readonly counters: Counters;
  /** This process's place among the counters. */
  readonly lane: number;
  /** The application of that name (`app`). */
  app(name: string): Dispatcher;
  /** The descriptor of the shared memory of that name, which the module asked for with `setup.zone`. */
  zone(name: string): number;
  /** A log file that everybody who names it shares; "/dev/stdout" and "/dev/stderr" are this process's own. Opened again on USR1. */
  logFile(path: string): LogWriter;
  /** The same for lines of requests, which are gathered before they are written. */
  accessLog(path: string, buffering: LogBuffering | undefined): LogWriter;
}

/** `access_log … buffer= flush= gzip=`: lines are written when they fill a buffer. */
export interface LogBuffering {
  readonly bytes: number;
  /** … or after so many ms; 0: only then. */
  readonly flushMs: number;
  /** 1 to 9: compressed; 0: not. */
  readonly gzipLevel: number;
}

/** Lines into a file. */
export interface LogWriter {
  /** Whole lines, each with its line end. */
  write(lines: string): void;
}

/** What a module does in a location: only the phases that are switched on there. */
export interface Parts {
  /** Before anything else; of servers only (realip). */
  readonly postRead?: Handler | undefined;
  /** Of servers: before a location is chosen; of locations: at their beginning. */
  readonly rewrite?: Handler | undefined;
  readonly preaccess?: Handler | undefined;
  readonly access?: AccessHandler | undefined;
  readonly precontent?: Handler | undefined;
  /** The location's own content handler (`proxy_pass`, `app_pass`, `stub_status`): there is at most one. */
  readonly content?: Handler | undefined;
  /** Where there is no content handler: one of those asked in turn (index, autoindex, static). */
  readonly files?: Handler | undefined;
  readonly filter?: Filter | undefined;
  /** A filter that concerns files and kept contents alone: left out where all replies are made anew (`isDynamic`). */
  readonly fileFilter?: Filter | undefined;
  /** With `content`: no reply of its is a file or kept. */
  readonly isDynamic?: boolean;
  /** At the end of a request; of one that is a part of another too (`exchange.parent`). */
  readonly log?: LogHandler | undefined;
  /** What variables of the module want to know about a request's location: `exchange.location.facts?.get(key)`. */
  readonly facts?: readonly [key: symbol, value: unknown];
  /** `early_hints` */
  readonly earlyHints?: ((exchange: Exchange) => boolean) | undefined;
  /** `location /x/` with such a content handler: a request for `/x` is redirected. */
  readonly addsSlash?: boolean;
}

/** Where a module's parts are being made. */
export interface Compiling {
  readonly setup: Setup;
  readonly runtime: Runtime;
  readonly block: Block;
  /** The compiled location of a block inside this one (`if`). */
  locationOf(block: Block): Location;
}

export interface Module<D extends Directives> {
  /** Nginx's name for it: "gzip" is ngx_http_gzip_module. */
  readonly name: string;
  readonly directives: D;
  readonly variables?: VariableTable;
  readonly families?: FamilyTable;
  /**
   * Called once per configuration, with the http block's values, when all statements have been read: checks, zones.
   * Throws ConfigError. After it nothing may fail.
   */
  prepare?(http: Block, setup: Setup): void;
  /** Called for every server (as the place outside of its locations), location and `if`. What it leaves out costs nothing. */
  compile?(conf: Conf<D>, at: Compiling): Parts;
}

export const defineModule = <const D extends Directives>(module: Module<D>): Module<D> => module;
