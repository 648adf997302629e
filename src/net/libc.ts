/**
 * The few system calls that the runtime does not offer (Linux). The only file that talks to libc.
 * Each throws a `SystemError` with the errno's name, which callers turn into a sentence for the user.
 */
import { dlopen, type Pointer, ptr, read } from "bun:ffi";
import { constants } from "node:os";
import { type Address, parseIpv4, parseIpv6 } from "../base/address.ts";
import { unreachable } from "../base/unreachable.ts";

const signatures = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  umask: { args: ["u32"], returns: "u32" },
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  ftruncate: { args: ["i32", "i64"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  sendfile: { args: ["i32", "i32", "ptr", "u64"], returns: "i64" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

const libc = open();

// glibc's name, then musl's.
function open() {
  try {
    return dlopen("libc.so.6", signatures).symbols;
  } catch {
    return dlopen(`libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, signatures).symbols;
  }
}

export class SystemError extends Error {
  /** "EADDRINUSE" */
  readonly code: string;
  constructor(call: string, errno: number) {
    const code = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.code = code;
  }
}

function checked(call: string, result: number): number {
  if (result >= 0) return result;
  throw new SystemError(call, read.i32(libc.__errno_location() as Pointer, 0));
}

const family = { unix: 1, v4: 2, v6: 10 } as const;
const sockStream = 1 | 0o2000000 | 0o4000; // SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK
const solSocket = 1;
const option = { reuseAddr: 2, reusePort: 15 } as const;
const ipv6Only = { level: 41, name: 26 } as const;

function setOption(fd: number, level: number, name: number): void {
  checked("setsockopt", libc.setsockopt(fd, level, name, ptr(new Int32Array([1])), 4));
}

/** How to make a listening socket. */
export interface ListenOptions {
  /** Length of the queue of connections not yet accepted. */
  readonly backlog: number;
  /** Several sockets may share the address; the kernel spreads connections over them. TCP only. */
  readonly reusePort: boolean;
}

/** A bound, listening, non-blocking socket. Throws SystemError: EADDRINUSE, EACCES, EADDRNOTAVAIL … */
export function listenOn(address: Exclude<Address, { kind: "fd" }>, { backlog, reusePort }: ListenOptions): number {
  const domain = address.kind === "unix" ? family.unix : address.family === 6 ? family.v6 : family.v4;
  const fd = checked("socket", libc.socket(domain, sockStream, 0));
  try {
    if (address.kind === "tcp") {
      setOption(fd, solSocket, option.reuseAddr);
      if (reusePort) setOption(fd, solSocket, option.reusePort);
      if (address.family === 6) setOption(fd, ipv6Only.level, ipv6Only.name);
    }
    const name = socketName(address);
    checked("bind", libc.bind(fd, ptr(name), name.length));
    checked("listen", libc.listen(fd, backlog));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * A listening Unix socket under a name that the kernel picks in its abstract namespace: no file, so nothing stays behind
 * however the program ends. Anybody on the machine can connect; who does must prove itself.
 */
export function listenAbstract(backlog: number): { fd: number; name: string } {
  const fd = checked("socket", libc.socket(family.unix, sockStream, 0));
  // An address of the family alone asks for a name (unix(7), "Autobind feature").
  checked("bind", libc.bind(fd, ptr(new Uint8Array(new Uint16Array([family.unix]).buffer)), 2));
  checked("listen", libc.listen(fd, backlog));
  const bytes = boundName(fd);
  return { fd, name: Buffer.from(bytes.subarray(3)).toString("latin1") };
}

function boundName(fd: number): Uint8Array {
  const room = new Uint8Array(128);
  const length = new Uint32Array([room.length]);
  checked("getsockname", libc.getsockname(fd, ptr(room), ptr(length)));
  return room.subarray(0, length[0]);
}

/** Where a socket that we were given is bound. Throws SystemError: ENOTSOCK, EBADF. */
export function localAddress(fd: number): Exclude<Address, { kind: "fd" }> {
  const name = boundName(fd);
  const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
  const domain = new Uint16Array(name.slice(0, 2).buffer)[0];
  if (domain === family.v4)
    return { kind: "tcp", family: 4, host: name.subarray(4, 8).join("."), port: view.getUint16(2) };
  if (domain === family.v6) {
    const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(8 + 2 * i).toString(16));
    return { kind: "tcp", family: 6, host: shorten(groups), port: view.getUint16(2) };
  }
  return { kind: "unix", path: Buffer.from(name.subarray(2)).toString().split("\0")[0] ?? "" };
}

// The URL parser writes IPv6 addresses as RFC 5952 asks.
function shorten(groups: readonly string[]): string {
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

// struct sockaddr_in, sockaddr_in6, sockaddr_un
function socketName(address: Exclude<Address, { kind: "fd" }>): Uint8Array {
  switch (address.kind) {
    case "unix": {
      const path = Buffer.from(address.path);
      const name = new Uint8Array(2 + path.length + 1);
      name.set(new Uint8Array(new Uint16Array([family.unix]).buffer));
      name.set(path, 2);
      return name;
    }
    case "tcp": {
      const v6 = address.family === 6;
      const name = new Uint8Array(v6 ? 28 : 16);
      name.set(new Uint8Array(new Uint16Array([v6 ? family.v6 : family.v4]).buffer));
      new DataView(name.buffer).setUint16(2, address.port);
      const bytes = v6 ? parseIpv6(address.host) : parseIpv4(address.host);
      if (bytes === undefined) throw new SystemError("bind", constants.errno.EINVAL);
      name.set(bytes, v6 ? 8 : 4);
      return name;
    }
    default:
      return unreachable(address);
  }
}

export function closeFd(fd: number): void {
  libc.close(fd);
}

/** Runs `make` with this umask. */
export function withUmask<T>(mask: number, make: () => T): T {
  const before = libc.umask(mask);
  try {
    return make();
  } finally {
    libc.umask(before);
  }
}

/** Memory that processes share by passing its descriptor on; it is gone with the last of them. */
export function sharedMemory(name: string, sizeBytes: number): number {
  const fd = checked("memfd_create", libc.memfd_create(ptr(Buffer.from(`${name}\0`)), 1)); // MFD_CLOEXEC
  checked("ftruncate", libc.ftruncate(fd, sizeBytes));
  return fd;
}

const rlimitNofile = 7;

/**
 * Raises the number of descriptors that this process may have to what the system allows; returns it.
 * At the limit the runtime's accept would spin: connections are capped below it (`worker_connections`).
 */
export function raiseFileLimit(): number {
  const limit = new BigUint64Array(2);
  checked("getrlimit", libc.getrlimit(rlimitNofile, ptr(limit)));
  const [soft = 0n, hard = 0n] = limit;
  // "unlimited" is not a number that every kernel takes for this limit.
  const wanted = hard > 1_048_576n ? 1_048_576n : hard;
  if (wanted <= soft) return Number(soft);
  libc.setrlimit(rlimitNofile, ptr(new BigUint64Array([wanted, hard])));
  return Number(wanted);
}

const iovec = new BigUint64Array(new ArrayBuffer(16));
const iovecAt = ptr(iovec);
const rwfNowait = 8;
const preadv2 = openPreadv2();

// Not in musl before 1.2.5.
function openPreadv2(): (fd: number, iov: Pointer, count: number, offset: number, flags: number) => number {
  const signature = { preadv2: { args: ["i32", "ptr", "i32", "i64", "i32"], returns: "i32" } } as const;
  try {
    return dlopen("libc.so.6", signature).symbols.preadv2;
  } catch {
    return () => -1;
  }
}

/**
 * Reads from a file what is in memory already, and never waits for a disk. Returns the count of bytes, 0 at the file's end;
 * -1: it would have to wait, or this system cannot tell (then an ordinary read says what is wrong, if anything is).
 */
export function readCached(fd: number, into: Uint8Array, length: number, offset: number): number {
  iovec[0] = BigInt(ptr(into));
  iovec[1] = BigInt(length);
  return preadv2(fd, iovecAt, 1, offset, rwfNowait);
}

const clockMonotonic = 1;

/** Seconds of CLOCK_MONOTONIC, which all processes of the machine share; the runtime's own clocks begin with the process. */
export function monotonicSeconds(): number {
  const time = new BigInt64Array(2);
  checked("clock_gettime", libc.clock_gettime(clockMonotonic, ptr(time)));
  const [seconds = 0n, nanoseconds = 0n] = time;
  return Number(seconds) + Number(nanoseconds) / 1e9;
}

const sendfileOffset = new BigInt64Array(1);
const sendfileOffsetAt = ptr(sendfileOffset);

/**
 * Sends up to `length` bytes of a file from `offset` into a socket, without copying them. Returns how many;
 * 0: the file has ended; -1: the socket takes nothing now. Throws SystemError: EPIPE, ECONNRESET …
 */
export function sendFile(socket: number, file: number, offset: number, length: number): number {
  sendfileOffset[0] = BigInt(offset);
  const sent = Number(libc.sendfile(socket, file, sendfileOffsetAt, BigInt(length)));
  if (sent >= 0) return sent;
  const errno = read.i32(libc.__errno_location() as Pointer, 0);
  if (errno === constants.errno.EAGAIN) return -1;
  throw new SystemError("sendfile", errno);
}
