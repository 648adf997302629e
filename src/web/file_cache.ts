/**
 * What a process keeps of the files that it serves: content of small ones, descriptors of large ones, within fixed bounds.
 *
 * Entries are ordered by when they were last found unchanged on the disk, which happens at most once per `validMs` while an
 * entry is in use: so the order is that of last use, to the second, and a hit does not touch it.
 */

/** How much may be kept. */
export interface CacheLimits {
  /** Content and heads together. */
  readonly bytes: number;
  /** Open files. */
  readonly descriptors: number;
  /** How long an entry is served without a look at the disk, ms. */
  readonly validMs: number;
  /** An entry that was not used for so long makes room for others, ms. Younger ones are never pushed out: see `room`. */
  readonly idleMs: number;
  /** An entry that was not used for so long is dropped though there is room: it may be a deleted file that still fills a disk. */
  readonly forgetMs: number;
}

export const standardLimits: CacheLimits = {
  bytes: 64 * 1024 * 1024,
  descriptors: 1000,
  validMs: 1000,
  idleMs: 10_000,
  forgetMs: 60_000,
};

/**
 * What an entry is charged with besides content: the entry itself, and each of its representations (fields, stats, table slots).
 * Measured with 20,000 files: 2.5 KB of resident memory for one without siblings, 3.4 KB with one sibling.
 */
export const entryBytes = 1536;
export const representationBytes = 1024;

/**
 * A file changed less than this before it was read, ms, may change again without a new time stamp, which is as coarse as 2 s on
 * some file systems: what was read proves nothing at the next check (Git's "racy" entries).
 */
export const settledMs = 2000;

/** Something kept; the cache owns these fields. */
export interface CacheEntry {
  /** What it is charged with. */
  bytes: number;
  descriptors: number;
  /** When it was last found unchanged: ms of `performance.now()`. */
  checkedAt: number;
  /** The cache has dropped it: let go of everything, and of the name under which it is found. */
  forget(): void;
}

export class FileCache {
  readonly limits: CacheLimits;
  readonly #entries = new Set<CacheEntry>();
  #bytes = 0;
  #descriptors = 0;
  #sweeping: ReturnType<typeof setInterval> | undefined;

  constructor(limits: CacheLimits = standardLimits) {
    this.limits = limits;
  }

  /** What is kept now. */
  get usage(): { readonly entries: number; readonly bytes: number; readonly descriptors: number } {
    return { entries: this.#entries.size, bytes: this.#bytes, descriptors: this.#descriptors };
  }

  /**
   * Whether so much more can be kept; drops idle entries for it. What is in use stays: otherwise clients that ask for more
   * content than fits, and read slowly, would each hold a copy of their own of what was just dropped.
   */
  room(bytes: number, descriptors: number, now: number): boolean {
    const { limits } = this;
    if (bytes > limits.bytes || descriptors > limits.descriptors) return false;
    for (const oldest of this.#entries) {
      if (this.#fits(bytes, descriptors)) return true;
      if (now - oldest.checkedAt < limits.idleMs) return false;
      this.drop(oldest);
    }
    return this.#fits(bytes, descriptors);
  }

  #fits(bytes: number, descriptors: number): boolean {
    return this.#bytes + bytes <= this.limits.bytes && this.#descriptors + descriptors <= this.limits.descriptors;
  }

  /** Keeps an entry, charged with what its fields say. Ask for `room` first. */
  add(entry: CacheEntry): void {
    this.#entries.add(entry);
    this.#bytes += entry.bytes;
    this.#descriptors += entry.descriptors;
    this.#sweeping ??= this.#sweepRegularly();
  }

  has(entry: CacheEntry): boolean {
    return this.#entries.has(entry);
  }

  /** Charges a kept entry with more. Ask for `room` first. */
  charge(entry: CacheEntry, bytes: number, descriptors: number): void {
    entry.bytes += bytes;
    entry.descriptors += descriptors;
    this.#bytes += bytes;
    this.#descriptors += descriptors;
  }

  /** The entry was just found unchanged. */
  confirm(entry: CacheEntry, now: number): void {
    entry.checkedAt = now;
    this.#entries.delete(entry);
    this.#entries.add(entry);
  }

  /** Forgets an entry, if it is kept. */
  drop(entry: CacheEntry): void {
    if (!this.#entries.delete(entry)) return;
    this.#bytes -= entry.bytes;
    this.#descriptors -= entry.descriptors;
    entry.forget();
  }

  /** Drops what was not used for `forgetMs`. */
  sweep(now: number = performance.now()): void {
    for (const oldest of this.#entries) {
      if (now - oldest.checkedAt < this.limits.forgetMs) return;
      this.drop(oldest);
    }
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }

  #sweepRegularly(): ReturnType<typeof setInterval> {
    const sweeping = setInterval(() => this.sweep(), this.limits.forgetMs / 4);
    sweeping.unref();
    return sweeping;
  }
}

/** All who serve files share one, so that its bounds hold for the process. */
export const processFileCache = new FileCache();
