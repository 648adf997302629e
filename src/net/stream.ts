/** What plain and encrypted sockets of the runtime have in common: pieces gathered into few writes, and what the kernel has not taken kept in order. */
import "../base/bytes.ts";
import type { Socket, SocketHandler } from "bun";
import type { Piece, Transport, TransportHandler } from "./transport.ts";

// Small pieces are gathered here, so that a response of a head and a body is one system call. One per process: filled and
// written without a pause in between.
const gather = Buffer.allocUnsafeSlow(256 * 1024);
// A piece of this size is written from where it lies: a system call is cheaper than copying it.
const direct = 64 * 1024;

export class StreamTransport implements Transport {
  protected readonly socket: Socket<StreamTransport>;
  handler: TransportHandler | undefined;
  /** What the kernel has not taken yet, in order. */
  #kept: Uint8Array[] | undefined;
  unsent = 0;
  /** What to do once everything kept is sent. */
  #after: "shutdown" | "close" | undefined;
  /** Called once, when the kernel first takes bytes: how a socket that is still connecting tells that it has done so. */
  whenWritable: (() => void) | undefined;

  constructor(socket: Socket<StreamTransport>) {
    this.socket = socket;
  }

  get localAddress(): string {
    return this.socket.localAddress;
  }

  get peerAddress(): string {
    return this.socket.remoteAddress ?? "";
  }

  get fd(): number | undefined {
    return (this.socket as { fd?: number }).fd;
  }

  get peerPort(): number {
    return (this.socket as { remotePort?: number }).remotePort ?? 0;
  }

  write(pieces: readonly Piece[]): boolean {
    let filled = 0;
    for (const piece of pieces) {
      const size = piece.length;
      if (size >= direct || filled + size > gather.length) {
        if (filled > 0) this.send(gather, filled, true);
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
    if (filled > 0) this.send(gather, filled, true);
    return this.unsent === 0;
  }

  #sendBytes(bytes: Uint8Array): void {
    this.send(bytes, bytes.length, false);
  }

  /** `scratch`: the bytes must be copied if they have to wait. */
  protected send(bytes: Uint8Array, length: number, scratch: boolean): void {
    let sent = 0;
    if (this.#kept === undefined) {
      // A negative number: the socket is closed, and `onClose` is on its way.
      sent = Math.max(this.socket.write(bytes, 0, length), 0);
      if (sent === length) return;
    }
    const rest = bytes.subarray(sent, length);
    this.#kept ??= [];
    // Not `slice`, which for a Buffer is a view of the same memory.
    this.#kept.push(scratch ? new Uint8Array(rest) : rest);
    this.unsent += rest.length;
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
      const sent = Math.max(this.socket.write(bytes), 0);
      this.unsent -= sent;
      if (sent < bytes.length) {
        kept.splice(0, done, bytes.subarray(sent));
        kept.splice(1, 1);
        return;
      }
      done++;
    }
    this.#kept = undefined;
    if (this.#after === "close") this.closeSocket();
    else if (this.#after === "shutdown") this.socket.shutdown();
    else this.handler?.onDrain();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  shutdown(): void {
    if (this.#kept === undefined) this.socket.shutdown();
    else this.#after = "shutdown";
  }

  end(): void {
    if (this.#kept === undefined) {
      this.closeSocket();
      return;
    }
    this.#after = "close";
    // A socket that is not read from does not tell that its peer has gone, and would never be rid of the rest.
    this.socket.resume();
  }

  protected closeSocket(): void {
    this.socket.close();
  }

  abort(): void {
    this.socket.terminate();
  }
}

/** What every socket tells its transport. */
export const streamEvents: SocketHandler<StreamTransport> = {
  data: (socket, bytes) => socket.data.handler?.onBytes(bytes),
  drain: (socket) => socket.data.onWritable(),
  end: (socket) => socket.data.handler?.onEnd(),
  close: (socket, error) => socket.data.handler?.onClose((error as { code?: string } | undefined)?.code),
  // A reset or a failed write: `close` follows and is all that matters.
  error: () => {},
};
