/** ngx_http_upstream_least_time_module: who is expected to have answered first. */
import { ConfigError } from "../../../config/statement.ts";
import { invalidParameter } from "../../directive.ts";
import type { Ending, Peer } from "../peers.ts";
import type { Balancer, Times } from "./balancer.ts";
import { least } from "./least.ts";
import { methodRow } from "./method_row.ts";

export interface LeastTimeOptions {
  /** What is measured: until the head, or until the last byte. */
  readonly until: "header" | "last_byte";
  /** Requests under way count, too. */
  readonly inflight: boolean;
}

/** A moving average that forgets a twentieth with each value; 0: there was none yet. */
const average = (before: number, value: number): number =>
  Math.floor(before === 0 ? value : 0.5 + value * 0.05 + before * 0.95);

/** Slower ones are all the same, and times that are closer than this are equal, ms. */
const slowest = 5000;
const step = 20;

function expected({ state, conf }: Peer, until: LeastTimeOptions["until"], now: number): number {
  let ms = until === "header" ? state.headerMs : state.responseMs;
  // Who has not been asked for long is believed to have become faster.
  const failSeconds = Math.floor(conf.failTimeoutMs / 1000);
  const silent = Math.floor((now - state.checkedAt) / 1000);
  if (silent > failSeconds) ms = Math.floor(ms / 2 ** Math.min(Math.floor(silent / (failSeconds + 1)), 53));
  if (state.inflight > 0) ms = Math.max(ms, state.inflightMs);
  ms = ms > slowest ? slowest : ms + step - (ms % step);
  return ms * (1 + state.connections);
}

/** A request has ended that took `ms`. */
function inflightDone({ state }: Peer, ms: number, now: number): void {
  if (state.inflight === 0) return;
  if (state.inflight === 1) state.inflightSum = 0;
  else {
    state.inflightSum = Math.max(state.inflightSum + (now - state.inflightAt) * state.inflight - ms, 0);
    state.inflightAt = now;
  }
  state.inflight--;
}

export function leastTime({ until, inflight }: LeastTimeOptions): Balancer {
  const countsAtHead = inflight && until === "header";
  return {
    begin: () => (peers, choice) =>
      least(peers, choice, (peer) => {
        const { state } = peer;
        if (state.inflight > 0)
          state.inflightMs = average(
            state.inflightMs,
            Math.floor(state.inflightSum / state.inflight) + (choice.now - state.inflightAt),
          );
        return expected(peer, until, choice.now);
      }),
    taken({ state }, now) {
      if (!inflight) return;
      if (state.inflight > 0) state.inflightSum += (now - state.inflightAt) * state.inflight;
      state.inflightAt = now;
      state.inflight++;
    },
    headed(peer, headerMs, now) {
      if (!countsAtHead) return;
      peer.state.headerMs = average(peer.state.headerMs, Math.floor(headerMs));
      inflightDone(peer, headerMs, now);
    },
    released(peer: Peer, ending: Ending, times: Times | undefined, now: number) {
      const { headerMs, responseMs = 0 } = times ?? {};
      if (inflight && !(countsAtHead && headerMs !== undefined)) inflightDone(peer, responseMs, now);
      // Who fails quickly is not fast.
      if (ending !== "ok" || headerMs === undefined) return;
      peer.state.responseMs = average(peer.state.responseMs, Math.floor(responseMs));
      if (!countsAtHead) peer.state.headerMs = average(peer.state.headerMs, Math.floor(headerMs));
    },
  };
}

export const leastTimeRow = methodRow(
  {
    summary: "The server that has been fastest lately, and has the fewest requests under way, is next.",
    syntax: "header | last_byte [inflight]",
    args: [1, 2],
  },
  (statement) => {
    const [until = "", word] = statement.args;
    if (word !== undefined && word !== "inflight") throw invalidParameter(statement, word);
    if (until !== "header" && until !== "last_byte") throw new ConfigError(`invalid value "${until}"`, statement.at);
    return { backup: true, make: () => leastTime({ until, inflight: word !== undefined }) };
  },
);
