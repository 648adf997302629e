/** A keep-alive HTTP/1.1 client connection of the load generators: one request at a time, only as much parsing as they need. */

/** Why a request has not been answered. */
export class ConnectionLost extends Error {}

const connectTimeoutMs = 10_000;

export class Client {
  #socket: Bun.Socket | undefined;
  #waiting: { resolve(status: number): void; reject(error: Error): void } | undefined;
  #head = "";
  #status = 0;
  /** Bytes of the body that are still to come; undefined while the head is. */
  #left: number | undefined;
  #lost: string | undefined;

  static async connect(port: number): Promise<Client> {
    const client = new Client();
    const connected = Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.setNoDelay(true),
        data: (_, bytes) => client.#receive(bytes),
        close: () => client.#lose("closed by the server"),
        error: (_, error) => client.#lose(error.message),
      },
    });
    const late = Bun.sleep(connectTimeoutMs).then(() => Promise.reject(new ConnectionLost("no connection")));
    client.#socket = await Promise.race([connected, late]);
    return client;
  }

  get open(): boolean {
    return this.#lost === undefined;
  }

  /** Sends a whole request and gives the status once the answer is complete. */
  request(bytes: string): Promise<number> {
    if (this.#lost !== undefined) return Promise.reject(new ConnectionLost(this.#lost));
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket?.write(bytes);
    });
  }

  close(): void {
    this.#lost ??= "closed by us";
    this.#socket?.terminate();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#left === undefined) {
      this.#head += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#status = Number(this.#head.slice(9, 12));
      const length = this.#head.match(/^content-length: *(\d+)/im)?.[1];
      if (length === undefined) return this.#lose("an answer without Content-Length");
      this.#left = Number(length) - (this.#head.length - end - 4);
    } else this.#left -= bytes.byteLength;
    if (this.#left > 0) return;
    this.#head = "";
    this.#left = undefined;
    this.#waiting?.resolve(this.#status);
  }

  #lose(why: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = why;
    this.#socket?.terminate();
    this.#waiting?.reject(new ConnectionLost(why));
  }
}

/** A GET request of `path`. */
export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
