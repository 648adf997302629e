/** TCP and Unix stream sockets without encryption, on the runtime's raw sockets. */
import { readSync } from "node:fs";
import type { Socket } from "bun";
import { sendFile } from "./libc.ts";
import { StreamTransport, streamEvents } from "./stream.ts";
import type { TransportHandler } from "./transport.ts";

const probeBytes = 4096;

export class PlainTransport extends StreamTransport {
  sendFile(fd: number, offset: number, length: number): number {
    let sent: number;
    try {
      sent = sendFile(this.fd ?? -1, fd, offset, length);
    } catch {
      // The peer has gone in the middle; `onClose` follows.
      this.socket.terminate();
      return 0;
    }
    if (sent >= 0) return sent;
    // The runtime tells of room again only after a write of its own that did not fit.
    const piece = Buffer.allocUnsafeSlow(Math.min(length, probeBytes));
    const got = readSync(fd, piece, 0, piece.length, offset);
    if (got > 0) this.send(piece, got, false);
    return got;
  }

  /** The socket, for who puts another protocol between it and us (`secure.ts`); this transport is silent from then on. */
  giveSocket(): Socket<StreamTransport> {
    this.handler = undefined;
    return this.socket;
  }
}

export interface Listener {
  /** Accepts nothing more; connections already accepted stay. */
  stop(): void;
}

/** Accepts connections on a listening socket made elsewhere (`libc.ts`). `onConnection` returns who handles the new transport. */
export function acceptOn(fd: number, onConnection: (transport: PlainTransport) => TransportHandler): Listener {
  const options = {
    // Not in the documentation, but honoured (1.4.5): the listener's fd is the one given. Checked below.
    fd,
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      ...streamEvents,
      open(socket: Socket<StreamTransport>) {
        const transport = new PlainTransport(socket);
        socket.data = transport;
        transport.handler = onConnection(transport);
      },
    },
  };
  const listener: { fd?: number; stop(closeActive: boolean): void } = Bun.listen<StreamTransport>(options);
  if (listener.fd !== fd) throw new Error("this runtime does not accept on inherited sockets: use the pinned version");
  return { stop: () => listener.stop(false) };
}
