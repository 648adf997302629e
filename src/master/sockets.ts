/** Listening sockets: the master makes them and keeps them, so that no worker's death or replacement loses a queued connection. */
import { lstatSync, unlinkSync } from "node:fs";
import { type Address, formatAddress } from "../base/address.ts";
import { closeFd, listenOn, localAddress, SystemError, withUmask } from "../net/libc.ts";
import type { LocalEnd } from "../worker/connection.ts";
import { StartError } from "./plan.ts";

type Bound = Exclude<Address, { kind: "fd" }>;

/** One address and its sockets: one per web worker where the kernel can spread connections over them, else one for all. */
export interface Listening {
  readonly address: Bound;
  /** By web worker. */
  readonly fds: readonly number[];
  readonly local: LocalEnd;
}

/** Makes the sockets of every address. Throws StartError, having closed what it had opened. */
export function listenOnAll(addresses: readonly Address[], webWorkers: number, backlog: number): Listening[] {
  const made: Listening[] = [];
  try {
    for (const address of addresses) made.push(listening(address, webWorkers, backlog));
    return made;
  } catch (error) {
    closeAll(made);
    throw error;
  }
}

function listening(address: Address, webWorkers: number, backlog: number): Listening {
  try {
    if (address.kind === "fd") return shared(localAddress(address.fd), address.fd, webWorkers);
    if (address.kind === "unix") {
      removeStale(address.path);
      // As Gunicorn's umask setting has it by default: everybody on the machine may connect.
      return shared(
        address,
        withUmask(0, () => listenOn(address, { backlog, reusePort: false })),
        webWorkers,
      );
    }
    return spread(address, webWorkers, backlog);
  } catch (error) {
    if (error instanceof SystemError) throw new StartError(explain(address, error.code));
    throw error;
  }
}

function shared(address: Bound, fd: number, webWorkers: number): Listening {
  return { address, fds: new Array<number>(webWorkers).fill(fd), local: localEnd(address) };
}

function spread(wanted: Bound & { kind: "tcp" }, webWorkers: number, backlog: number): Listening {
  // SO_REUSEPORT would let two masters of one user share a port without a word: the first try is without it.
  const probe = listenOn(wanted, { backlog: 1, reusePort: false });
  const address = localAddress(probe) as Bound & { kind: "tcp" };
  closeFd(probe);
  const fds: number[] = [];
  for (let i = 0; i < webWorkers; i++) fds.push(listenOn(address, { backlog, reusePort: true }));
  return { address, fds, local: localEnd(address) };
}

function localEnd(address: Bound): LocalEnd {
  return address.kind === "unix"
    ? { address: address.path, port: "" }
    : { address: address.host, port: String(address.port) };
}

/** A socket that a crashed server has left behind is in the way; any other file is not ours to remove. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new StartError(`cannot listen on unix:${path}: there is a file of that name; remove it or choose another`);
  unlinkSync(path);
}

export function closeAll(all: readonly Listening[]): void {
  for (const { address, fds } of all) {
    for (const fd of new Set(fds)) closeFd(fd);
    if (address.kind === "unix") removeSocketFile(address.path);
  }
}

export function removeSocketFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has removed it already.
  }
}

function explain(address: Address, code: string): string {
  const where = formatAddress(address);
  switch (code) {
    case "EADDRINUSE":
      return `cannot listen on ${where}: another program already does; stop it, or choose another address with --bind`;
    case "EACCES":
    case "EPERM":
      return `cannot listen on ${where}: permission denied; ports below 1024 and others' directories need more rights`;
    case "EADDRNOTAVAIL":
      return `cannot listen on ${where}: this machine does not have that address`;
    case "ENOENT":
    case "ENOTDIR":
      return `cannot listen on ${where}: its directory does not exist`;
    case "EBADF":
    case "ENOTSOCK":
    case "EINVAL":
      return `cannot listen on ${where}: that descriptor is not a listening socket`;
    default:
      return `cannot listen on ${where}: ${code}`;
  }
}
