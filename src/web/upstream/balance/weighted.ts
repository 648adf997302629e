/** Peers on a line, each as long as its weight: where a number falls. */
import type { Peer } from "../peers.ts";

export const totalWeight = (peers: readonly Peer[]): number => peers.reduce((sum, { conf }) => sum + conf.weight, 0);

/** The peer at `place`, which is less than the total. */
export function peerAt(peers: readonly Peer[], place: number): Peer {
  let left = place;
  for (const peer of peers) {
    if (left < peer.conf.weight) return peer;
    left -= peer.conf.weight;
  }
  return peers[peers.length - 1]!;
}

/** So many peers that cannot be had are looked at; then it is whoever's turn it is. */
export const maxLooks = 20;
