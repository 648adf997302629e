/** How a peer fares: known to one process, or to all web workers (`zone`). */
import type { SharedTable } from "../../shm/table.ts";

/** Whole numbers; times are ms of a clock that never steps. */
export interface PeerState {
  connections: number;
  fails: number;
  /** Of the last failure, and of the last look at it since. */
  accessedAt: number;
  checkedAt: number;
  currentWeight: number;
  effectiveWeight: number;
  /** least_time: averages, ms; 0: nothing is known. */
  headerMs: number;
  responseMs: number;
  /** … and what its requests under way have taken so far. */
  inflight: number;
  inflightMs: number;
  inflightSum: number;
  inflightAt: number;
  /** health_check: a bit for each check that it does not pass, and `hasPassed`. */
  unhealthy: number;
}

/** A bit of `unhealthy`: it has passed a check at some time. */
export const hasPassed = 1 << 30;

/** The same as a record of a zone. */
export const stateFields = {
  connections: "i32",
  fails: "u32",
  accessedAt: "f64",
  checkedAt: "f64",
  currentWeight: "i32",
  effectiveWeight: "i32",
  headerMs: "f64",
  responseMs: "f64",
  inflight: "i32",
  inflightMs: "f64",
  inflightSum: "f64",
  inflightAt: "f64",
  unhealthy: "u32",
} as const;

export class LocalState implements PeerState {
  connections = 0;
  fails = 0;
  accessedAt = 0;
  checkedAt = 0;
  currentWeight = 0;
  effectiveWeight: number;
  headerMs = 0;
  responseMs = 0;
  inflight = 0;
  inflightMs = 0;
  inflightSum = 0;
  inflightAt = 0;
  unhealthy = 0;

  constructor(weight: number) {
    this.effectiveWeight = weight;
  }
}

type Table = SharedTable<typeof stateFields>;
type Name = keyof typeof stateFields;

/** The state in a zone's record. */
export function sharedState(table: Table, node: number): PeerState {
  const state = {};
  for (const name of Object.keys(stateFields) as Name[])
    Object.defineProperty(state, name, {
      get: () => table.get(node, name),
      set: (value: number) => table.set(node, name, value),
    });
  return state as PeerState;
}
