/**
 * Connections to others: TCP and Unix stream sockets.
 *
 * The socket is made and told to connect here, and then given to the runtime: only so can it have an address of our own
 * (`proxy_bind`), be given up while it is connecting, and tell exactly what went wrong. The runtime reports a connected
 * socket as writable, a failed one as closed with the error.
 */
import { type Pointer, ptr, read } from "bun:ffi";
import { constants } from "node:os";
import type { Socket, SocketHandler } from "bun";
import type { Address } from "../base/address.ts";
import { checked, closeFd, SystemError, socketName } from "./libc.ts";
import { PlainTransport } from "./plain.ts";
import { type StreamTransport, streamEvents } from "./stream.ts";
import { openLibc } from "./system_library.ts";
import type { Transport, TransportHandler } from "./transport.ts";

/** Where one can connect to. */
export type PeerAddress = Exclude<Address, { kind: "fd" }>;

/** Why there is no connection. */
export interface ConnectFailure {
  /** The system call that failed: "connect", "bind", "socket", "setsockopt". */
  readonly call: string;
  /** "ECONNREFUSED" */
  readonly code: string;
  readonly errno: number;
  /** The call itself failed, before anything was sent to the peer. */
  readonly atOnce: boolean;
  /** Instead of all that: what the log says, where no system call failed but a handshake. */
  readonly text?: string;
}

/** Who waits for a connection, and then uses it. */
export interface ConnectHandler<T extends Transport = Transport> extends TransportHandler {
  /** The connection is there. Other events follow only after this. */
  onConnect(transport: T): void;
  /** There will be none. Once, last, and never from within the call that began it. */
  onConnectError(failure: ConnectFailure): void;
}

export interface ConnectOptions {
  /** Our own address; port 0: any. Of the peer's family. */
  readonly bind?: Extract<Address, { kind: "tcp" }>;
  /** That address may be somebody else's (IP_TRANSPARENT); needs CAP_NET_RAW. */
  readonly transparent?: boolean;
  /** The kernel looks now and then whether a silent peer is still there (SO_KEEPALIVE). */
  readonly keepAlive?: boolean;
  /** Small pieces are sent at once (TCP_NODELAY). */
  readonly noDelay: boolean;
}

/** A connection that is not there yet. */
export interface Connecting {
  /** Gives it up; no event follows. Without effect once it is there. */
  abort(): void;
}

/** Connects; how long that may take is the caller's to decide, who calls `abort`. Nothing is thrown. */
export function connectTo(
  address: PeerAddress,
  handler: ConnectHandler<PlainTransport>,
  options: ConnectOptions,
): Connecting {
  return new Dial(handler, () => openSocket(address, options));
}

const signatures = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

const libc = openLibc(signatures);

const family = { unix: 1, v4: 2, v6: 10 } as const;
const sockStream = 1 | 0o2000000 | 0o4000; // SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK
const keepAlive = { level: 1, name: 9 } as const;
const noDelay = { level: 6, name: 1 } as const;
/** The port is chosen at `connect`, when it need be free towards one peer only. */
const bindLate = { level: 0, name: 24 } as const;
const transparent4 = { level: 0, name: 19 } as const;
const transparent6 = { level: 41, name: 75 } as const;

const one = new Int32Array([1]);

function turnOn(fd: number, { level, name }: { readonly level: number; readonly name: number }): void {
  checked("setsockopt", libc.setsockopt(fd, level, name, ptr(one), 4));
}

/** A socket that is connecting, or has done so. Throws SystemError. */
function openSocket(address: PeerAddress, options: ConnectOptions): number {
  const domain = address.kind === "unix" ? family.unix : address.family === 6 ? family.v6 : family.v4;
  const fd = checked("socket", libc.socket(domain, sockStream, 0));
  try {
    if (options.keepAlive === true) turnOn(fd, keepAlive);
    if (address.kind === "tcp") {
      if (options.noDelay) turnOn(fd, noDelay);
      if (options.bind !== undefined) bindSocket(fd, options.bind, options.transparent === true);
    }
    const name = socketName(address);
    if (libc.connect(fd, ptr(name), name.length) < 0) {
      const errno = read.i32(libc.__errno_location() as Pointer, 0);
      if (errno !== constants.errno.EINPROGRESS) throw new SystemError("connect", errno);
    }
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function bindSocket(fd: number, local: Extract<Address, { kind: "tcp" }>, isTransparent: boolean): void {
  if (isTransparent) turnOn(fd, local.family === 6 ? transparent6 : transparent4);
  if (local.port === 0) turnOn(fd, bindLate);
  const name = socketName(local);
  checked("bind", libc.bind(fd, ptr(name), name.length));
}

const events: SocketHandler<StreamTransport> = {
  ...streamEvents,
  // What it would say, the failed promise or `close` says too.
  connectError: () => {},
};

/** Stands in for the handler until the socket is connected. */
class Dial implements Connecting, TransportHandler {
  #handler: ConnectHandler<PlainTransport> | undefined;
  #transport: PlainTransport | undefined;

  constructor(handler: ConnectHandler<PlainTransport>, makeSocket: () => number) {
    this.#handler = handler;
    try {
      this.#give(makeSocket());
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const { call, code, errno } = error;
      queueMicrotask(() => this.#fail({ call, code, errno, atOnce: true }));
    }
  }

  #give(fd: number): void {
    const socket = {
      ...events,
      open: (socket: Socket<StreamTransport>) => {
        const transport = new PlainTransport(socket);
        socket.data = transport;
        this.#transport = transport;
        transport.handler = this;
        transport.whenWritable = () => this.#connected();
        if (this.#handler === undefined) transport.abort();
      },
    };
    // The types know `fd` only where it is alone, in a form that `connect` does not list; the host is not looked at.
    const options = { fd, hostname: "127.0.0.1", port: 0, allowHalfOpen: true, socket };
    Bun.connect<StreamTransport>(options).catch(() => {
      this.#fail({ call: "connect", code: "EIO", errno: constants.errno.EIO, atOnce: true });
    });
  }

  abort(): void {
    const wasWaiting = this.#handler !== undefined;
    this.#handler = undefined;
    if (wasWaiting) this.#transport?.abort();
  }

  #connected(): TransportHandler | undefined {
    const handler = this.#handler;
    const transport = this.#transport;
    this.#handler = undefined;
    if (handler === undefined || transport === undefined) return undefined;
    transport.whenWritable = undefined;
    transport.handler = handler;
    handler.onConnect(transport);
    // It may have given it up, or passed it on.
    return transport.handler;
  }

  #fail(failure: ConnectFailure): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onConnectError(failure);
  }

  // Whatever the socket says before it is known to be writable, it is connected.

  onBytes(bytes: Uint8Array): void {
    this.#connected()?.onBytes(bytes);
  }

  onEnd(): void {
    this.#connected()?.onEnd();
  }

  onDrain(): void {}

  onClose(code = "ECONNREFUSED"): void {
    const errno = (constants.errno as Readonly<Record<string, number>>)[code] ?? constants.errno.EIO;
    this.#fail({ call: "connect", code, errno, atOnce: false });
  }
}
