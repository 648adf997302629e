/** The caches of this process: one store for each zone, whoever uses it. */
import type { Runtime } from "../module.ts";
import { lookAfter } from "./caretaker.ts";
import type { CachePath } from "./path_row.ts";
import { CacheStore } from "./store.ts";

const open = new WeakMap<Runtime, Map<string, CacheStore>>();

/** The stores of these caches, by the names of their zones; opened when they are first asked for. */
export function storesOf(runtime: Runtime, paths: readonly CachePath[]): ReadonlyMap<string, CacheStore> {
  const all = open.get(runtime) ?? new Map<string, CacheStore>();
  open.set(runtime, all);
  return new Map(paths.map((path) => [path.name, all.get(path.name) ?? begin(all, runtime, path)]));
}

function begin(all: Map<string, CacheStore>, runtime: Runtime, path: CachePath): CacheStore {
  const store = new CacheStore(path, runtime);
  all.set(path.name, store);
  if (runtime.webWorker === 0) lookAfter(store, runtime);
  return store;
}
