/** A server with Nginx's configuration for tests of modules: one process for all tests of a file. */
import { afterAll, beforeAll } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NginxServer } from "./nginx_server.ts";
import { ask } from "./socket.ts";

/** Names and contents; a name is latin-1 text of its bytes, and with a slash at its end a directory's. */
export type SiteFiles = Readonly<Record<string, string | Uint8Array>>;

/** What a test does with the running server. */
export interface TestSite {
  readonly server: NginxServer;
  /** A file's path. */
  path(name: string): string;
  write(name: string, content: string | Uint8Array): void;
  /** The response as it came, as latin-1 text. `fields`: further lines of the request's head. */
  request(method: string, target: string, ...fields: readonly string[]): Promise<string>;
  get(target: string, ...fields: readonly string[]): Promise<string>;
}

/**
 * Starts a server before the tests of a file and stops it after them. `http` is what the http block says; in it DIR stands for the
 * server's directory and PORT for its port. The files are below DIR/html, which is where `root` points unless told otherwise.
 */
export function testSite(http: string, files: SiteFiles = {}): TestSite {
  let running: NginxServer | undefined;
  const server = (): NginxServer => {
    if (running === undefined) throw new Error("the server does not run");
    return running;
  };
  const path = (name: string): string => join(server().directory.path, "html", name);
  const write = (name: string, content: string | Uint8Array): void => {
    const at = Buffer.from(path(name), "latin1");
    const slash = at.lastIndexOf("/");
    mkdirSync(at.subarray(0, slash), { recursive: true });
    if (!name.endsWith("/")) writeFileSync(at, content);
  };
  const request = async (method: string, target: string, ...fields: readonly string[]): Promise<string> => {
    const head = [`${method} ${target} HTTP/1.1`, "Host: localhost", "Connection: close", ...fields];
    return ask(server().port, Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"));
  };
  beforeAll(async () => {
    running = await NginxServer.start((port, directory) =>
      configuration(http.replaceAll("DIR", directory).replaceAll("PORT", String(port))),
    );
    for (const [name, content] of Object.entries(files)) write(name, content);
  });
  afterAll(() => running?.[Symbol.asyncDispose]());
  return {
    get server() {
      return server();
    },
    path,
    write,
    request,
    get: (target, ...fields) => request("GET", target, ...fields),
  };
}

const configuration = (http: string): string => `
daemon off;
user root;
pid nginx.pid;
error_log error.log info;
events { }
http {
  access_log off;
  ${http}
}
`;

/** What follows a response's head. */
export const bodyOf = (response: string): string => response.slice(response.indexOf("\r\n\r\n") + 4);

/** A field of a response's head. */
export const fieldOf = (response: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*?)\\r$`, "im").exec(response.slice(0, response.indexOf("\r\n\r\n") + 2))?.[1];
