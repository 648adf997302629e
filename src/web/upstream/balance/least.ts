/** The peer for which a measure is least against its weight; among equal ones, each in turn. */
import type { Peer } from "../peers.ts";
import type { Choice } from "./balancer.ts";
import { furthest } from "./round_robin.ts";

/** `measure` is asked once about each peer that can be had. */
export function least(
  peers: readonly Peer[],
  { tried, now }: Choice,
  measure: (peer: Peer) => number,
): Peer | undefined {
  let best: Peer | undefined;
  let bestMeasure = 0;
  let equal: Peer[] | undefined;
  for (const peer of peers) {
    if (tried.includes(peer) || !peer.isUsable(now)) continue;
    const measured = measure(peer);
    const difference = best === undefined ? -1 : measured * best.conf.weight - bestMeasure * peer.conf.weight;
    if (difference < 0) {
      best = peer;
      bestMeasure = measured;
      equal = undefined;
    } else if (difference === 0 && best !== undefined) {
      equal ??= [best];
      equal.push(peer);
    }
  }
  return equal === undefined ? best : furthest(equal, all, best);
}

const all = (): boolean => true;
