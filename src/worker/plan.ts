/** What the master tells a web worker when it starts it; plain data, sent as one message. */
import type { GivenCall } from "../app/dispatch.ts";
import type { Configuration } from "../config/configuration.ts";
import type { ZonePlan } from "../web/plan.ts";

export type { ZonePlan };

/** A web worker's descriptors begin here, in this order: the counters' memory, then for each app its scoreboard and its link socket, then each zone's memory, then the listening sockets. */
export const firstInherited = 3;

export interface WorkerPlan {
  readonly type: "start";
  /** This web worker's number, from 0. */
  readonly webWorker: number;
  readonly webWorkers: number;
  readonly configuration: Configuration;
  /** Alicorn's. */
  readonly version: string;
  /** In the order of the descriptors. */
  readonly apps: readonly AppLink[];
  readonly zones: readonly ZonePlan[];
  readonly listeners: readonly ListenerPlan[];
  /** Shared with the app workers, so that nobody else can pose as one; hexadecimal. */
  readonly secret: string;
  /** worker_connections, lowered to what the limit of open files allows. */
  readonly connections: number;
  /** What a master that was killed leaves behind, for its workers to remove. */
  readonly leftovers: Leftovers;
  /** The worker drops to these after it has opened its logs; undefined: it stays who it is (the directive `user`). */
  readonly user: UserPlan | undefined;
}

/** An application whose workers connect to this web worker. */
export interface AppLink {
  /** As in `app_pass NAME`. */
  readonly name: string;
  /** How long a request may wait for a free app worker, ms; 0: for ever. */
  readonly queueTimeoutMs: number;
}

export interface ListenerPlan {
  /** As in `ListenPlan.key`: what the configuration's servers are found by. */
  readonly key: string;
  /** Where it is really bound (port 0 has become a number). */
  readonly local: LocalEnd;
}

/** Our end of a connection: a listening socket's address and port as text; a Unix socket's path and "". */
export interface LocalEnd {
  readonly address: string;
  readonly port: string;
}

export interface UserPlan {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

export interface Leftovers {
  readonly unixPaths: readonly string[];
  readonly pidFile: string | undefined;
  readonly masterPid: number;
}

/** What the master says later: accept connections; stop accepting and finish what is under way, within so many ms (0: no bound); open the logs anew. */
export type WorkerOrder =
  /** Say what the applications' workers are busy with. */
  | { readonly type: "calls"; readonly question: number }
  | WorkerPlan
  | { readonly type: "accept" }
  | { readonly type: "drain"; readonly withinMs: number }
  | { readonly type: "reopen" };

/** What a web worker says to the master. */
export type WorkerReport =
  /** It has understood its configuration, and can accept. */
  | { readonly type: "ready" }
  /** It accepts. */
  | { readonly type: "serving" }
  /** By application's name. */
  | {
      readonly type: "calls";
      readonly question: number;
      readonly calls: Readonly<Record<string, readonly GivenCall[]>>;
    };
