/** Starts the program with Nginx's command line, in the foreground, with a configuration of its own. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { Directory, root, until } from "./server.ts";

export const nginx = join(root, "bin/nginx");

/** A port that nobody listens on now. */
export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** Is nobody there? */
export async function refuses(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.end();
    return false;
  } catch {
    return true;
  }
}

/** A configuration whose one server answers `text` and its worker's process number, with these further main directives. */
export const answering = (port: number, text: string, main = ""): string => `
daemon off;
user root;
pid nginx.pid;
error_log error.log info;
worker_processes 2;
${main}
events { }
http {
  access_log off;
  server {
    listen 127.0.0.1:${port};
    location / { return 200 "${text} $pid"; }
  }
}
`;

export class NginxServer implements AsyncDisposable {
  readonly directory: Directory;
  readonly port: number;
  readonly process: Subprocess;

  private constructor(directory: Directory, port: number, program: string) {
    this.directory = directory;
    this.port = port;
    this.process = Bun.spawn([program, ...this.args()], { stdio: ["ignore", "ignore", "ignore"] });
  }

  /** Starts it, and waits for the pid file: connections wait in the kernel until a worker takes them. */
  static async start(
    configuration: (port: number, directory: string) => string,
    program = nginx,
  ): Promise<NginxServer> {
    const port = freePort();
    const directory = new Directory();
    directory.write("nginx.conf", configuration(port, directory.path));
    const server = new NginxServer(directory, port, program);
    let ended = false;
    void server.process.exited.then(() => {
      ended = true;
    });
    await until(() => ended || existsSync(server.path("nginx.pid")), "the pid file");
    if (ended) throw new Error(`it did not start:\n${server.log}`);
    return server;
  }

  path(name: string): string {
    return join(this.directory.path, name);
  }

  /** The command line's words for this directory. */
  args(...more: string[]): string[] {
    return ["-p", this.directory.path, "-c", "nginx.conf", "-e", "error.log", ...more];
  }

  /** The process number in the pid file, or in another one. */
  pid(name = "nginx.pid"): number {
    return Number(readFileSync(this.path(name), "utf8"));
  }

  get log(): string {
    return existsSync(this.path("error.log")) ? readFileSync(this.path("error.log"), "utf8") : "";
  }

  /** Waits until the error log has what `pattern` describes, `times` times. */
  async logged(pattern: RegExp, times = 1): Promise<void> {
    const all = new RegExp(pattern.source, "g");
    await until(() => [...this.log.matchAll(all)].length >= times, `${pattern} in the log`).catch((error: Error) => {
      throw new Error(`${error.message}:\n${this.log}`);
    });
  }

  configure(text: string): void {
    this.directory.write("nginx.conf", text);
  }

  signal(name: NodeJS.Signals, pid = this.pid()): void {
    process.kill(pid, name);
  }

  url(path = "/"): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** What a request for / is answered, on a connection of its own. */
  async text(path = "/"): Promise<string> {
    const response = await fetch(this.url(path), { headers: { Connection: "close" } });
    return (await response.text()).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of ["nginx.pid", "nginx.pid.oldbin"]) {
      if (!existsSync(this.path(name))) continue;
      const pid = this.pid(name);
      this.signal("SIGTERM", pid);
      await until(() => !isAlive(pid), `process ${pid} has ended`);
    }
    this.process.kill("SIGTERM");
    await this.process.exited;
    this.directory[Symbol.dispose]();
  }
}

/** Is there such a process? One that has ended, and that nobody has asked about, counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
