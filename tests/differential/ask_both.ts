/** Sends the same bytes to two servers, and says what each gave until it closed, or that it waits for more. */
import { connect } from "node:net";

interface Address {
  readonly host: string;
  readonly port: number;
}

/** How long a connection on which nothing happens is watched. If one server has closed it, the other one gets the long time. */
const quietMs = 500;
const patienceMs = 5000;

/** What stands behind the responses of a server that has not closed the connection. */
export const stillOpen = "(the connection is still open)";

export async function askBoth(bytes: string, theirs: Address, ours: Address): Promise<[theirs: string, ours: string]> {
  const conversations = [theirs, ours].map((address) => new Conversation(bytes, address));
  const [their, our] = conversations as [Conversation, Conversation];
  const end = Date.now() + patienceMs;
  while (Date.now() < end && !(their.closed && our.closed)) {
    if (!their.closed && !our.closed && Math.min(their.quietFor, our.quietFor) > quietMs) break;
    await Promise.race([their.change(), our.change(), Bun.sleep(quietMs / 5)]);
  }
  return [their.end(), our.end()];
}

class Conversation {
  closed = false;
  readonly #socket;
  #received = "";
  #lastAt = Date.now();
  #wake: () => void = () => {};

  constructor(bytes: string, { host, port }: Address) {
    this.#socket = connect(port, host);
    this.#socket.write(Buffer.from(bytes, "latin1"));
    this.#socket.on("data", (data) => {
      this.#received += data.toString("latin1");
      this.#lastAt = Date.now();
      this.#wake();
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  get quietFor(): number {
    return Date.now() - this.#lastAt;
  }

  change(): Promise<void> {
    if (this.closed) return new Promise(() => {});
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  end(): string {
    this.#socket.destroy();
    return this.#received + (this.closed ? "" : stillOpen);
  }
}
