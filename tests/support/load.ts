/** Clients that ask again and again over kept-alive connections while a test does something to the server. */
import { Client } from "./socket.ts";

export class Load {
  /** Answers by their status. */
  readonly answers = new Map<number, number>();
  /** Connections that ended in the middle of a response or without one. */
  lost = 0;
  /** Bodies seen. */
  readonly bodies = new Set<string>();
  #running = true;
  readonly #done: Promise<unknown>;
  #total = 0;
  #wake: () => void = () => {};

  constructor(port: number, { clients = 16, path = "/" } = {}) {
    this.#done = Promise.all(Array.from({ length: clients }, () => this.#client(port, path)));
  }

  async #client(port: number, path: string): Promise<void> {
    while (this.#running) {
      const client = await Client.open(port).catch(() => undefined);
      if (client === undefined) {
        this.lost++;
        continue;
      }
      using _ = client;
      while (this.#running && (await this.#exchange(client, path)));
    }
  }

  /** One request and its response. False: the connection has ended, as the server said it would. */
  async #exchange(client: Client, path: string): Promise<boolean> {
    client.received = "";
    client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    try {
      const [, status, head] = await client.read(/^HTTP\/1\.1 (\d{3}) [^\n]*\r\n([\s\S]*?\r\n)\r\n/);
      const length = Number(/content-length: (\d+)/i.exec(head ?? "")?.[1] ?? 0);
      const [, body = ""] = await client.read(new RegExp(`\\r\\n\\r\\n([\\s\\S]{${length}})`));
      this.answers.set(Number(status), (this.answers.get(Number(status)) ?? 0) + 1);
      this.bodies.add(body);
      this.#total++;
      this.#wake();
      return !/connection: close/i.test(head ?? "");
    } catch {
      this.lost++;
      return false;
    }
  }

  /** Waits until `count` more answers have come. */
  async more(count: number): Promise<void> {
    const goal = this.#total + count;
    while (this.#total < goal) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  async stop(): Promise<this> {
    this.#running = false;
    await this.#done;
    return this;
  }
}
