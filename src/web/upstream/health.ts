/** `health_check`: servers are asked now and then whether they are well, and left alone while they are not. */
import type { Timers } from "../../base/timers.ts";
import { Headers } from "../../http/headers.ts";
import type { Body } from "../../http/message.ts";
import type { PeerAddress } from "../../net/connect.ts";
import { sourceOf } from "../body_change.ts";
import { UpstreamConnection } from "./connection.ts";
import { plainDialer, type UpstreamResponse } from "./conversation.ts";
import { type Answer, failing, type Match, needsBody } from "./health_match.ts";
import { hasPassed } from "./peer_state.ts";
import type { Peer, Peers } from "./peers.ts";

export interface HealthCheck {
  /** ms between two checks of a server, and up to how much more. */
  readonly intervalMs: number;
  readonly jitterMs: number;
  /** So many failures make it unwell, so many successes well. */
  readonly fails: number;
  readonly passes: number;
  readonly uri: string;
  /** Instead of the server's own; undefined: that. */
  readonly port: number | undefined;
  readonly match: Match;
  readonly matchName: string;
}

export interface HealthOptions {
  readonly check: HealthCheck;
  /** Which of the group's checks it is: one bit of `unhealthy`. */
  readonly bit: number;
  readonly group: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly timeouts: { readonly connect: number; readonly send: number; readonly read: number };
  readonly timers: Timers;
  log(level: "warn" | "notice", message: string): void;
}

/** So much of a body is looked at. */
const bodyBytes = 256 * 1024;

/** Checks all servers of a group for ever. One process does it; all see the result in the zone. */
export function keepChecking(peers: Peers, options: HealthOptions): void {
  const counts = new WeakMap<Peer, number>();
  const { intervalMs, jitterMs } = options.check;
  const round = async (): Promise<void> => {
    const all = [...peers.primary, ...peers.backup].filter(({ conf }) => conf.down !== true);
    await Promise.all(
      all.map(async (peer) => {
        await delay(Math.random() * jitterMs);
        judge(peer, await problemOf(peer, options), options, counts);
      }),
    );
    setTimeout(round, intervalMs).unref();
  };
  void round();
}

const delay = (ms: number): Promise<void> | undefined =>
  ms < 1 ? undefined : new Promise((resolve) => setTimeout(resolve, ms).unref());

/** Counts in a row: successes above 0, failures below. */
function judge(
  peer: Peer,
  problem: string | undefined,
  { check, bit, group, log }: HealthOptions,
  counts: WeakMap<Peer, number>,
): void {
  const before = counts.get(peer) ?? 0;
  const count = problem === undefined ? Math.max(before, 0) + 1 : Math.min(before, 0) - 1;
  counts.set(peer, count);
  const flag = 1 << bit;
  if (problem === undefined) peer.state.unhealthy |= hasPassed;
  const isUnwell = (peer.state.unhealthy & flag) !== 0;
  const what = `health check "${check.matchName}" of peer ${peer.name} in upstream "${group}"`;
  if (!isUnwell && -count >= check.fails) {
    peer.state.unhealthy |= flag;
    log("warn", `peer is unhealthy while ${problem}, ${what}`);
  } else if (isUnwell && count >= check.passes) {
    peer.state.unhealthy &= ~flag;
    log("notice", `peer is healthy, ${what}`);
  }
}

function addressFor({ conf: { address } }: Peer, port: number | undefined): PeerAddress {
  return port === undefined || address.kind === "unix" ? address : { ...address, port };
}

/** One check: what it failed at; undefined: all is well. */
function problemOf(peer: Peer, options: HealthOptions): Promise<string | undefined> {
  const { check, fields, timeouts, timers } = options;
  const connection = new UpstreamConnection(plainDialer(addressFor(peer, check.port), { noDelay: true }), timers);
  return new Promise((resolve) => {
    connection.request(
      {
        head: { method: "GET", target: check.uri, version: 11, headers: Headers.of(...fields), bodyLength: undefined },
        body: undefined,
        timeouts,
        limits: { headLimit: 64 * 1024 },
      },
      {
        onResponse: (response) =>
          void judged(response, check.match).then((problem) => {
            connection.close();
            resolve(problem);
          }),
        onEnd() {},
        onFailure: ({ phase }) => resolve(phase === "connecting" ? "connecting to upstream" : "reading its answer"),
      },
    );
  });
}

async function judged({ head, body }: UpstreamResponse, match: Match): Promise<string | undefined> {
  const text = needsBody(match) ? await beginning(body) : "";
  const answer: Answer = { status: head.status, headers: head.headers, body: text };
  const what = failing(match, answer);
  return what === undefined ? undefined : `checking ${what}`;
}

/** The first bytes of a body; of one that breaks off, what there was. */
function beginning(body: Body): Promise<string> {
  const source = sourceOf(body);
  return new Promise((resolve) => {
    let text = "";
    const sink = {
      push(bytes: Uint8Array, last: boolean) {
        text += Buffer.from(bytes).toString("latin1");
        if (last || text.length >= bodyBytes) resolve(text.slice(0, bodyBytes));
        else source.pull(sink);
      },
      fail: () => resolve(text),
    };
    source.pull(sink);
  });
}
