/** `alicorn ctl` as a test's client. */
import { join } from "node:path";
import { type Ended, ended } from "./command.ts";
import { root } from "./server.ts";

/** Runs it on a control socket. */
export const ctl = (socket: string, ...words: readonly string[]): Promise<Ended> =>
  ended(Bun.spawn([join(root, "bin/alicorn"), "ctl", "-s", socket, ...words], { stdio: ["ignore", "pipe", "pipe"] }));

/** One that works; its answer. */
export async function told<T>(socket: string, ...words: readonly string[]): Promise<T> {
  const { code, out, err } = await ctl(socket, "--json", ...words);
  if (code !== 0) throw new Error(`alicorn ctl ${words.join(" ")}: ${err}`);
  return JSON.parse(out) as T;
}

/** What `show workers` tells of one, as far as tests ask. */
export interface ToldWorker {
  readonly pid: number;
  readonly age: number;
  readonly state: string;
  readonly booted: boolean;
  readonly requests: number;
  readonly rss: number;
  readonly threads: number;
  readonly busy_for: number | null;
  readonly doing: readonly {
    readonly method: string;
    readonly target: string;
    readonly seconds: number;
    readonly waited: number;
    readonly client_gone: boolean;
  }[];
}

export const workersOf = async (socket: string): Promise<readonly ToldWorker[]> =>
  (await told<{ workers: readonly ToldWorker[] }>(socket, "show", "workers")).workers;
