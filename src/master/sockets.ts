/** Listening sockets: the master makes them and keeps them, so that no worker's death or replacement loses a queued connection. */
import { lstatSync, unlinkSync } from "node:fs";
import { type Address, parseIpv6 } from "../base/address.ts";
import {
  closeFd,
  isAlive,
  listenOn,
  localAddress,
  SystemError,
  sharesAddress,
  tryAddress,
  tuneListening,
  withUmask,
} from "../net/libc.ts";
import type { LocalEnd } from "../worker/plan.ts";
import { type ListenPlan, StartError } from "./plan.ts";

type Bound = Exclude<Address, { kind: "fd" }>;

/** One address and its sockets: one per web worker where the kernel can spread connections over them, else one for all. */
export interface Listening {
  /** What asked for it; undefined: it came from another master, and nobody has asked for it yet. */
  readonly plan: ListenPlan | undefined;
  /** Where it is really bound: port 0 has become a number. */
  readonly address: Bound;
  readonly fds: readonly number[];
}

export interface OpenOptions {
  /** Sockets that are there already: those of addresses that are still wanted are used again. */
  readonly kept: readonly Listening[];
  readonly webWorkers: number;
  /** How often an address in use is tried, half a second apart. */
  readonly tries: number;
  /** Words for a failure. */
  explain(address: Address, error: SystemError): string;
  /** An address was in use, and is tried again. */
  onInUse(message: string): void;
}

const retryMs = 500;
/** As long as a client may take for its request head (client_header_timeout): TCP_DEFER_ACCEPT, seconds. */
const deferSeconds = 60;

/** Makes or keeps the sockets of every address. Throws StartError, having closed what it had opened. */
export async function openSockets(listens: readonly ListenPlan[], options: OpenOptions): Promise<Listening[]> {
  const made = new Map<ListenPlan, Listening>();
  try {
    for (let tries = Math.max(options.tries, 1); ; tries--) {
      const inUse = tryAll(listens, made, options);
      const [first] = inUse;
      if (first === undefined) return listens.flatMap((plan) => made.get(plan) ?? []);
      if (options.tries <= 1) throw new StartError(first);
      for (const words of inUse) options.onInUse(words);
      if (tries <= 1) throw new StartError("still could not bind()");
      await Bun.sleep(retryMs);
    }
  } catch (error) {
    closeSockets([...made.values()], options.kept);
    throw error;
  }
}

/** Opens what is not open yet. Returns words about the addresses in use. */
function tryAll(listens: readonly ListenPlan[], made: Map<ListenPlan, Listening>, options: OpenOptions): string[] {
  const inUse: string[] = [];
  for (const plan of listens) {
    if (made.has(plan)) continue;
    try {
      const found = options.kept.find((each) => isFor(each, plan));
      const opened = found === undefined ? open(plan, options.webWorkers) : keep(found, plan, options.webWorkers);
      made.set(plan, opened);
      tune(opened, found?.plan);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const words = options.explain(plan.address, error);
      if (error.code !== "EADDRINUSE") throw new StartError(words);
      inUse.push(words);
    }
  }
  return inUse;
}

function isFor(listening: Listening, { address, key }: ListenPlan): boolean {
  if (listening.plan !== undefined) return listening.plan.key === key && sameAddress(listening.plan.address, address);
  return sameAddress(listening.address, address);
}

const sameAddress = (a: Address, b: Address): boolean => identity(a) === identity(b);

/** The same for all ways to write an address. */
function identity(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  if (address.kind === "fd") return `fd:${address.fd}`;
  const host = address.family === 6 ? (parseIpv6(address.host) ?? []).join(".") : address.host;
  return `${host}:${address.port}`;
}

function open(plan: ListenPlan, webWorkers: number): Listening {
  const { address, backlog, ipv6Only, umask } = plan;
  if (address.kind === "fd") return { plan, address: localAddress(address.fd), fds: [address.fd] };
  if (address.kind === "unix") {
    removeStale(address.path);
    // Everybody on the machine may connect, as with Nginx and (umask 0) with Gunicorn.
    const fd = withUmask(umask ?? 0o111, () => listenOn(address, { backlog, reusePort: false }));
    return { plan, address, fds: [fd] };
  }
  if (!plan.reusePort) {
    const fd = listenOn(address, { backlog, reusePort: false, ipv6Only });
    return { plan, address: localAddress(fd), fds: [fd] };
  }
  // SO_REUSEPORT would let two masters of one user share a port without a word: the first try is without it.
  return more({ plan, address: tryAddress(address, ipv6Only), fds: [] }, plan, webWorkers);
}

/** A socket that was there before, with the plan that it has now. */
function keep(found: Listening, plan: ListenPlan, webWorkers: number): Listening {
  const kept = { ...found, plan };
  const [first] = found.fds;
  const canGrow = plan.reusePort && plan.address.kind === "tcp" && first !== undefined && sharesAddress(first);
  return canGrow ? more(kept, plan, webWorkers) : kept;
}

/** As many sockets as web workers. None is ever taken away: the connections that wait in it would be lost. */
function more(listening: Listening, plan: ListenPlan, webWorkers: number): Listening {
  const { address } = listening;
  const fds: number[] = [];
  try {
    while (listening.fds.length + fds.length < webWorkers)
      fds.push(listenOn(address, { backlog: plan.backlog, reusePort: true, ipv6Only: plan.ipv6Only }));
  } catch (error) {
    for (const fd of fds) closeFd(fd);
    throw error;
  }
  return { ...listening, fds: [...listening.fds, ...fds] };
}

function tune({ plan, fds, address }: Listening, before: ListenPlan | undefined): void {
  // A descriptor that somebody has handed over is as its maker wanted it.
  if (plan === undefined || plan.address.kind === "fd") return;
  const deferred = plan.deferred ? deferSeconds : before?.deferred === true ? 0 : undefined;
  const tuning = { ...plan, deferSeconds: address.kind === "tcp" ? deferred : undefined };
  for (const fd of fds) tuneListening(fd, tuning);
}

/** Could the addresses be had? One in use counts as one that could: by the server that is to be replaced. Throws StartError. */
export function tryAddresses(listens: readonly ListenPlan[], explain: OpenOptions["explain"]): void {
  for (const { address, ipv6Only } of listens) {
    try {
      if (address.kind === "tcp") tryAddress(address, ipv6Only);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.code !== "EADDRINUSE") throw new StartError(explain(address, error));
    }
  }
}

/** Which of its sockets a web worker accepts on: at least one; several where there are more sockets than workers. */
export function socketsFor({ fds }: Listening, webWorker: number, webWorkers: number): readonly number[] {
  const own = fds.filter((_, i) => i % webWorkers === webWorker);
  return own.length > 0 ? own : fds.slice(webWorker % fds.length).slice(0, 1);
}

export function localEnd({ address }: Listening): LocalEnd {
  return address.kind === "unix"
    ? { address: address.path, port: "" }
    : { address: address.host, port: String(address.port) };
}

/** A socket that a crashed server has left behind is in the way; one that is in use, and any other file, is not ours to remove. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new StartError(`cannot listen on unix:${path}: there is a file of that name; remove it or choose another`);
  if (!isAlive(path)) unlinkSync(path);
}

/** Closes what is not in `except` as well, and removes the files of Unix sockets. */
export function closeSockets(all: readonly Listening[], except: readonly Listening[] = []): void {
  const stay = new Set(except.flatMap(({ fds }) => fds));
  for (const { address, fds } of all) {
    const gone = fds.filter((fd) => !stay.has(fd));
    for (const fd of gone) closeFd(fd);
    if (address.kind === "unix" && gone.length === fds.length) removeSocketFile(address.path);
  }
}

/** Closes our ends; somebody else serves on: the files of Unix sockets stay. */
export function leaveSockets(all: readonly Listening[], except: readonly Listening[] = []): void {
  const stay = new Set(except.flatMap(({ fds }) => fds));
  for (const { fds } of all) for (const fd of fds) if (!stay.has(fd)) closeFd(fd);
}

function removeSocketFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has removed it already.
  }
}
