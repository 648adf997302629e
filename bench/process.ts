/** Starting servers, waiting until they answer, and ending them whatever happens: nothing outlives the benchmark. */
import { createServer } from "node:net";
import { type CpuSnapshot, cpuSnapshot, memoryBytes, processTree, startedAt } from "./measure.ts";
import type { Command } from "./servers/contender.ts";

const startTimeoutMs = 15_000;
const stopTimeoutMs = 5_000;
const pollMs = 25;
const tailBytes = 2_000;

/** Roots of all process trees that run now. */
const living = new Set<Server>();

/** One server: the process trees of its commands. */
export class Server {
  readonly #processes: Bun.Subprocess<"ignore", "pipe", "pipe">[] = [];
  #tail = "";

  /**
   * Starts `commands` in their order and waits until `url` answers 200.
   * Throws with what they printed when one of them ends, or none answers in time.
   */
  static async start(commands: readonly Command[], url: string): Promise<Server> {
    const server = new Server();
    living.add(server);
    try {
      for (const command of commands) await server.#spawn(command);
      await server.#answers(url);
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async #spawn(command: Command): Promise<void> {
    for (const { path, text } of command.files ?? []) await Bun.write(path, text);
    const child = Bun.spawn(command.argv, {
      cwd: command.cwd,
      env: { ...process.env, ...command.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true, // A group of its own: Ctrl-C reaches us first, and the whole group can be ended.
    });
    this.#processes.push(child);
    for (const stream of [child.stdout, child.stderr]) void this.#keep(stream);
  }

  async #keep(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of stream) this.#tail = (this.#tail + decoder.decode(piece)).slice(-tailBytes);
  }

  async #answers(url: string): Promise<void> {
    const until = performance.now() + startTimeoutMs;
    let last = "no answer";
    while (performance.now() < until) {
      const ended = this.#processes.find((child) => child.exitCode !== null || child.signalCode !== null);
      if (ended) throw new Error(`ended with ${ended.signalCode ?? ended.exitCode}: ${this.printed}`);
      try {
        const response = await fetch(url, {
          keepalive: false,
          signal: AbortSignal.timeout(2_000),
          tls: { rejectUnauthorized: false },
        });
        await response.arrayBuffer();
        if (response.status === 200) return;
        last = `status ${response.status}`;
      } catch (error) {
        last = String(error);
      }
      await Bun.sleep(pollMs);
    }
    throw new Error(`${last} after ${startTimeoutMs / 1000} s: ${this.printed}`);
  }

  get #roots(): number[] {
    return this.#processes.map((child) => child.pid);
  }

  /** The end of what the processes have written. */
  get printed(): string {
    return this.#tail.trim();
  }

  cpu(): CpuSnapshot {
    return cpuSnapshot(this.#roots);
  }

  memoryBytes(): number {
    return memoryBytes(this.#roots);
  }

  /** Asks the processes to end, the last started (the front) first, then makes them. */
  async stop(): Promise<void> {
    const tree = this.#tree();
    for (const child of this.#processes.toReversed()) child.kill("SIGTERM");
    const ended = Promise.all(this.#processes.map((child) => child.exited));
    await Promise.race([ended, Bun.sleep(stopTimeoutMs)]);
    this.killNow(tree);
    living.delete(this);
  }

  /** SIGKILL to what is left of the groups that were started, and of `tree`. */
  killNow(tree: ReadonlyMap<number, string> = this.#tree()): void {
    const left = [...tree].filter(([pid, since]) => startedAt(pid) === since).map(([pid]) => pid);
    for (const pid of [...this.#roots.map((root) => -root), ...left]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
  }

  // With the time of its start, a number is not mistaken for a later process of the same number.
  #tree(): Map<number, string> {
    return new Map(processTree(this.#roots).map((pid) => [pid, startedAt(pid) ?? ""]));
  }
}

/** Ends every server at once. Safe in a signal or exit handler. */
export function killAll(): void {
  for (const server of living) server.killNow();
  living.clear();
}

/** Ends all servers also when the benchmark is interrupted or fails. */
export function guardExit(): void {
  process.on("exit", killAll);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.on(signal, () => process.exit(code));
}

/** A loopback port that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer().once("error", failed);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === "object" ? found(address.port) : failed(new Error("no port")),
      );
    });
  });
}
