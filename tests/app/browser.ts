/** A client with a cookie jar that fills in forms, as a person with a browser would. */
import type { Server } from "../support/server.ts";

export class Browser {
  readonly #server: Server;
  readonly #cookies = new Map<string, string>();

  constructor(server: Server) {
    this.#server = server;
  }

  cookie(name: string): string | undefined {
    return this.#cookies.get(name);
  }

  /** One request, without following redirects. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#cookies.size > 0)
      headers.set("Cookie", [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    if ((init.method ?? "GET") !== "GET") headers.set("Origin", new URL(this.#server.url()).origin);
    const got = await this.#server.fetch(path, { ...init, headers });
    for (const each of got.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(each) ?? [];
      if (name === undefined || value === undefined) throw new Error(`not a cookie: ${each}`);
      if (/Max-Age=0/i.test(each)) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return got;
  }

  /** One request, and then where the answer sends it. */
  async visit(path: string, init: RequestInit = {}): Promise<Response> {
    let got = await this.ask(path, init);
    for (let hops = 0; got.status >= 300 && got.status < 400 && got.headers.has("location"); hops++) {
      if (hops > 5) throw new Error("redirected in a circle");
      const { pathname, search } = new URL(got.headers.get("location") ?? "", this.#server.url(path));
      got = await this.ask(pathname + search);
    }
    return got;
  }

  async text(path: string): Promise<string> {
    return await (await this.visit(path)).text();
  }

  post(path: string, fields: Readonly<Record<string, string>>): Promise<Response> {
    return this.visit(path, { method: "POST", body: new URLSearchParams(fields) });
  }
}
