/** What all connections of a web worker share. */
import type { Log } from "../base/log.ts";
import type { Timers } from "../base/timers.ts";
import type { AccessLog } from "../web/modules/log.ts";
import type { Site } from "../web/site.ts";
import type { Connection } from "./connection.ts";

/** How long a client may take, ms; named after Nginx's directives, with their defaults. */
export interface Limits {
  /** client_header_timeout: the whole head, however steadily it drips. */
  readonly headerTimeoutMs: number;
  /** client_body_timeout: between two reads of the body. */
  readonly bodyTimeoutMs: number;
  /** send_timeout: between two writes that made progress. */
  readonly sendTimeoutMs: number;
  /** keepalive_timeout: between two requests. */
  readonly keepAliveTimeoutMs: number;
  /** lingering_timeout, lingering_time: how long to read away what a refused client is still sending. */
  readonly lingeringTimeoutMs: number;
  readonly lingeringTimeMs: number;
  /** worker_connections: above it new connections replace idle ones, or are shed. */
  readonly connections: number;
}

export const defaultLimits: Limits = {
  headerTimeoutMs: 60_000,
  bodyTimeoutMs: 60_000,
  sendTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
  lingeringTimeoutMs: 5_000,
  lingeringTimeMs: 30_000,
  connections: 16_384,
};

export interface Service {
  readonly site: Site;
  readonly timers: Timers;
  readonly log: Log;
  /** undefined: no access log. */
  readonly access: AccessLog | undefined;
  readonly limits: Limits;
  readonly connections: Set<Connection>;
}
