/** The way to one DNS server: datagrams, and a TCP connection for answers too long for one. Opened when used. */
import type { Socket, udp } from "bun";
import { type Address, formatAddress } from "../base/address.ts";

export type ServerAddress = Extract<Address, { kind: "tcp" }>;

/** Who is told what a server sends, and what goes wrong on the way. */
export interface NameServerUser {
  onMessage(bytes: Uint8Array, overTcp: boolean): void;
  onError(message: string): void;
}

export class NameServer {
  readonly #address: ServerAddress;
  readonly #user: NameServerUser;
  #udp: Promise<udp.ConnectedSocket<"buffer"> | undefined> | undefined;
  #tcp: TcpExchange | undefined;

  constructor(address: ServerAddress, user: NameServerUser) {
    this.#address = address;
    this.#user = user;
  }

  /**
   * Sends a query in a datagram. The socket is connected: the system lets only this server's answers through.
   * False: it could not be sent, and the user has been told why.
   */
  async sendUdp(query: Uint8Array): Promise<boolean> {
    this.#udp ??= this.#openUdp();
    const socket = await this.#udp;
    try {
      // Closed meanwhile: nobody waits for the answer any more.
      if (socket !== undefined && !socket.closed) socket.send(query);
      return socket !== undefined;
    } catch (error) {
      this.#udpFailed("send", error);
      return false;
    }
  }

  #openUdp(): Promise<udp.ConnectedSocket<"buffer"> | undefined> {
    const { family, host, port } = this.#address;
    const opening = Bun.udpSocket({
      // Port 0: the system picks one at random, a new one each time that the socket is opened.
      hostname: family === 6 ? "::" : "0.0.0.0",
      port: 0,
      connect: { hostname: host, port },
      socket: {
        data: (_, bytes) => this.#user.onMessage(bytes, false),
        error: (...args: unknown[]) => this.#udpFailed("recv", args.at(-1)),
      },
    }).then(
      (socket) => {
        socket.unref();
        return socket;
      },
      (error: unknown) => {
        this.#udpFailed("connect", error);
        return undefined;
      },
    );
    return opening;
  }

  #udpFailed(call: string, error: unknown): void {
    this.#user.onError(
      `${call}() failed (${textOf(error)}) while resolving, resolver: ${formatAddress(this.#address)}`,
    );
    this.#closeUdp();
  }

  #closeUdp(): void {
    const closing = this.#udp;
    this.#udp = undefined;
    void closing?.then((socket) => socket?.close());
  }

  /** Sends a query over TCP (RFC 7766), on the connection that is open already if there is one. */
  sendTcp(query: Uint8Array): void {
    if (this.#tcp === undefined || this.#tcp.closed) {
      this.#tcp = new TcpExchange(this.#address, {
        onMessage: (bytes) => this.#user.onMessage(bytes, true),
        onError: (message) =>
          this.#user.onError(`${message} while resolving, resolver: ${formatAddress(this.#address)}`),
      });
    }
    this.#tcp.send(query);
  }

  /** Nothing is asked any more: the sockets are closed until something is. */
  rest(): void {
    this.#closeUdp();
    this.#tcp?.close();
    this.#tcp = undefined;
  }
}

interface TcpUser {
  onMessage(bytes: Uint8Array): void;
  onError(message: string): void;
}

class TcpExchange {
  readonly #user: TcpUser;
  #socket: Socket<undefined> | undefined;
  #unsent: Buffer = Buffer.alloc(0);
  #received: Buffer = Buffer.alloc(0);
  closed = false;

  constructor({ host, port }: ServerAddress, user: TcpUser) {
    this.#user = user;
    Bun.connect<undefined>({
      hostname: host,
      port,
      socket: {
        open: (socket) => {
          socket.unref();
          this.#socket = socket;
          if (this.closed) socket.end();
          else this.#flush();
        },
        data: (_, bytes) => this.#take(bytes),
        drain: () => this.#flush(),
        end: () => this.close(),
        close: () => this.close(),
        error: (_, error) => this.#fail(error),
        connectError: (_, error) => this.#fail(error),
      },
    }).catch((error: unknown) => this.#fail(error));
  }

  send(query: Uint8Array): void {
    const length = Buffer.from([query.length >> 8, query.length & 255]);
    this.#unsent = Buffer.concat([this.#unsent, length, query]);
    this.#flush();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket?.end();
  }

  #fail(error: unknown): void {
    if (!this.closed) this.#user.onError(`connection to DNS server failed (${textOf(error)})`);
    this.close();
  }

  #flush(): void {
    if (this.#socket === undefined || this.#unsent.length === 0) return;
    const sent = this.#socket.write(this.#unsent);
    if (sent > 0) this.#unsent = this.#unsent.subarray(sent);
  }

  #take(bytes: Uint8Array): void {
    // At most one message waits here unfinished: what a server sends is not kept beyond that.
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      if (this.closed || this.#received.length < 2) return;
      const length = this.#received.readUInt16BE(0);
      if (this.#received.length < 2 + length) return;
      const message = this.#received.subarray(2, 2 + length);
      this.#received = this.#received.subarray(2 + length);
      this.#user.onMessage(message);
    }
  }
}

/** `111: Connection refused`: the runtime says "ECONNREFUSED: connection refused, recv". */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as { errno?: number };
  const text = error.message.replace(/^E[A-Z]+: /, "").replace(/, \w+$/, "");
  return errno === undefined ? text : `${Math.abs(errno)}: ${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
