/** An HTTP/2 server that says what a test wants it to say, frame by frame. */
import { createServer, type Server, type Socket } from "node:net";
import { flag, frame, preface } from "../../src/http/h2/frames.ts";
import { block, data, describe, type Fields, FrameLog, latin1, makeFrame, type Seen, settings } from "./h2.ts";

/** One connection, seen from the upstream. */
export class H2Peer {
  /** Everything that has come, in order. */
  readonly frames: Seen[] = [];
  closed = false;
  readonly #socket: Socket;
  readonly #log = new FrameLog();
  #prefaceLeft = preface.length;
  #wake: (() => void)[] = [];
  #taken = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      const count = Math.min(this.#prefaceLeft, bytes.length);
      this.#prefaceLeft -= count;
      this.frames.push(...this.#log.read(bytes.subarray(count)));
      this.#wakeAll();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      this.#wakeAll();
    });
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }

  /** The next frame of a kind that nobody has asked for yet; those before it are passed over. */
  async next(kind: string): Promise<Seen> {
    for (;;) {
      while (this.#taken < this.frames.length) {
        const found = this.frames[this.#taken++];
        if (found?.kind === kind) return found;
      }
      if (this.closed) throw new Error(`closed while a ${kind} frame was waited for: ${this.seen().join("; ")}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Something holds after some frame, or at the connection's end. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.closed) throw new Error(`closed: ${this.seen().join("; ")}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async whenClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** Bytes of DATA, of all that has come. */
  get dataLength(): number {
    return this.frames.reduce((sum, { kind, payload }) => (kind === "data" ? sum + payload.length : sum), 0);
  }

  receivedData(count: number): Promise<void> {
    return this.until(() => this.dataLength >= count);
  }

  seen(): string[] {
    return this.frames.map(describe);
  }

  send(...pieces: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(pieces));
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** A response's head. */
export const head = (stream: number, fields: Fields = [[":status", "200"]], end = false): Buffer =>
  makeFrame(frame.headers, flag.endHeaders | (end ? flag.endStream : 0), stream, block(fields));

/** A whole response. */
export const response = (stream: number, body: string, fields: Fields = []): Buffer =>
  Buffer.concat([head(stream, [[":status", "200"], ...fields]), data(stream, body)]);

export const goaway = (last: number, code = 0): Buffer => {
  const payload = latin1("\0\0\0\0\0\0\0\0");
  payload.writeUInt32BE(last, 0);
  payload.writeUInt32BE(code, 4);
  return makeFrame(frame.goaway, 0, 0, payload);
};

export class H2Upstream {
  /** What it does with each connection, once it has said its settings. */
  serve: (peer: H2Peer) => void = () => {};
  /** What it says first. */
  greeting: Uint8Array = settings();
  connections = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer({ noDelay: true }, (socket) => {
    this.connections++;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    const peer = new H2Peer(socket);
    socket.write(this.greeting);
    this.serve(peer);
  });

  listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  /** Answers each request on each connection. */
  answers(answer: (request: Seen, peer: H2Peer) => Uint8Array): void {
    this.serve = async (peer) => {
      try {
        for (;;) {
          const request = await peer.next("headers");
          peer.send(answer(request, peer));
        }
      } catch {
        // The connection is over.
      }
    };
  }
}
