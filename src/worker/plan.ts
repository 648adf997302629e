/** What the master tells a web worker when it starts it; plain data, sent as one message. */
import type { LogLevel } from "../base/log.ts";
import type { SiteConf } from "../web/site.ts";
import type { LocalEnd } from "./connection.ts";
import type { Limits } from "./service.ts";

/** Where the descriptors are that a web worker inherits. */
export const inherited = { board: 3, link: 4, firstListener: 5 } as const;

export interface WorkerPlan {
  readonly type: "start";
  /** This web worker's number, from 0. */
  readonly webWorker: number;
  /** For each inherited listening socket, in order: what it is bound to. */
  readonly listeners: readonly LocalEnd[];
  readonly site: SiteConf;
  readonly limits: Limits;
  /** Shared with the app workers, so that nobody else can pose as one; hexadecimal. */
  readonly secret: string;
  /** How long a request may wait for a free app worker, ms; 0: for ever. */
  readonly queueTimeoutMs: number;
  readonly errorLog: string;
  readonly logLevel: LogLevel;
  /** undefined: no access log. */
  readonly accessLog: string | undefined;
  /** What a master that was killed leaves behind, for its workers to remove. */
  readonly leftovers: Leftovers;
}

export interface Leftovers {
  readonly unixPaths: readonly string[];
  readonly pidFile: string | undefined;
  readonly masterPid: number;
}

/** What the master says later: stop accepting and finish what is under way, within so many ms; open the logs anew. */
export type WorkerOrder =
  | WorkerPlan
  | { readonly type: "drain"; readonly withinMs: number }
  | { readonly type: "reopen" };
