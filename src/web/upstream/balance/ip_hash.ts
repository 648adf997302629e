/** ngx_http_upstream_ip_hash_module: a client's network always has the same server. */
import { parseIpv4, parseIpv6 } from "../../../base/address.ts";
import type { Balancer } from "./balancer.ts";
import { methodRow } from "./method_row.ts";
import { pickRoundRobin } from "./round_robin.ts";
import { maxLooks, peerAt, totalWeight } from "./weighted.ts";

/** The first three bytes of an IPv4 address, all of an IPv6 one; clients at a Unix socket are one network. */
function networkOf(address: string): Uint8Array {
  return parseIpv4(address)?.subarray(0, 3) ?? parseIpv6(address) ?? new Uint8Array(3);
}

export const ipHash: Balancer = {
  begin({ client }) {
    const network = networkOf(client.peerAddress);
    let hash = 89;
    let looks = 0;
    return (peers, choice) => {
      while (looks <= maxLooks && peers.length > 1) {
        for (const byte of network) hash = (hash * 113 + byte) % 6271;
        const peer = peerAt(peers, hash % totalWeight(peers));
        if (!choice.tried.includes(peer) && peer.isUsable(choice.now)) return peer;
        looks++;
      }
      return pickRoundRobin(peers, choice);
    };
  },
};

export const ipHashRow = methodRow(
  { summary: "A client's network always has the same server.", syntax: "", args: 0 },
  () => ({ backup: false, make: () => ipHash }),
);
