/** `open_file_cache`: what was found under a path is believed for a while, without asking the system. */
import { closeSync, type Stats } from "node:fs";
import type { Exchange } from "./exchange.ts";
import { type FileAccess, FileFailure, type Opened } from "./file_access.ts";

interface Known {
  readonly found: Stats | FileFailure;
  /** When it was found: ms of `performance.now()`. */
  readonly at: number;
  usedAt: number;
  uses: number;
}

/** What is remembered of a number of paths; the least recently used is forgotten first. */
export class OpenFileCache {
  readonly #max: number;
  readonly #inactiveMs: number;
  readonly #known = new Map<string, Known>();

  /** `max`: paths; `inactiveMs`: a path that was not asked for so long is forgotten. */
  constructor(max: number, inactiveMs: number) {
    this.#max = max;
    this.#inactiveMs = inactiveMs;
  }

  get size(): number {
    return this.#known.size;
  }

  /** What is known under a key and may be believed. Counts as a use of it. */
  find(key: string, now: number, { validMs, minUses }: CacheRule): Stats | FileFailure | undefined {
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    this.#known.delete(key);
    if (now - known.usedAt >= this.#inactiveMs) return undefined;
    this.#known.set(key, known);
    known.usedAt = now;
    known.uses++;
    const isFile = !(known.found instanceof FileFailure) && !known.found.isDirectory();
    return now - known.at < validMs && (!isFile || known.uses > minUses) ? known.found : undefined;
  }

  note(key: string, found: Stats | FileFailure, now: number, { errors }: CacheRule): void {
    const before = this.#known.get(key);
    this.#known.delete(key);
    if (found instanceof FileFailure && !errors) return;
    this.#known.set(key, { found, at: now, usedAt: now, uses: before?.uses ?? 1 });
    for (const [oldest, { usedAt }] of this.#known) {
      if (this.#known.size <= this.#max && now - usedAt < this.#inactiveMs) return;
      this.#known.delete(oldest);
    }
  }
}

/** open_file_cache_valid, open_file_cache_min_uses, open_file_cache_errors. */
export interface CacheRule {
  readonly validMs: number;
  readonly minUses: number;
  readonly errors: boolean;
}

/** `inner`, asked only for what the cache does not know. `keyOf`: what is the same for everybody who sees the same files. */
export function cachedAccess(
  inner: FileAccess,
  cache: OpenFileCache,
  rule: CacheRule,
  keyOf: (exchange: Exchange, path: string) => string,
): FileAccess {
  return {
    isPlain: inner.isPlain,
    validMs: rule.validMs,
    open(exchange, path): Opened | FileFailure {
      const key = keyOf(exchange, path);
      const known = cache.find(key, exchange.startedAt, rule);
      if (known instanceof FileFailure) return known;
      const opened = inner.open(exchange, path);
      cache.note(key, opened instanceof FileFailure ? opened : opened.stats, exchange.startedAt, rule);
      return opened;
    },
    stat(exchange, path) {
      const key = keyOf(exchange, path);
      const known = cache.find(key, exchange.startedAt, rule);
      if (known !== undefined) return known;
      // Opened, not only looked at, as Nginx does: what is remembered must hold for who opens it.
      const opened = inner.open(exchange, path);
      const found = opened instanceof FileFailure ? opened : opened.stats;
      if (!(opened instanceof FileFailure) && opened.fd >= 0) closeSync(opened.fd);
      cache.note(key, found, exchange.startedAt, rule);
      return found;
    },
  };
}
