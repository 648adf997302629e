/** The servers behind: they answer with what they were asked, unless upstream.json has an answer for the path. */
import { createServer, type Server, type Socket } from "node:net";

interface Answer {
  readonly status?: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** upstream.json: path → answer. */
export type Answers = Readonly<Record<string, Answer>>;

export class Upstreams implements Disposable {
  /** A line for each request: the server's name, the request line, its fields. */
  readonly asked: string[] = [];
  readonly #answers: Answers;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(answers: Answers) {
    this.#answers = answers;
  }

  /** One more; says its port (0 for a Unix socket's path). `name`: what its answers' field X-Server says. */
  listen(name: string, path?: string): Promise<number> {
    const server = createServer((socket) => this.#serve(name, socket));
    this.#servers.push(server);
    return new Promise((resolve) => {
      const ready = (): void => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      };
      if (path === undefined) server.listen(0, "127.0.0.1", ready);
      else server.listen(path, ready);
    });
  }

  #serve(name: string, socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    let heard = "";
    socket.on("data", (bytes) => {
      heard += bytes.toString("latin1");
      const end = heard.indexOf("\r\n\r\n");
      if (end < 0) return;
      const [line = "", ...fields] = heard.slice(0, end).split("\r\n");
      const body = heard.slice(end + 4);
      const length = /^content-length: *(\d+)$/im.exec(fields.join("\n"))?.[1] ?? "0";
      if (body.length < Number(length)) return;
      heard = "";
      this.asked.push(`${name} ${line} ${fields.join(" ")}`);
      socket.end(Buffer.from(this.#answer(name, line, fields, body), "latin1"));
    });
  }

  #answer(name: string, line: string, fields: readonly string[], body: string): string {
    const [method = "", target = ""] = line.split(" ");
    if (fields.some((each) => /^upgrade: websocket$/i.test(each)))
      return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nmessages from ${name}`;
    const lower = fields.map((each) => each.replace(/^[^:]+/, (word) => word.toLowerCase())).sort();
    const echo: Answer = { body: `${[`${method} ${target}`, ...lower].join("\n")}\n\n${body}` };
    const { status = 200, fields: own = {}, body: text = "" } = this.#answers[target.replace(/\?.*/, "")] ?? echo;
    const all = { "Content-Type": "text/plain", "X-Server": name, ...own, "Content-Length": String(text.length) };
    const head = Object.entries(all).map(([field, value]) => `${field}: ${value}`);
    return [`HTTP/1.1 ${status} Status`, ...head, "", method === "HEAD" ? "" : text].join("\r\n");
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
  }
}
