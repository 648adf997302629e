/** Who asks: with the host name of one application, from an address of its own, with a browser's cookies. */
import { exchange, type RawResponse } from "../app/support.ts";
import { Client } from "../support/socket.ts";
import { clientAddress } from "./differences.ts";
import type { AppName, Running } from "./set_ups.ts";

export interface Asked {
  readonly method?: string;
  readonly fields?: readonly string[];
  /** Bytes, as latin-1 text. */
  readonly body?: string;
  readonly version?: "1.0" | "1.1";
}

export class Visitor {
  readonly #running: Running;
  readonly #app: AppName;
  readonly cookies = new Map<string, string>();

  constructor(running: Running, app: AppName) {
    this.#running = running;
    this.#app = app;
  }

  /** http://HOST:PORT, as the visitor sees it. */
  get origin(): string {
    return `http://${this.#running.host(this.#app)}`;
  }

  open(): Promise<Client> {
    return Client.open(this.#running.web.port, clientAddress);
  }

  /** A request's bytes; the body is not behind them when there is an own Content-Length or Transfer-Encoding field. */
  bytes(path: string, { method = "GET", fields = [], body, version = "1.1" }: Asked = {}): string {
    const cookies = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const head = [
      `${method} ${path} HTTP/${version}`,
      `Host: ${this.#running.host(this.#app)}`,
      ...(cookies === "" ? [] : [`Cookie: ${cookies}`]),
      ...(body === undefined ? [] : [`Content-Length: ${body.length}`]),
      ...fields,
    ];
    return `${head.join("\r\n")}\r\n\r\n${body ?? ""}`;
  }

  /** One request on this connection, or on one of its own. */
  async ask(path: string, asked: Asked = {}, on?: Client): Promise<RawResponse> {
    using own = on === undefined ? await this.open() : undefined;
    const response = await exchange(on ?? own!, this.bytes(path, asked));
    for (const [name, value] of response.fields) {
      if (name.toLowerCase() !== "set-cookie") continue;
      const [, key = "", content = ""] = /^([^=]+)=([^;]*)/.exec(value) ?? [];
      this.cookies.set(key, content);
    }
    return response;
  }

  /** The same, and its JSON. */
  async json(path: string, asked: Asked = {}, on?: Client): Promise<Record<string, unknown>> {
    const { status, statusLine, body } = await this.ask(path, asked, on);
    if (status !== 200) throw new Error(`${path}: ${statusLine}\n${body}`);
    return JSON.parse(body);
  }

  /** A form that is filled in and sent, as a browser does it. */
  post(path: string, values: Readonly<Record<string, string>>): Promise<RawResponse> {
    return this.ask(path, {
      method: "POST",
      fields: ["Content-Type: application/x-www-form-urlencoded", `Origin: ${this.origin}`],
      body: new URLSearchParams(values).toString(),
    });
  }
}
