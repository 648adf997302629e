/** Counters in memory that nobody shares. */
import { Counters, countersBytes } from "../../src/shm/counters.ts";
import { memory } from "./shared_memory.ts";

/** Of one process, which has lane 0. */
export function countersOf(): Counters {
  const counters = new Counters(memory(countersBytes));
  counters.claim(process.pid);
  return counters;
}
