/** ngx_http_upstream_random_module: one at random, or the better one of two. */
import { invalidParameter } from "../../directive.ts";
import type { Peer } from "../peers.ts";
import type { Balancer } from "./balancer.ts";
import { methodRow } from "./method_row.ts";
import { pickRoundRobin } from "./round_robin.ts";
import { maxLooks, peerAt, totalWeight } from "./weighted.ts";

/** `better`: is the first of two to be preferred? undefined: only one is looked for. */
export function random(
  better: ((peer: Peer, other: Peer) => boolean) | undefined,
  draw: () => number = Math.random,
): Balancer {
  return {
    begin() {
      let looks = 0;
      return (peers, choice) => {
        let first: Peer | undefined;
        while (looks <= maxLooks && peers.length > 1) {
          const peer = peerAt(peers, Math.floor(draw() * totalWeight(peers)));
          if (peer === first || choice.tried.includes(peer) || !peer.isUsable(choice.now)) {
            looks++;
            continue;
          }
          if (better === undefined) return peer;
          if (first !== undefined) return better(first, peer) ? first : peer;
          first = peer;
        }
        return pickRoundRobin(peers, choice);
      };
    },
  };
}

const fewer = (measure: (peer: Peer) => number) => (peer: Peer, other: Peer) =>
  measure(peer) * other.conf.weight < measure(other) * peer.conf.weight;

/** By what the better one of two is found. */
const measures: Readonly<Record<string, (peer: Peer) => number>> = {
  least_conn: ({ state }) => state.connections,
  "least_time=header": ({ state }) => (state.headerMs + 1) * (1 + state.connections),
  "least_time=last_byte": ({ state }) => (state.responseMs + 1) * (1 + state.connections),
};

export const randomRow = methodRow(
  {
    summary: "A server at random, by weight; `two`: the better one of two.",
    syntax: "[two [least_conn | least_time=header | least_time=last_byte]]",
    args: [0, 2],
  },
  (statement) => {
    const [two, by = "least_conn"] = statement.args;
    if (two !== undefined && two !== "two") throw invalidParameter(statement, two);
    const measure = measures[by];
    if (measure === undefined) throw invalidParameter(statement, by);
    return { backup: false, make: () => withTimes(random(two === undefined ? undefined : fewer(measure))) };
  },
);

/** Measures how long responses take, for `least_time`. */
function withTimes(balancer: Balancer): Balancer {
  const average = (before: number, value: number): number => (before === 0 ? value : value * 0.05 + before * 0.95);
  return {
    ...balancer,
    released({ state }, ending, times) {
      if (ending !== "ok" || times?.headerMs === undefined) return;
      state.headerMs = average(state.headerMs, times.headerMs);
      state.responseMs = average(state.responseMs, times.responseMs);
    },
  };
}
