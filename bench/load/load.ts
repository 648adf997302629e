/** What is done to a server while it is measured. */
import type { Figures } from "../metrics.ts";
import type { Server } from "../process.ts";

export interface Target {
  port: number;
  server: Server;
}

/** What one measurement has given. */
export interface Outcome {
  /** Answered requests, for the CPU per request; 0 when the load is not about requests. */
  requests: number;
  figures: Figures;
  /** What went wrong, in words; a measurement with any is flagged in every table. */
  errors: string[];
}

export interface Load {
  /** As it is printed: the tool with its arguments, or what our own generator does. */
  label: string;
  /** Shortly before each measurement, so that caches are filled and code is compiled. */
  warm(target: Target): Promise<void>;
  /** The measurement: takes about `seconds`. */
  run(target: Target, seconds: number): Promise<Outcome>;
  /** Something that surrounds the measurement and is not measured itself; returns its end, which gives its errors. */
  surround?(target: Target): Promise<() => Promise<string[]>>;
}
