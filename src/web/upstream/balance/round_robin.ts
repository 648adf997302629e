/** Each in turn, as often as its weight says, spread evenly: smooth weighted round robin, as Nginx does it. */
import type { Peer } from "../peers.ts";
import type { Balancer, Choice, Pick } from "./balancer.ts";

/** Moves a peer's weight towards its turn; who has come furthest is next. */
export function advance({ state, conf }: Peer): void {
  state.currentWeight += state.effectiveWeight;
  if (state.effectiveWeight < conf.weight) state.effectiveWeight++;
}

/** Of those for whom it is time, the one that has come furthest; the others wait for less long now. */
export function furthest(peers: readonly Peer[], fits: (peer: Peer) => boolean, start?: Peer): Peer | undefined {
  let best = start;
  let total = 0;
  for (const peer of peers) {
    if (!fits(peer)) continue;
    total += peer.state.effectiveWeight;
    advance(peer);
    if (best === undefined || peer.state.currentWeight > best.state.currentWeight) best = peer;
  }
  if (best !== undefined) best.state.currentWeight -= total;
  return best;
}

export const pickRoundRobin: Pick = (peers, { tried, now, bound }: Choice) => {
  const fits = (peer: Peer): boolean => !tried.includes(peer) && peer.isUsable(now);
  if (bound === undefined) return furthest(peers, fits);
  // Who is asked for by name has its turn: but not so that the others would have all the next ones.
  const others = peers.reduce((sum, { conf }) => sum + conf.weight, 0) - bound.conf.weight;
  if (bound.state.currentWeight <= -others) return bound;
  let total = 0;
  for (const peer of peers) {
    if (!fits(peer)) continue;
    total += peer.state.effectiveWeight;
    advance(peer);
  }
  bound.state.currentWeight -= total;
  return bound;
};

export const roundRobin: Balancer = { begin: () => pickRoundRobin, weighsBound: true };
