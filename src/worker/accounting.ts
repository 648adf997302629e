/** What connections do to the counters that `stub_status` shows. */
import type { Served, Service } from "./service.ts";

export const headBegan = ({ counters, lane }: Service): void => counters.add(lane, "reading", 1);

/** `afterHead`: its head was counted when it began. */
export function requestBegan({ counters, lane }: Service, afterHead: boolean): void {
  counters.add(lane, "requests", 1);
  counters.add(lane, "writing", 1);
  if (afterHead) counters.add(lane, "reading", -1);
}

export const requestEnded = ({ counters, lane }: Service): void => counters.add(lane, "writing", -1);

/** `inHead`: a head has begun to arrive, and its rest will not. */
export function connectionClosed({ counters, lane, connections }: Service, connection: Served, inHead: boolean): void {
  connections.delete(connection);
  counters.add(lane, "active", -1);
  if (inHead) counters.add(lane, "reading", -1);
}
