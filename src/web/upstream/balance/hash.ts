/** ngx_http_upstream_hash_module: a key always has the same server, as Cache::Memcached and its fast sister spread keys. */
import { crc32 } from "node:zlib";
import { invalidParameter } from "../../directive.ts";
import type { Exchange } from "../../exchange.ts";
import type { Peer } from "../peers.ts";
import type { Balancer, Pick } from "./balancer.ts";
import { methodRow } from "./method_row.ts";
import { furthest, pickRoundRobin } from "./round_robin.ts";
import { maxLooks, peerAt, totalWeight } from "./weighted.ts";

/** An element's bytes, as the checksum wants them. */
const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");

export const plainHash = (keyOf: (exchange: Exchange) => string): Balancer => ({
  begin(exchange) {
    const key = keyOf(exchange);
    let hash = 0;
    let rehash = 0;
    let looks = 0;
    return (peers, choice) => {
      while (looks <= maxLooks && peers.length > 1 && key !== "") {
        const sum = crc32(bytesOf(rehash === 0 ? key : `${rehash}${key}`));
        hash = (hash + ((sum >>> 16) & 0x7fff)) >>> 0;
        rehash++;
        const peer = peerAt(peers, hash % totalWeight(peers));
        if (!choice.tried.includes(peer) && peer.isUsable(choice.now)) return peer;
        looks++;
      }
      return pickRoundRobin(peers, choice);
    };
  },
});

/** A point on the circle, and the server that keys before it go to. */
interface Point {
  readonly hash: number;
  readonly server: string;
}

const pointsPerWeight = 160;

/** Host and port as they are summed. */
function halves(server: string): readonly [host: string, port: string] {
  if (/^unix:/i.test(server)) return [server.slice("unix:".length), ""];
  const [, host, port] = /^(.*):(\d*)$/s.exec(server) ?? [];
  return host === undefined || port === undefined ? [server, ""] : [host, port];
}

/** The points of all peers, in order. Each depends on its own server alone: where one comes or goes, the other keys stay. */
export function pointsOf(peers: readonly Peer[]): readonly Point[] {
  const points: Point[] = [];
  for (const { conf } of peers) {
    const [host, port] = halves(conf.server);
    const base = crc32(bytesOf(`${host}\0${port}`));
    const before = Buffer.alloc(4);
    for (let i = 0; i < conf.weight * pointsPerWeight; i++) {
      const hash = crc32(before, base);
      points.push({ hash, server: conf.server });
      before.writeUInt32LE(hash);
    }
  }
  points.sort((a, b) => a.hash - b.hash);
  return points.filter(({ hash }, i) => i === 0 || hash !== points[i - 1]!.hash);
}

/** The first point at `hash` or behind it; the number of points: there is none. */
function pointFor(points: readonly Point[], hash: number): number {
  let from = 0;
  let to = points.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (points[middle]!.hash < hash) from = middle + 1;
    else to = middle;
  }
  return from;
}

export function consistentHash(keyOf: (exchange: Exchange) => string): Balancer {
  let madeOf: readonly Peer[] = [];
  let points: readonly Point[] = [];
  const pointsFor = (peers: readonly Peer[]): readonly Point[] => {
    if (peers !== madeOf) {
      points = pointsOf(peers);
      madeOf = peers;
    }
    return points;
  };
  return {
    begin(exchange): Pick {
      const key = keyOf(exchange);
      let at: number | undefined;
      let looks = 0;
      return (peers, choice) => {
        const circle = pointsFor(peers);
        if (circle.length === 0) return undefined;
        at ??= pointFor(circle, crc32(bytesOf(key)));
        for (; looks <= maxLooks && key !== ""; looks++, at++) {
          const { server } = circle[at % circle.length]!;
          // A name may stand for several addresses: they take turns.
          const found = furthest(
            peers,
            (peer) => peer.conf.server === server && !choice.tried.includes(peer) && peer.isUsable(choice.now),
          );
          if (found !== undefined) return found;
        }
        return pickRoundRobin(peers, choice);
      };
    },
  };
}

export const hashRow = methodRow(
  {
    summary:
      "Requests with the same key always have the same server; `consistent`: few keys move where servers change.",
    syntax: "key [consistent]",
    args: [1, 2],
  },
  (statement, { setup }) => {
    const [text = "", word] = statement.args;
    if (word !== undefined && word !== "consistent") throw invalidParameter(statement, word);
    const key = setup.template(text, statement.at);
    const keyOf = (exchange: Exchange): string => key.value(exchange);
    return { backup: false, make: () => (word === undefined ? plainHash(keyOf) : consistentHash(keyOf)) };
  },
);
