import { expect, test } from "bun:test";
import type { Exchange } from "../../exchange.ts";
import { type PeerConf, Peers, usualPeer } from "../peers.ts";
import type { Balancer } from "./balancer.ts";
import { consistentHash, plainHash, pointsOf } from "./hash.ts";
import { ipHash } from "./ip_hash.ts";
import { leastConn } from "./least_conn.ts";
import { leastTime } from "./least_time.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round_robin.ts";

const nameOf = ({ server }: PeerConf): string => server;

/** Peers a, b, c …, with these changes. */
function peersOf(balancer: Balancer, ...changes: Partial<PeerConf>[]): Peers {
  const confs = changes.map((change, i): PeerConf => {
    const server = String.fromCharCode(97 + i);
    return { ...usualPeer, address: { kind: "tcp", family: 4, host: "127.0.0.1", port: 1 + i }, server, ...change };
  });
  return Peers.of(confs, nameOf, { balancer });
}

const from = (peerAddress: string): Exchange => ({ client: { peerAddress } }) as Exchange;
const nobody = from("");

/** Names of the peers for requests that follow each other; each ends before the next. */
function order(peers: Peers, count: number, exchange = nobody): string {
  let names = "";
  for (let i = 0; i < count; i++) {
    const peer = peers.choose(peers.begin(exchange), i);
    names += peer?.name ?? "-";
    if (peer !== undefined) peers.release(peer, "ok", i);
  }
  return names;
}

/** How often each comes in them. */
const shares = (names: string): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const name of names) found[name] = (found[name] ?? 0) + 1;
  return found;
};

test("round robin is smooth: as often as the weights say, never in one heap", () => {
  expect(order(peersOf(roundRobin, {}, {}, {}), 6)).toBe("abcabc");
  expect(order(peersOf(roundRobin, { weight: 5 }, {}, {}), 7)).toBe("aabacaa");
  expect(order(peersOf(roundRobin, { weight: 3 }, { weight: 2 }), 10)).toBe("ababaababa");
});

test("who is down, full or has failed is left out; backups come last", () => {
  expect(order(peersOf(roundRobin, { down: true }, {}), 3)).toBe("bbb");
  const peers = peersOf(roundRobin, {}, { backup: true });
  const first = peers.choose(peers.begin(nobody), 0)!;
  expect(first.name).toBe("a");
  peers.release(first, "failed", 0);
  expect(order(peers, 2)).toBe("bb");
  expect(peersOf(roundRobin, { maxConns: 1 }, {}).choose(peers.begin(nobody), 0)?.name).toBe("a");
});

test("a failed one is tried again after its time, and forgiven when that went well", () => {
  const peers = peersOf(roundRobin, { failTimeoutMs: 100 }, {});
  const fail = (now: number) => {
    const selection = peers.begin(nobody);
    for (;;) {
      const peer = peers.choose(selection, now)!;
      peers.release(peer, peer.name === "a" ? "failed" : "ok", now);
      if (peer.name === "a") return;
    }
  };
  fail(1000);
  const at = (now: number): string => {
    const peer = peers.choose(peers.begin(nobody), now)!;
    peers.release(peer, "ok", now);
    return peer.name;
  };
  expect([1050, 1060, 1070].map(at)).toEqual(["b", "b", "b"]);
  expect([1200, 1210, 1220].map(at)).toContain("a");
  expect(peers.primary[0]?.state.fails).toBe(0);
});

test("a single one is never given up, unless it is down", () => {
  const peers = peersOf(roundRobin, {});
  for (let i = 0; i < 3; i++) peers.release(peers.choose(peers.begin(nobody), i)!, "failed", i);
  expect(order(peers, 1)).toBe("a");
  expect(order(peersOf(roundRobin, { down: true }), 1)).toBe("-");
});

test("each is asked once for one request", () => {
  const peers = peersOf(roundRobin, {}, {}, { backup: true });
  const selection = peers.begin(nobody);
  const names = Array.from({ length: 4 }, () => peers.choose(selection, 0)?.name);
  expect(names).toEqual(["a", "b", "c", undefined]);
});

test("who is bound to a server has it, while it is drained too, but not if it is down", () => {
  const bound = (change: Partial<PeerConf>): string | undefined => {
    const peers = peersOf(roundRobin, { route: "one" }, { route: "two", ...change });
    return peers.choose(peers.begin(nobody, "two"), 0)?.name;
  };
  expect(bound({})).toBe("b");
  expect(bound({ down: "drain" })).toBe("b");
  expect(bound({ down: true })).toBe("a");
  expect(order(peersOf(roundRobin, {}, { down: "drain" }), 2)).toBe("aa");
});

test("the name of a server without a route is made from its address", () => {
  const [peer] = peersOf(roundRobin, {}).primary;
  expect(peer?.sid).toBe("0cc175b9c0f1b6a831c399e269772661");
});

test("ip_hash: a network always has the same server", () => {
  const peers = peersOf(ipHash, {}, {}, {});
  const names = (address: string): string => order(peers, 3, from(address));
  expect(names("10.1.2.3")).toBe(names("10.1.2.200"));
  expect(new Set([...Array(40).keys()].map((i) => names(`10.1.${i}.1`))).size).toBe(3);
  expect(new Set(names("2001:db8::1")).size).toBe(1);
});

test("hash: as Cache::Memcached has it; an empty key is nobody's", () => {
  const byKey = (key: string) =>
    order(
      peersOf(
        plainHash(() => key),
        {},
        {},
        {},
      ),
      2,
    );
  // crc32(key) >>> 16 & 0x7fff, modulo 3: 1, 0, 1.
  expect(["key1", "key2", "key3"].map(byKey)).toEqual(["bb", "aa", "bb"]);
  expect(new Set(["key1", "key2", "key3", "key4", "key5"].map(byKey)).size).toBe(3);
  expect(byKey("")).toBe("ab");
});

test("hash consistent: 160 points for each weight, and only the keys of who has gone move", () => {
  const peers = peersOf(
    consistentHash(() => ""),
    {},
    { weight: 2 },
    {},
  );
  const points = pointsOf(peers.primary);
  expect(points.length).toBeGreaterThan(630);
  expect(points.map(({ hash }) => hash)).toEqual(points.map(({ hash }) => hash).sort((a, b) => a - b));
  const place = (key: string, ...changes: Partial<PeerConf>[]) =>
    order(
      peersOf(
        consistentHash(() => key),
        ...changes,
      ),
      1,
    );
  const keys = Array.from({ length: 200 }, (_, i) => `key${i}`);
  for (const key of keys) {
    const before = place(key, {}, {}, {});
    const after = place(key, {}, {});
    if (before !== "c") expect(after).toBe(before);
  }
  expect(Object.keys(shares(keys.map((key) => place(key, {}, {}, {})).join(""))).sort()).toEqual(["a", "b", "c"]);
});

test("least_conn: the fewest requests by weight, in turn among equals", () => {
  const peers = peersOf(leastConn, {}, {}, { weight: 2 });
  const names = Array.from({ length: 8 }, () => peers.choose(peers.begin(nobody), 0)?.name).join("");
  expect(shares(names)).toEqual({ a: 2, b: 2, c: 4 });
  expect(order(peersOf(leastConn, {}, {}), 4)).toBe("abab");
});

test("least_time: the faster one, unless it is busy", () => {
  const peers = peersOf(leastTime({ until: "last_byte", inflight: false }), {}, {});
  const ask = (responseMs: number): string => {
    const peer = peers.choose(peers.begin(nobody), 0)!;
    peers.release(peer, "ok", 0, { headerMs: 1, responseMs });
    return peer.name;
  };
  expect(ask(500)).toBe("a");
  expect(ask(40)).toBe("b");
  expect([ask(40), ask(40), ask(40)]).toEqual(["b", "b", "b"]);
  const busy = Array.from({ length: 10 }, () => peers.choose(peers.begin(nobody), 0)?.name).join("");
  expect(busy).toContain("a");
});

test("random: by weight; of two the one with fewer requests", () => {
  let seed = 1;
  const draw = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  const { a = 0, b = 0 } = shares(order(peersOf(random(undefined, draw), { weight: 3 }, {}), 400));
  expect(a).toBeGreaterThan(2 * b);
  expect(b).toBeGreaterThan(50);
  const two = peersOf(
    random((peer, other) => peer.state.connections < other.state.connections, draw),
    {},
    {},
  );
  const names = Array.from({ length: 20 }, () => two.choose(two.begin(nobody), 0)?.name).join("");
  expect(shares(names)).toEqual({ a: 10, b: 10 });
});

test("what a health check says holds for all methods", () => {
  for (const balancer of [roundRobin, leastConn, ipHash, plainHash(() => "k"), random(undefined)]) {
    const peers = peersOf(balancer, {}, {});
    peers.primary[0]!.state.unhealthy = 1;
    expect(order(peers, 3)).toBe("bbb");
  }
});
