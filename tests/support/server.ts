/** Starts the real program on a free port, and waits for what it says, never for time to pass. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";

export const root = join(import.meta.dir, "../..");
const program = join(root, "bin/alicorn");

/** Longer than anything here takes on a busy machine; a test that needs it has failed. */
const patienceMs = 20_000;

/** A directory with these files in it, removed by `using`. */
export class Directory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "alicorn-test-"));

  constructor(files: Readonly<Record<string, string | Uint8Array>> = {}) {
    for (const [name, content] of Object.entries(files)) this.write(name, content);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Do not wait until it serves. */
  readonly early?: boolean;
  /** Leave out `--bind 127.0.0.1:0`. */
  readonly ownBind?: boolean;
  /** How many files each of its processes may have open. */
  readonly fileLimit?: number;
  /** Another one than `alicorn`. */
  readonly program?: string;
  /** What its output has when it can be asked. */
  readonly started?: RegExp;
}

/** A running program; `await using` stops it. */
export class Server implements AsyncDisposable {
  readonly process: Subprocess<"ignore", "pipe", "pipe">;
  output = "";
  #waiters: (() => void)[] = [];
  #ended = false;

  private constructor(args: readonly string[], { cwd, env, ownBind, fileLimit, program: other }: StartOptions) {
    const command = [other ?? program, ...(ownBind ? [] : ["--bind", "127.0.0.1:0"]), ...args];
    const limited = ["sh", "-c", `ulimit -n ${fileLimit}; exec "$@"`, "sh", ...command];
    this.process = Bun.spawn(fileLimit === undefined ? command : limited, {
      cwd: cwd ?? root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    void Promise.all([this.#read(this.process.stdout), this.#read(this.process.stderr)]).then(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  static async start(args: readonly string[], options: StartOptions = {}): Promise<Server> {
    const server = new Server(args, options);
    if (!options.early) await server.logged(options.started ?? /^ +stop /m);
    return server;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      this.output += decoder.decode(bytes, { stream: true });
      this.#wake();
    }
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Waits until the output has what `pattern` describes, from character `from` on. */
  async logged(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    const until = Date.now() + patienceMs;
    for (;;) {
      const found = pattern.exec(this.output.slice(from));
      if (found !== null) return found;
      if (this.#ended || Date.now() > until) throw new Error(`no ${pattern} in:\n${this.output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  get pid(): number {
    return this.process.pid;
  }

  get port(): number {
    const found = /https?:\/\/[^\n]*:(\d+)/.exec(this.output);
    if (found === null) throw new Error(`no address in:\n${this.output}`);
    return Number(found[1]);
  }

  url(path = "/"): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.url(path), { redirect: "manual", ...init });
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  /** Sends TERM and waits for the end; the exit code. */
  async stop(name: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.process.kill(name);
    return this.process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.process.kill("SIGKILL"), patienceMs);
    await this.stop("SIGINT");
    clearTimeout(timer);
  }
}

/** Processes whose command line contains `text`: nothing that a test has started may stay. */
export async function processesWith(text: string): Promise<string[]> {
  const listing = await new Response(Bun.spawn(["ps", "-eo", "pid,args"]).stdout).text();
  return listing.split("\n").filter((line) => line.includes(text) && !line.includes("ps -eo"));
}

/** Waits until `condition` holds, looking again whenever the loop turns. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
