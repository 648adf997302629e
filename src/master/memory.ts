/** Memory that web workers share, and that outlives them: a reload does not empty it. */
import { closeFd, sharedMemory } from "../net/libc.ts";
import { Counters, countersBytes } from "../shm/counters.ts";
import { takeOver } from "../shm/zone.ts";
import type { ZonePlan } from "../worker/plan.ts";
import { StartError } from "./plan.ts";

export interface ZoneMemory {
  readonly zone: ZonePlan;
  readonly fd: number;
}

export class SharedMemories {
  /** The descriptor of the counters' memory. */
  readonly counters = sharedMemory("alicorn-counters", countersBytes);
  readonly #counted = new Counters(this.counters);
  #zones: readonly ZoneMemory[] = [];

  /**
   * Memory for each zone, in their order: what it has already, or a fresh one. Nothing is decided until `adopt` or `discard`.
   * Throws StartError for a zone that cannot go on with what is in it.
   */
  prepare(zones: readonly ZonePlan[]): ZoneMemory[] {
    const prepared: ZoneMemory[] = [];
    try {
      for (const zone of zones) prepared.push({ zone, fd: this.#fdFor(zone) });
      return prepared;
    } catch (error) {
      this.discard(prepared);
      throw error;
    }
  }

  #fdFor(zone: ZonePlan): number {
    const previous = this.#zones.find((each) => each.zone.name === zone.name);
    const decision = previous === undefined ? "fresh" : takeOver(previous.zone, zone);
    if (typeof decision === "object") throw new StartError(decision.message);
    // A name of 249 bytes is all that the system takes.
    if (previous === undefined || decision === "fresh")
      return sharedMemory(`alicorn-${zone.name.slice(0, 200)}`, zone.sizeBytes);
    return previous.fd;
  }

  /** These are the zones from now on; memory of others is let go of: workers that still use it keep it alive. */
  adopt(zones: readonly ZoneMemory[]): void {
    closeOthers(this.#zones, zones);
    this.#zones = zones;
  }

  /** What was prepared is not needed. */
  discard(zones: readonly ZoneMemory[]): void {
    closeOthers(zones, this.#zones);
  }

  /** A web worker has ended: what it was doing counts no more. */
  forget(pid: number): void {
    this.#counted.release(pid);
  }
}

function closeOthers(zones: readonly ZoneMemory[], except: readonly ZoneMemory[]): void {
  const stay = new Set(except.map(({ fd }) => fd));
  for (const { fd } of zones) if (!stay.has(fd)) closeFd(fd);
}
