import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address } from "../base/address.ts";
import { closeFd, isAlive, listenOn, localAddress } from "../net/libc.ts";
import type { ListenPlan } from "./plan.ts";
import { nginxWords } from "./report.ts";
import { closeSockets, type Listening, type OpenOptions, openSockets, socketsFor, tryAddresses } from "./sockets.ts";

const opened: Listening[] = [];
afterEach(() => closeSockets(opened.splice(0)));

const tcp = (port: number): Address => ({ kind: "tcp", family: 4, host: "127.0.0.1", port });

const plan = (address: Address, more: Partial<ListenPlan> = {}): ListenPlan => ({
  key: JSON.stringify(address),
  address,
  backlog: 8,
  reusePort: true,
  ipv6Only: true,
  receiveBuffer: undefined,
  sendBuffer: undefined,
  fastOpen: undefined,
  deferred: false,
  keepAlive: undefined,
  ...more,
});

async function open(listens: readonly ListenPlan[], options: Partial<OpenOptions> = {}): Promise<Listening[]> {
  const made = await openSockets(listens, {
    kept: [],
    webWorkers: 2,
    tries: 1,
    explain: nginxWords,
    onInUse() {},
    ...options,
  });
  opened.splice(0, opened.length, ...made);
  return made;
}

/** Of the first. */
function only(all: readonly Listening[]): Listening {
  const [first] = all;
  if (first === undefined) throw new Error("nothing was opened");
  return first;
}

test("one socket for each worker, or one for all", async () => {
  const [spread, shared] = await open([plan(tcp(0)), plan(tcp(0), { key: "other", reusePort: false })]);
  expect(new Set(spread?.fds).size).toBe(2);
  expect(shared?.fds.length).toBe(1);
  for (const fd of spread?.fds ?? []) expect(localAddress(fd)).toEqual(only([spread as Listening]).address);
});

test("all settings of a socket are taken", async () => {
  const keepAlive = { idle: 30, interval: 5, count: 3 };
  const settings = { receiveBuffer: 8192, sendBuffer: 8192, fastOpen: 5, deferred: true, keepAlive };
  const v6: Address = { kind: "tcp", family: 6, host: "::1", port: 0 };
  expect(await open([plan(tcp(0), settings), plan(v6, { ipv6Only: false })])).toHaveLength(2);
});

test("an address is kept with its sockets, and none is taken away", async () => {
  const wanted = plan(tcp(0));
  const before = only(await open([wanted]));
  const more = only(await open([wanted], { kept: [before], webWorkers: 4 }));
  expect(more.fds.slice(0, 2)).toEqual([...before.fds]);
  expect(more.fds.length).toBe(4);
  const fewer = only(await open([wanted], { kept: [more], webWorkers: 1 }));
  expect(fewer.fds).toEqual(more.fds);
});

test("sockets of another program are known by where they are bound", async () => {
  const fd = listenOn({ kind: "tcp", family: 4, host: "127.0.0.1", port: 0 }, { backlog: 1, reusePort: false });
  const address = localAddress(fd);
  // It was made for one, so all share it.
  const found = await open([plan(address)], { kept: [{ plan: undefined, address, fds: [fd] }], webWorkers: 3 });
  expect(only(found).fds).toEqual([fd]);
});

test("every socket has a worker, and every worker a socket", () => {
  const listening = { plan: undefined, address: { kind: "unix", path: "x" }, fds: [10, 11, 12] } as const;
  const all = (webWorkers: number) =>
    Array.from({ length: webWorkers }, (_, i) => socketsFor(listening, i, webWorkers));
  expect(all(1)).toEqual([[10, 11, 12]]);
  expect(all(2)).toEqual([[10, 12], [11]]);
  expect(all(3)).toEqual([[10], [11], [12]]);
  expect(all(5)).toEqual([[10], [11], [12], [10], [11]]);
});

test("an address in use: said in words, tried again, and what was opened before is closed", async () => {
  const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const free = listenOn({ kind: "tcp", family: 4, host: "127.0.0.1", port: 0 }, { backlog: 1, reusePort: false });
  const address = localAddress(free);
  closeFd(free);
  const words = `bind() to 127.0.0.1:${other.port} failed (98: Address already in use)`;
  await expect(open([plan(address), plan(tcp(other.port))])).rejects.toThrow(words);
  tryAddresses([plan(address), plan(tcp(other.port))], nginxWords);
  const said: string[] = [];
  const trying = open([plan(address), plan(tcp(other.port))], {
    tries: 3,
    onInUse(message) {
      said.push(message);
      other.stop(true);
    },
  });
  expect(await trying).toHaveLength(2);
  expect(said).toEqual([words]);
});

test("an address that this machine does not have", async () => {
  const foreign: Address = { kind: "tcp", family: 4, host: "192.0.2.1", port: 80 };
  const words = "bind() to 192.0.2.1:80 failed (99: Cannot assign requested address)";
  await expect(open([plan(foreign)])).rejects.toThrow(words);
  expect(() => tryAddresses([plan(foreign)], nginxWords)).toThrow(words);
});

test("Unix sockets: open to everybody, a dead one is replaced, a living one and other files are not", async () => {
  const directory = mkdtempSync(join(tmpdir(), "alicorn-test-"));
  const path = join(directory, "socket");
  const wanted = plan({ kind: "unix", path });
  const made = only(await open([wanted]));
  expect(statSync(path).mode & 0o777).toBe(0o666);
  expect(isAlive(path)).toBe(true);
  await expect(open([wanted])).rejects.toThrow(`bind() to unix:${path} failed (98: Address already in use)`);
  for (const fd of made.fds) closeFd(fd);
  expect(isAlive(path)).toBe(false);
  closeSockets(await open([wanted]));
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, "");
  await expect(open([wanted])).rejects.toThrow("there is a file of that name");
  opened.length = 0;
  rmSync(directory, { recursive: true });
});
