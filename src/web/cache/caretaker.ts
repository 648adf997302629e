/**
 * Looks after a cache's files: finds those of before at the start, removes what nobody asks for and what is too much. One web
 * worker does that for all, in small steps with pauses.
 */
import { opendir, readdir, stat, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { systemPath } from "../files.ts";
import type { Runtime } from "../module.ts";
import { keyOfFile } from "./entry_file.ts";
import { type Hash, hashOfName } from "./key.ts";
import type { Pace } from "./path_row.ts";
import type { Removed } from "./records.ts";
import { type CacheStore, messageOf } from "./store.ts";

/** Between two looks, when there is nothing to do. */
const restMs = 1000;
/** Something in the making that nobody has written to for so long belongs to a process that has ended. */
const abandonedMs = 60_000;

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });

/** Steps with pauses: `step` is awaited before each file. */
class Stride {
  readonly #pace: Pace;
  #files = 0;
  #since = performance.now();

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  async step(): Promise<void> {
    this.#files++;
    if (this.#files <= this.#pace.files && performance.now() - this.#since < this.#pace.thresholdMs) return;
    await pause(this.#pace.sleepMs);
    this.#files = 0;
    this.#since = performance.now();
  }
}

/** Begins when the process has settled (user, listeners), and never ends. */
export function lookAfter(store: CacheStore, runtime: Runtime): void {
  const caretaker = new Caretaker(store, runtime);
  setTimeout(() => void caretaker.work(), 0).unref();
}

class Caretaker {
  readonly #store: CacheStore;
  readonly #runtime: Runtime;
  #tidiedAt = Number.NEGATIVE_INFINITY;

  constructor(store: CacheStore, runtime: Runtime) {
    this.#store = store;
    this.#runtime = runtime;
  }

  async work(): Promise<void> {
    const loading = this.#attempt(() => this.#load());
    for (;;) {
      await this.#attempt(() => this.#tidy());
      const wasBusy = await this.#attempt(() => this.#remove());
      await pause(wasBusy === true ? this.#store.conf.manager.sleepMs : restMs);
      await loading;
    }
  }

  /** What goes wrong here must not end it. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#runtime.log.log("crit", `cache "${this.#store.conf.path}": ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Files that were there before the shared memory. */
  async #load(): Promise<void> {
    const { records, conf } = this.#store;
    if (records.isLoaded) return;
    const stride = new Stride(conf.loader);
    for await (const { path, hash } of files(conf.path)) {
      await stride.step();
      const found = await stat(systemPath(path)).catch(() => undefined);
      if (found === undefined) continue;
      const gone: Removed[] = [];
      records.found(hash, found.size, gone);
      this.#store.discard(gone);
    }
    records.setLoaded();
    const mebibytes = (records.bytes / (1024 * 1024)).toFixed(3);
    this.#runtime.log.log("notice", `http file cache: ${conf.path} ${mebibytes}M`);
  }

  /** Removes what killed processes have left half done. */
  async #tidy(): Promise<void> {
    if (performance.now() - this.#tidiedAt < abandonedMs) return;
    this.#tidiedAt = performance.now();
    const directory = this.#store.temporaryDirectory;
    for (const name of await readdir(systemPath(directory)).catch(() => [])) {
      if (isAlive(Number(name.split("-")[0]))) continue;
      await unlink(systemPath(join(directory, name))).catch(() => undefined);
    }
  }

  /** One step. Is there more to do? */
  async #remove(): Promise<boolean> {
    const { conf, records } = this.#store;
    const { files: most, thresholdMs } = conf.manager;
    const since = performance.now();
    const space = conf.minFreeBytes > 0 ? await statfs(systemPath(conf.path)) : undefined;
    const isTight = space !== undefined && space.bavail * space.bsize <= conf.minFreeBytes;
    let count = 0;
    while (count < most && performance.now() - since < thresholdMs) {
      let gone = records.expire(conf.inactiveMs, 1);
      if (gone.length === 0) gone = records.shrink(conf.maxBytes ?? Number.POSITIVE_INFINITY, 1, () => isTight);
      if (gone.length === 0) return false;
      this.#store.discard(gone);
      count += gone.length;
    }
    return true;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** All entries' files, whatever the levels are. */
async function* files(directory: string): AsyncGenerator<{ readonly path: string; readonly hash: Hash }> {
  for await (const entry of await opendir(systemPath(directory))) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (/^[0-9a-f]{1,2}$/.test(entry.name)) yield* files(path);
      continue;
    }
    const hash = hashOfName(entry.name);
    if (hash !== undefined) yield { path, hash };
  }
}

/** Removes all entries whose keys begin so. */
export async function purgeMatching(store: CacheStore, prefix: string): Promise<void> {
  const stride = new Stride(store.conf.purger);
  for await (const { path, hash } of files(store.conf.path)) {
    await stride.step();
    if (keyOfFile(path)?.startsWith(prefix) === true) store.purge(hash);
  }
}
