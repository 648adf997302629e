/** Counters in memory that nobody shares. */
import { closeFd, sharedMemory } from "../../src/net/libc.ts";
import { Counters, countersBytes } from "../../src/shm/counters.ts";

/** Of one process, which has lane 0. */
export function countersOf(): Counters {
  const fd = sharedMemory("test", countersBytes);
  const counters = new Counters(fd);
  closeFd(fd);
  counters.claim(process.pid);
  return counters;
}
