/** The facts about the machine that a reader of the numbers needs. */
import { cpus, loadavg, release, totalmem } from "node:os";

export interface Machine {
  cores: number;
  cpu: string;
  kernel: string;
  memoryBytes: number;
  /** Of the last minute, before the benchmark began: others' work on the same cores. */
  load: number;
}

export function machineFacts(): Machine {
  const [first] = cpus();
  return {
    cores: navigator.hardwareConcurrency,
    cpu: first?.model.trim() ?? "unknown",
    kernel: release(),
    memoryBytes: totalmem(),
    load: loadavg()[0] ?? 0,
  };
}
