/** One workload: which servers, which load, and what we have promised about it. */
import type { Load } from "../load/load.ts";
import type { Metric } from "../metrics.ts";
import type { Contender } from "../servers/contender.ts";

/** A contender in a case, and the loads to choose from for it. */
export interface Lane {
  contender: Contender;
  /** The one that gets the most out of the server is used. */
  loads: Load[];
}

export type Floor =
  /** `advantage(metric, ours, that of the lane against)` is at least `atLeast`. */
  | { kind: "ratio"; metric: Metric; against: string; atLeast: number }
  /** Our own figure is at most `atMost`. */
  | { kind: "limit"; metric: Metric; atMost: number };

export interface Case {
  /** What --only selects by, e.g. "wsgi-hello". */
  id: string;
  title: string;
  /** absent: "http". */
  scheme?: "https";
  /** Answers 200 as soon as the server serves. */
  readyPath: string;
  lanes: Lane[];
  /** Decides which variant and which load of a lane take part in the rounds. */
  judge: Metric;
  floors: Floor[];
  /** Which figure the chart draws; absent: not drawn. */
  chart?: "requestsPerSecond" | "cpuUs";
  /** A new server for each measurement, since what the last one left would be measured too. */
  fresh?: boolean;
}

/** A promise about several cases together: the geometric mean of their advantages. */
export interface GroupFloor {
  title: string;
  cases: string[];
  metric: Metric;
  against: string;
  atLeast: number;
}

/** Every contender under the same loads. */
export function lanes(loads: Load[], contenders: Contender[]): Lane[] {
  return contenders.map((contender) => ({ contender, loads }));
}
