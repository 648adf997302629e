/** TCP and Unix stream sockets without encryption, on the runtime's raw sockets. */
import "../base/bytes.ts";
import { readSync } from "node:fs";
import type { Socket, SocketHandler } from "bun";
import { sendFile } from "./libc.ts";
import type { Piece, Transport, TransportHandler } from "./transport.ts";

// Small pieces are gathered here, so that a response of a head and a body is one system call. One per process: filled and
// written without a pause in between.
const gather = Buffer.allocUnsafeSlow(256 * 1024);
// A piece of this size is written from where it lies: a system call is cheaper than copying it.
const direct = 64 * 1024;
const probeBytes = 4096;

export class PlainTransport implements Transport {
  readonly #socket: Socket<PlainTransport>;
  handler: TransportHandler | undefined;
  /** What the kernel has not taken yet, in order. */
  #kept: Uint8Array[] | undefined;
  unsent = 0;
  /** What to do once everything kept is sent. */
  #after: "shutdown" | "close" | undefined;
  /** Called once, when the kernel first takes bytes: how a socket that is still connecting tells that it has done so. */
  whenWritable: (() => void) | undefined;

  constructor(socket: Socket<PlainTransport>) {
    this.#socket = socket;
  }

  get localAddress(): string {
    return this.#socket.localAddress;
  }

  get peerAddress(): string {
    return this.#socket.remoteAddress ?? "";
  }

  get fd(): number | undefined {
    return (this.#socket as { fd?: number }).fd;
  }

  get peerPort(): number {
    return (this.#socket as { remotePort?: number }).remotePort ?? 0;
  }

  write(pieces: readonly Piece[]): boolean {
    let filled = 0;
    for (const piece of pieces) {
      const size = piece.length;
      if (size >= direct || filled + size > gather.length) {
        if (filled > 0) this.#send(gather, filled, true);
        filled = 0;
      }
      if (size > gather.length && typeof piece === "string") this.#sendBytes(Buffer.from(piece, "latin1"));
      else if (typeof piece === "string") filled += gather.latin1Write(piece, filled, size);
      else if (size >= direct) this.#sendBytes(piece);
      else {
        gather.set(piece, filled);
        filled += size;
      }
    }
    if (filled > 0) this.#send(gather, filled, true);
    return this.unsent === 0;
  }

  #sendBytes(bytes: Uint8Array): void {
    this.#send(bytes, bytes.length, false);
  }

  /** `scratch`: the bytes must be copied if they have to wait. */
  #send(bytes: Uint8Array, length: number, scratch: boolean): void {
    let sent = 0;
    if (this.#kept === undefined) {
      // A negative number: the socket is closed, and `onClose` is on its way.
      sent = Math.max(this.#socket.write(bytes, 0, length), 0);
      if (sent === length) return;
    }
    const rest = bytes.subarray(sent, length);
    this.#kept ??= [];
    // Not `slice`, which for a Buffer is a view of the same memory.
    this.#kept.push(scratch ? new Uint8Array(rest) : rest);
    this.unsent += rest.length;
  }

  sendFile(fd: number, offset: number, length: number): number {
    let sent: number;
    try {
      sent = sendFile(this.fd ?? -1, fd, offset, length);
    } catch {
      // The peer has gone in the middle; `onClose` follows.
      this.#socket.terminate();
      return 0;
    }
    if (sent >= 0) return sent;
    // The runtime tells of room again only after a write of its own that did not fit.
    const piece = Buffer.allocUnsafeSlow(Math.min(length, probeBytes));
    const got = readSync(fd, piece, 0, piece.length, offset);
    if (got > 0) this.#send(piece, got, false);
    return got;
  }

  /** The kernel has room again. */
  onWritable(): void {
    const kept = this.#kept;
    if (kept === undefined) {
      const first = this.whenWritable;
      this.whenWritable = undefined;
      first?.();
      return;
    }
    let done = 0;
    for (const bytes of kept) {
      const sent = Math.max(this.#socket.write(bytes), 0);
      this.unsent -= sent;
      if (sent < bytes.length) {
        kept.splice(0, done, bytes.subarray(sent));
        kept.splice(1, 1);
        return;
      }
      done++;
    }
    this.#kept = undefined;
    if (this.#after !== undefined) this.#socket[this.#after]();
    else this.handler?.onDrain();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  shutdown(): void {
    if (this.#kept === undefined) this.#socket.shutdown();
    else this.#after = "shutdown";
  }

  end(): void {
    if (this.#kept === undefined) {
      this.#socket.close();
      return;
    }
    this.#after = "close";
    // A socket that is not read from does not tell that its peer has gone, and would never be rid of the rest.
    this.#socket.resume();
  }

  abort(): void {
    this.#socket.terminate();
  }
}

/** What every socket tells its transport. */
export const plainEvents: SocketHandler<PlainTransport> = {
  data: (socket, bytes) => socket.data.handler?.onBytes(bytes),
  drain: (socket) => socket.data.onWritable(),
  end: (socket) => socket.data.handler?.onEnd(),
  close: (socket, error) => socket.data.handler?.onClose((error as { code?: string } | undefined)?.code),
  // A reset or a failed write: `close` follows and is all that matters.
  error: () => {},
};

export interface Listener {
  /** Accepts nothing more; connections already accepted stay. */
  stop(): void;
}

/** Accepts connections on a listening socket made elsewhere (`libc.ts`). `onConnection` returns who handles the new transport. */
export function acceptOn(fd: number, onConnection: (transport: Transport) => TransportHandler): Listener {
  const options = {
    // Not in the documentation, but honoured (1.4.5): the listener's fd is the one given. Checked below.
    fd,
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      ...plainEvents,
      open(socket: Socket<PlainTransport>) {
        const transport = new PlainTransport(socket);
        socket.data = transport;
        transport.handler = onConnection(transport);
      },
    },
  };
  const listener: { fd?: number; stop(closeActive: boolean): void } = Bun.listen<PlainTransport>(options);
  if (listener.fd !== fd) throw new Error("this runtime does not accept on inherited sockets: use the pinned version");
  return { stop: () => listener.stop(false) };
}
