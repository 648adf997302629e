/**
 * The few system calls that the runtime does not offer (Linux); `datagram.ts`, `hosts.ts` and `crypt.ts` have those of their own.
 * Each throws a `SystemError` with the errno's name, which callers turn into a sentence for the user.
 */
import { dlopen, type Pointer, ptr, read } from "bun:ffi";
import { constants } from "node:os";
import { type Address, parseIpv4, parseIpv6 } from "../base/address.ts";
import { unreachable } from "../base/unreachable.ts";
import { openLibc } from "./system_library.ts";

const signatures = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  dup2: { args: ["i32", "i32"], returns: "i32" },
  setsid: { args: [], returns: "i32" },
  strerror: { args: ["i32"], returns: "cstring" },
  umask: { args: ["u32"], returns: "u32" },
  initgroups: { args: ["ptr", "u32"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  ftruncate: { args: ["i32", "i64"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  sendfile: { args: ["i32", "i32", "ptr", "u64"], returns: "i64" },
  openat: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

const libc = openLibc(signatures);

export class SystemError extends Error {
  /** "EADDRINUSE" */
  readonly code: string;
  /** "bind" */
  readonly call: string;
  readonly errno: number;
  constructor(call: string, errno: number) {
    const code = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.code = code;
    this.call = call;
    this.errno = errno;
  }
}

/** `98: Address already in use`, as Nginx ends its messages. */
export function errorText(errno: number): string {
  return `${errno}: ${libc.strerror(errno)}`;
}

/** The same for an error that a call of the runtime's ended with. */
export function failureText(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const errno = new Map(Object.entries(constants.errno)).get(code);
  return errno === undefined ? String(error) : errorText(errno);
}

/** The result of a system call, if it is no error. */
export function checked(call: string, result: number): number {
  if (result >= 0) return result;
  throw new SystemError(call, read.i32(libc.__errno_location() as Pointer, 0));
}

const family = { unix: 1, v4: 2, v6: 10 } as const;
const sockStream = 1 | 0o2000000 | 0o4000; // SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK
const solSocket = 1;
const option = { reuseAddr: 2, sendBuffer: 7, receiveBuffer: 8, keepAlive: 9, reusePort: 15 } as const;
const ipv6Only = { level: 41, name: 26 } as const;
const solTcp = 6;
const tcp = { keepIdle: 4, keepInterval: 5, keepCount: 6, deferAccept: 9, fastOpen: 23 } as const;

function setOption(fd: number, level: number, name: number, value = 1): void {
  checked("setsockopt", libc.setsockopt(fd, level, name, ptr(new Int32Array([value])), 4));
}

/** How to make a listening socket. */
export interface ListenOptions {
  /** Length of the queue of connections not yet accepted. */
  readonly backlog: number;
  /** Several sockets may share the address; the kernel spreads connections over them. TCP only. */
  readonly reusePort: boolean;
  /** An IPv6 socket takes IPv6 connections only. On unless told otherwise. */
  readonly ipv6Only?: boolean;
}

/** A bound, listening, non-blocking socket. Throws SystemError: EADDRINUSE, EACCES, EADDRNOTAVAIL … */
export function listenOn(address: Exclude<Address, { kind: "fd" }>, options: ListenOptions): number {
  const fd = bindTo(address, options);
  try {
    checked("listen", libc.listen(fd, options.backlog));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * Is the address free? Binds it and lets go of it, without listening: no client is turned away by that. Returns where it was bound
 * (port 0 has become a number). Throws SystemError as `listenOn`.
 */
export function tryAddress(
  address: Exclude<Address, { kind: "fd" }>,
  only6: boolean,
): Exclude<Address, { kind: "fd" }> {
  const fd = bindTo(address, { reusePort: false, ipv6Only: only6 });
  const bound = localAddress(fd);
  libc.close(fd);
  return bound;
}

function bindTo(
  address: Exclude<Address, { kind: "fd" }>,
  { reusePort, ipv6Only: only6 = true }: Omit<ListenOptions, "backlog">,
): number {
  const domain = address.kind === "unix" ? family.unix : address.family === 6 ? family.v6 : family.v4;
  const fd = checked("socket", libc.socket(domain, sockStream, 0));
  try {
    if (address.kind === "tcp") {
      setOption(fd, solSocket, option.reuseAddr);
      if (reusePort) setOption(fd, solSocket, option.reusePort);
      if (address.family === 6) setOption(fd, ipv6Only.level, ipv6Only.name, only6 ? 1 : 0);
    }
    const name = socketName(address);
    checked("bind", libc.bind(fd, ptr(name), name.length));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** What a listening socket may be told at any time; undefined: leave it as it is. */
export interface ListenTuning {
  readonly backlog: number;
  /** SO_RCVBUF, SO_SNDBUF, bytes. */
  readonly receiveBuffer: number | undefined;
  readonly sendBuffer: number | undefined;
  /** TCP_FASTOPEN's queue. */
  readonly fastOpen: number | undefined;
  /** TCP_DEFER_ACCEPT: seconds to wait for data; 0: not at all. */
  readonly deferSeconds: number | undefined;
  readonly keepAlive:
    | boolean
    | { readonly idle?: number; readonly interval?: number; readonly count?: number }
    | undefined;
}

/** Applies it. Throws SystemError for the first that the system refuses. */
export function tuneListening(fd: number, tuning: ListenTuning): void {
  const set = (level: number, name: number, value: number | undefined) => {
    if (value !== undefined) setOption(fd, level, name, value);
  };
  set(solSocket, option.receiveBuffer, tuning.receiveBuffer);
  set(solSocket, option.sendBuffer, tuning.sendBuffer);
  set(solTcp, tcp.fastOpen, tuning.fastOpen);
  set(solTcp, tcp.deferAccept, tuning.deferSeconds);
  const { keepAlive } = tuning;
  if (keepAlive !== undefined) set(solSocket, option.keepAlive, keepAlive === false ? 0 : 1);
  if (typeof keepAlive === "object") {
    set(solTcp, tcp.keepIdle, keepAlive.idle);
    set(solTcp, tcp.keepInterval, keepAlive.interval);
    set(solTcp, tcp.keepCount, keepAlive.count);
  }
  // Once more for a socket that listens already: its queue gets the new length, and keeps what is in it.
  checked("listen", libc.listen(fd, tuning.backlog));
}

/** May other sockets share this one's address (SO_REUSEPORT)? */
export function sharesAddress(fd: number): boolean {
  const value = new Int32Array(1);
  checked("getsockopt", libc.getsockopt(fd, solSocket, option.reusePort, ptr(value), ptr(new Uint32Array([4]))));
  return value[0] === 1;
}

/** Does somebody accept connections on this Unix socket? A file that a crashed program has left behind refuses them. */
export function isAlive(path: string): boolean {
  const fd = checked("socket", libc.socket(family.unix, sockStream, 0));
  const name = socketName({ kind: "unix", path });
  const connected = libc.connect(fd, ptr(name), name.length);
  const errno = connected === 0 ? 0 : read.i32(libc.__errno_location() as Pointer, 0);
  libc.close(fd);
  return errno !== constants.errno.ECONNREFUSED && errno !== constants.errno.ENOENT;
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
/** A `struct sockaddr` for the address. */
export function socketName(address: Exclude<Address, { kind: "fd" }>): Uint8Array {
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

/**
 * Lets processes of the same user look at this one's descriptors, although it was root: app workers open the files of request
 * bodies by them.
 */
export function showDescriptors(): void {
  libc.prctl(prSetDumpable, 1n, 0n, 0n, 0n);
}

/** Takes the groups that the system's database gives to a user. Throws SystemError without the right to. */
export function initGroups(user: string, gid: number): void {
  checked("initgroups", libc.initgroups(Buffer.from(`${user}\0`), gid));
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

/** The number of descriptors that this process and those that it starts may have; above what the system allows only as root. Throws SystemError. */
export function setFileLimit(count: number): void {
  const limit = new BigUint64Array(2);
  checked("getrlimit", libc.getrlimit(rlimitNofile, ptr(limit)));
  const [, hard = 0n] = limit;
  const wanted = BigInt(count);
  const limits = new BigUint64Array([wanted, wanted > hard ? wanted : hard]);
  checked("setrlimit", libc.setrlimit(rlimitNofile, ptr(limits)));
}

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

/** Leaves the terminal and the process group that this process was started in. */
export function newSession(): void {
  libc.setsid();
}

/** Makes `target` another name of `fd`: what was written to the one goes to the other. Throws SystemError. */
export function redirect(target: number, fd: number): void {
  checked("dup2", libc.dup2(fd, target));
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

const prSetDumpable = 4;

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

/**
 * Opens `name` (latin-1 text of its bytes) in an open directory. `flags`: of open(2); the descriptor does not pass to other programs.
 * Throws SystemError: ENOENT, ELOOP …
 */
export function openAt(directory: number, name: string, flags: number): number {
  const path = Buffer.from(`${name}\0`, "latin1");
  return checked("openat", libc.openat(directory, ptr(path), flags | 0o2000000, 0)); // O_CLOEXEC
}
