/** What all connections of a web worker share. */
import type { ErrorLog } from "../base/error_log.ts";
import type { Timers } from "../base/timers.ts";
import type { TransportHandler } from "../net/transport.ts";
import type { Counters } from "../shm/counters.ts";

/** A client's connection, whatever it speaks. */
export interface Served {
  /** Nothing has been asked that is not answered. */
  readonly idle: boolean;
  /** Ends it as soon as nothing is lost by it. */
  retire(): void;
  /** Ends it whatever it is doing; what was under way is logged. */
  abort?(): void;
}

/** A client's connection as its transport sees it. */
export type ServedHandler = TransportHandler & Served;

export interface Service {
  readonly timers: Timers;
  readonly log: ErrorLog;
  readonly counters: Counters;
  /** This process's place among the counters. */
  readonly lane: number;
  /** worker_connections: above it new connections replace idle ones, or are shed. */
  readonly maxConnections: number;
  readonly connections: Set<Served>;
  /** The process is about to leave: each connection's next response is its last. */
  draining: boolean;
}
