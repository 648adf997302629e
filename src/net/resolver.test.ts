import { afterAll, expect, test } from "bun:test";
import { readQuestion } from "./dns_message.ts";
import { Resolver, type ResolverOptions } from "./resolver.ts";

interface Answer {
  /** Added to 0x8180. */
  readonly flags?: number;
  readonly idOffset?: number;
  /** Records as [type, TTL, data]. */
  readonly records?: readonly (readonly [number, number, Buffer])[];
  readonly silent?: boolean;
}

const a = (ip: string, ttl = 3600) => [1, ttl, Buffer.from(ip.split(".").map(Number))] as const;
const aaaa = (last: number, ttl = 3600) =>
  [28, ttl, Buffer.from([0xfe, 0x80, ...new Array(13).fill(0), last])] as const;
const wireName = (name: string) =>
  Buffer.concat([...name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.of(0)]);
const cname = (name: string, ttl = 3600) => [5, ttl, wireName(name)] as const;
const srv = (priority: number, weight: number, port: number, target: string) => {
  const fixed = Buffer.alloc(6);
  for (const [i, value] of [priority, weight, port].entries()) fixed.writeUInt16BE(value, 2 * i);
  return [33, 3600, Buffer.concat([fixed, wireName(target)])] as const;
};
const servfail: Answer = { flags: 2 };
const none: Answer = {};
const typeNames = new Map([
  [1, "A"],
  [28, "AAAA"],
  [12, "PTR"],
  [33, "SRV"],
]);

type Zone = (question: string, count: number, tcp: boolean) => Answer;
const closers: (() => void)[] = [];
afterAll(() => {
  for (const close of closers) close();
});

/** A UDP and a TCP socket with the same port: the one that UDP gets may be taken for TCP, then another is tried. */
async function samePort(answer: (query: Buffer, whole: boolean) => Buffer | undefined) {
  for (;;) {
    const udp = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data(socket, query, port, host) {
          const reply = answer(query, false);
          if (reply !== undefined) socket.send(reply, port, host);
        },
      },
    });
    try {
      return { udp, tcp: overTcp(udp.port, answer) };
    } catch {
      udp.close();
    }
  }
}

function overTcp(port: number, answer: (query: Buffer, whole: boolean) => Buffer | undefined) {
  return Bun.listen({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(socket, bytes) {
        const reply = answer(bytes.subarray(2), true);
        // In two pieces: a message need not come whole.
        if (reply !== undefined) {
          socket.write(Buffer.from([reply.length >> 8, reply.length & 255]));
          socket.flush();
          setTimeout(() => socket.write(reply), 5);
        }
      },
    },
  });
}

/** A name server on a free port, UDP and TCP. `zone` is asked for "A name"; `asked` lists the questions in order. */
async function serve(zone: Zone) {
  const asked: string[] = [];
  const answer = (query: Buffer, tcp: boolean): Buffer | undefined => {
    const { name, type, end } = readQuestion(query, { questions: 1, answers: 0 } as never);
    const question = `${typeNames.get(type)} ${name}`;
    asked.push(tcp ? `${question} over TCP` : question);
    const {
      flags = 0,
      idOffset = 0,
      records = [],
      silent = false,
    } = zone(question, asked.filter((one) => one === question).length, tcp);
    if (silent) return undefined;
    const head = Buffer.alloc(12);
    head.writeUInt16BE((query.readUInt16BE(0) + idOffset) & 0xffff, 0);
    head.writeUInt16BE(0x8180 | flags, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.length, 6);
    const parts = records.map(([type, ttl, data]) => {
      const fixed = Buffer.alloc(12);
      fixed.writeUInt16BE(0xc00c, 0);
      fixed.writeUInt16BE(type, 2);
      fixed.writeUInt16BE(1, 4);
      fixed.writeUInt32BE(ttl, 6);
      fixed.writeUInt16BE(data.length, 10);
      return Buffer.concat([fixed, data]);
    });
    return Buffer.concat([head, query.subarray(12, end), ...parts]);
  };
  const { udp, tcp } = await samePort(answer);
  closers.push(
    () => udp.close(),
    () => tcp.stop(true),
  );
  return { asked, address: { kind: "tcp", family: 4, host: "127.0.0.1", port: udp.port } as const };
}

function resolverFor(
  servers: readonly { address: ResolverOptions["servers"][number] }[],
  options: Partial<ResolverOptions> = {},
) {
  const logged: string[] = [];
  let now = 0;
  const resolver = new Resolver({
    servers: servers.map(({ address }) => address),
    ipv4: true,
    ipv6: false,
    timeoutMs: 2000,
    log: (message) => logged.push(message),
    clock: () => now,
    ...options,
  });
  closers.push(() => resolver.close());
  const hosts = async (name: string) => {
    const found = await resolver.resolve(name);
    return found.kind === "failed" ? found.text : found.addresses.map(({ host }) => host).join(" ");
  };
  return { resolver, logged, hosts, pass: (ms: number) => (now += ms) };
}

test("an address is its own answer", async () => {
  const { resolver } = resolverFor([await serve(() => servfail)]);
  expect(await resolver.resolve("192.0.2.1")).toMatchObject({ addresses: [{ family: 4, host: "192.0.2.1" }] });
  expect(await resolver.resolve("::1")).toMatchObject({ addresses: [{ family: 6, host: "::1" }] });
});

test("a name is asked for once, in whatever case, until its TTL is over", async () => {
  const server = await serve((_, count) => (count === 1 ? { records: [a("127.0.0.1", 10)] } : servfail));
  const { hosts, resolver, pass } = resolverFor([server]);
  expect(await resolver.resolve("Name.example.")).toEqual({
    kind: "resolved",
    addresses: [{ family: 4, host: "127.0.0.1" }],
    validUntil: 10_000,
  });
  pass(9_999);
  expect(await hosts("name.EXAMPLE")).toBe("127.0.0.1");
  expect(server.asked).toEqual(["A name.example"]);
  pass(2);
  expect(await hosts("name.example")).toBe("2: Server failure");
  expect(server.asked).toHaveLength(2);
});

test("`valid` overrides the TTL", async () => {
  const server = await serve((_, count) => (count === 1 ? { records: [a("127.0.0.1", 1)] } : servfail));
  const { hosts, pass } = resolverFor([server], { validMs: 5000 });
  expect(await hosts("n.example")).toBe("127.0.0.1");
  pass(4000);
  expect(await hosts("n.example")).toBe("127.0.0.1");
  pass(1000);
  expect(await hosts("n.example")).toBe("2: Server failure");
});

test("an answer that nobody wants for half a minute is forgotten", async () => {
  const server = await serve(() => ({ records: [a("127.0.0.1")] }));
  const { hosts, pass } = resolverFor([server]);
  await hosts("n.example");
  pass(31_000);
  await hosts("other.example");
  await hosts("n.example");
  expect(server.asked).toEqual(["A n.example", "A other.example", "A n.example"]);
});

test("calls for one name share its lookup", async () => {
  const server = await serve(() => ({ records: [a("127.0.0.1", 0)] }));
  const { hosts } = resolverFor([server]);
  const found = await Promise.all([hosts("n.example"), hosts("n.example"), hosts("n.example")]);
  expect(found).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
  expect(server.asked).toHaveLength(1);
});

const pairs: readonly [string, Answer, Answer, string][] = [
  ["both", { records: [a("127.0.0.1"), a("127.0.0.2")] }, { records: [aaaa(1)] }, "127.0.0.1 127.0.0.2 fe80::1"],
  ["only IPv4", { records: [a("127.0.0.1")] }, none, "127.0.0.1"],
  ["only IPv6", none, { records: [aaaa(1)] }, "fe80::1"],
  ["nothing", none, none, "3: Host not found"],
  ["an error for one", { records: [a("127.0.0.1")] }, servfail, "2: Server failure"],
  ["no such name", { flags: 3 }, { flags: 3 }, "3: Host not found"],
  ["refused", { flags: 5 }, { flags: 5 }, "5: Operation refused"],
  ["an alias", { records: [cname("t.example")] }, { records: [cname("t.example")] }, "192.0.2.9"],
  ["an address and an alias", { records: [a("127.0.0.1")] }, { records: [cname("t.example")] }, "127.0.0.1"],
];
for (const [what, four, six, expected] of pairs) {
  test(`both families asked, answered with ${what}`, async () => {
    const server = await serve((question) => {
      if (question.endsWith(" t.example")) return question.startsWith("A ") ? { records: [a("192.0.2.9")] } : none;
      return question.startsWith("A ") ? four : six;
    });
    const { hosts } = resolverFor([server], { ipv6: true });
    expect(await hosts("n.example")).toBe(expected);
  });
}

test("IPv6 alone", async () => {
  const server = await serve(() => ({ records: [aaaa(1)] }));
  const { hosts } = resolverFor([server], { ipv4: false, ipv6: true });
  expect(await hosts("n.example")).toBe("fe80::1");
  expect(server.asked).toEqual(["AAAA n.example"]);
});

test("kept addresses are all handed out, from any of them on", async () => {
  const server = await serve(() => ({ records: [a("127.0.0.1"), a("127.0.0.2")] }));
  const { hosts } = resolverFor([server]);
  await hosts("n.example");
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++) seen.add(await hosts("n.example"));
  expect([...seen].sort()).toEqual(["127.0.0.1 127.0.0.2", "127.0.0.2 127.0.0.1"]);
});

test("chains of aliases have an end", async () => {
  const server = await serve((question) => {
    const n = Number(/\d+/.exec(question)?.[0]);
    return { records: n === 60 ? [a("127.0.0.1")] : [cname(`n${n + 1}.example`)] };
  });
  const { hosts } = resolverFor([server]);
  expect(await hosts("n10.example")).toBe("127.0.0.1");
  const others = resolverFor([server]);
  expect(await others.hosts("n9.example")).toBe("3: Host not found");
});

test("an alias of the root, and names that are none, are not asked for", async () => {
  const server = await serve(() => ({ records: [[5, 60, Buffer.of(0)]] }));
  const { hosts } = resolverFor([server]);
  expect(await hosts("n.example")).toBe("3: Host not found");
  expect(await hosts("a..b")).toBe("3: Host not found");
  expect(await hosts("")).toBe("3: Host not found");
  expect(server.asked).toEqual(["A n.example"]);
});

test("servers are asked in turn, and failures are not kept", async () => {
  const bad = await serve(() => servfail);
  const good = await serve(() => ({ records: [a("127.0.0.1")] }));
  const { hosts } = resolverFor([bad, good]);
  expect(await hosts("n.example")).toBe("2: Server failure");
  expect(await hosts("n.example")).toBe("127.0.0.1");
  expect(bad.asked).toHaveLength(1);
});

test("a server that is silent, or says nonsense, is followed by the next", async () => {
  for (const [first, complaint] of [
    [{ silent: true }, undefined],
    [{ idOffset: 1, records: [a("127.0.0.9")] }, /^wrong ident \d+ in DNS response for n\.example, expect \d+$/],
    [{ flags: 1 }, /^DNS error \(1: Format error\), query id:\d+, name:"n\.example"$/],
    [{ records: [[1, 1, Buffer.of(1)]] }, /^invalid A record in DNS response$/],
    [{ records: [aaaa(1)] }, /^unexpected AAAA record in DNS response$/],
    [{ flags: 0x4800, records: [a("127.0.0.9")] }, /^invalid UDP DNS response \d+ fl:C980$/],
  ] as const) {
    const bad = await serve(() => first as Answer);
    const good = await serve(() => ({ records: [a("127.0.0.1")] }));
    const { hosts, logged } = resolverFor([bad, good], { resendMs: 50 });
    expect(await hosts("n.example")).toBe("127.0.0.1");
    expect(bad.asked).toHaveLength(1);
    if (complaint === undefined) expect(logged).toEqual([]);
    else expect(logged[0]).toMatch(complaint);
  }
});

test("waiting ends in time, for each call by itself", async () => {
  const server = await serve(() => ({ silent: true }));
  const { resolver } = resolverFor([server]);
  const long = resolver.resolve("n.example", 200);
  expect(await resolver.resolve("n.example", 20)).toMatchObject({ code: 110, text: "110: Operation timed out" });
  expect(await Promise.race([long, "waiting"])).toBe("waiting");
  resolver.close();
  expect(await long).toMatchObject({ kind: "failed", code: 110 });
});

test("a truncated answer is asked for over TCP", async () => {
  const server = await serve((_, __, tcp) => ({
    flags: tcp ? 0 : 0x200,
    records: [a(tcp ? "127.0.0.1" : "127.0.0.9")],
  }));
  const { hosts } = resolverFor([server]);
  expect(await hosts("n.example")).toBe("127.0.0.1");
  expect(server.asked).toEqual(["A n.example", "A n.example over TCP"]);
});

test("a server that is not there is reported, and the next asked", async () => {
  const gone = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { data() {} } });
  const address = { kind: "tcp", family: 4, host: "127.0.0.1", port: gone.port } as const;
  gone.close();
  const good = await serve(() => ({ records: [a("127.0.0.1")] }));
  const { hosts, logged } = resolverFor([{ address }, good], { resendMs: 50 });
  expect(await hosts("n.example")).toBe("127.0.0.1");
  expect(logged[0]).toMatch(
    /^recv\(\) failed \(111: Connection refused\) while resolving, resolver: 127\.0\.0\.1:\d+$/,
  );
});

test("the name of an address", async () => {
  const server = await serve((question) =>
    question === "PTR 1.2.0.192.in-addr.arpa" ? { records: [[12, 60, wireName("Host.example")]] } : { flags: 3 },
  );
  const { resolver } = resolverFor([server]);
  expect(await resolver.resolveAddress("192.0.2.1")).toMatchObject({ kind: "resolved", name: "host.example" });
  expect(await resolver.resolveAddress("192.0.2.2")).toMatchObject({ kind: "failed", code: 3 });
  expect(await resolver.resolveAddress("nonsense")).toMatchObject({ kind: "failed", code: 3 });
});

test("a service: every target, the lowest priority first", async () => {
  const server = await serve((question) => {
    if (question === "SRV _http._tcp.example") {
      return { records: [srv(20, 1, 83, "c.example"), srv(10, 0, 81, "a.example"), srv(10, 5, 82, "gone.example")] };
    }
    if (question === "A a.example") return { records: [a("127.0.0.1", 60)] };
    return question === "A c.example" ? { records: [a("127.0.0.3"), a("127.0.0.4")] } : { flags: 3 };
  });
  const { resolver } = resolverFor([server]);
  expect(await resolver.resolveService("http", "example")).toEqual({
    kind: "resolved",
    validUntil: 60_000,
    addresses: [
      { name: "a.example", family: 4, host: "127.0.0.1", port: 81, priority: 10, weight: 1 },
      { name: "c.example", family: 4, host: "127.0.0.3", port: 83, priority: 20, weight: 1 },
      { name: "c.example", family: 4, host: "127.0.0.4", port: 83, priority: 20, weight: 1 },
    ],
  });
  expect(await resolver.resolveService("_x._udp", "example")).toMatchObject({ kind: "failed", code: 3 });
  expect(server.asked).toContain("SRV _x._udp.example");
});

test("a service none of whose targets exists", async () => {
  const server = await serve((question) =>
    question.startsWith("SRV")
      ? { records: [srv(1, 1, 80, "a.example"), srv(1, 1, 80, "b.example")] }
      : { flags: question.endsWith(" a.example") ? 2 : 3 },
  );
  const { resolver } = resolverFor([server]);
  expect(await resolver.resolveService("http", "example")).toMatchObject({ kind: "failed", code: 3 });
});
