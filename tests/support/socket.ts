/** A raw client: sends exactly these bytes, and shows exactly what came back. */
import { connect, type Socket } from "node:net";

const patienceMs = 20_000;

/** Sends `data` and reads until the server closes, or until `until` matches what has come. */
export async function ask(target: number | string, data: string | Uint8Array, until?: RegExp): Promise<string> {
  using client = await Client.open(target);
  client.send(data);
  if (until === undefined) return await client.end();
  await client.read(until);
  return client.received;
}

export class Client implements Disposable {
  readonly socket: Socket;
  received = "";
  closed = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Connects to a port of 127.0.0.1, perhaps from another address of this machine, or to a Unix socket's path. */
  static open(target: number | string, localAddress?: string): Promise<Client> {
    return new Promise((resolve, reject) => {
      const from = localAddress === undefined ? {} : { localAddress };
      const socket =
        typeof target === "number" ? connect({ port: target, host: "127.0.0.1", ...from }) : connect(target);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Client(socket));
      });
    });
  }

  send(data: string | Uint8Array): void {
    this.socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  }

  /** Waits until `pattern` matches `received`, which is the caller's to empty; returns the match. */
  async read(pattern: RegExp): Promise<RegExpExecArray> {
    const end = Date.now() + patienceMs;
    for (;;) {
      const found = pattern.exec(this.received);
      if (found !== null) return found;
      if (this.closed || Date.now() > end) throw new Error(`no ${pattern} in ${JSON.stringify(this.received)}`);
      await this.#changed();
    }
  }

  /** Waits for the server to close; all that has come. */
  async end(): Promise<string> {
    const end = Date.now() + patienceMs;
    while (!this.closed) {
      if (Date.now() > end) throw new Error(`still open, having sent ${JSON.stringify(this.received)}`);
      await this.#changed();
    }
    return this.received;
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
