/** What a run leaves behind: the shape of the JSON file, from which tables and chart are made. */
import type { Floor, GroupFloor } from "./cases/case.ts";
import type { Machine } from "./machine.ts";
import type { Figures, Metric } from "./metrics.ts";
import type { ToolName } from "./tools.ts";

export interface Results {
  startedAt: string;
  seconds: number;
  rounds: number;
  measureSeconds: number;
  /** False when --only or --against has left something out. */
  complete: boolean;
  machine: Machine;
  versions: Record<ToolName, string>;
  cases: CaseResult[];
  groupVerdicts: GroupVerdict[];
}

export interface CaseResult {
  id: string;
  title: string;
  judge: Metric;
  chart?: "requestsPerSecond" | "cpuUs";
  lanes: LaneResult[];
  verdicts: Verdict[];
}

export interface LaneResult {
  name: string;
  ours: boolean;
  /** Why there are no figures: not installed, or did not start. */
  absent?: string;
  /** The variants and loads that were tried before the rounds, with their figure of `judge`. */
  probes: Probe[];
  /** The one that took part. */
  variant?: string;
  load?: string;
  commands: { argv: string[]; files: { path: string; text: string }[] }[];
  rounds: Round[];
  medians: Figures;
}

export interface Probe {
  variant: string;
  load: string;
  figure?: number;
  error?: string;
}

export interface Round {
  figures: Figures;
  errors: string[];
  /** Share of the machine's CPU time (0 to 1) that neither the server nor the load generator used: how noisy it was. */
  others: number;
}

export interface Verdict {
  floor: Floor;
  /** The advantage or our figure; absent when one side was not measured. */
  value?: number;
  reached?: boolean;
}

export interface GroupVerdict {
  floor: GroupFloor;
  value?: number;
  reached?: boolean;
}
