/** The peer for which a measure is least against its weight; among equal ones, each in turn. */
import type { Peer } from "../peers.ts";
import type { Choice } from "./balancer.ts";
import { furthest } from "./round_robin.ts";

export function least(
  peers: readonly Peer[],
  { tried, now }: Choice,
  measure: (peer: Peer) => number,
): Peer | undefined {
  const usable = peers.filter((peer) => !tried.includes(peer) && peer.isUsable(now));
  const measures = new Map(usable.map((peer) => [peer, measure(peer)]));
  const of = (peer: Peer): number => measures.get(peer) ?? 0;
  let best: Peer | undefined;
  for (const peer of usable)
    if (best === undefined || of(peer) * best.conf.weight < of(best) * peer.conf.weight) best = peer;
  if (best === undefined) return undefined;
  const { conf } = best;
  const bestMeasure = of(best);
  const equal = usable.filter((peer) => of(peer) * conf.weight === bestMeasure * peer.conf.weight);
  return equal.length > 1 ? furthest(equal, () => true, best) : best;
}
