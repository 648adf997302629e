/** Access logs whose path has variables: opened when a request needs them, kept open where `open_log_file_cache` says so. */
import { closeSync, fstatSync, openSync, statSync, writeSync } from "node:fs";
import { failureText } from "../net/libc.ts";

/** `open_log_file_cache`, times in ms. */
export interface LogCacheLimits {
  /** Files that are open at most; 0: each is closed after its line. */
  readonly max: number;
  /** A file that was not used for so long is closed. */
  readonly inactiveMs: number;
  /** After so long it is looked at whether the path still means the same file. */
  readonly validMs: number;
  /** Only paths with so many lines within `inactiveMs` are kept open. */
  readonly minUses: number;
}

export const noLogCache: LogCacheLimits = { max: 0, inactiveMs: 0, validMs: 0, minUses: 1 };

interface Entry {
  /** -1: not kept open yet. */
  fd: number;
  uses: number;
  usedAt: number;
  checkedAt: number;
}

export class LogPaths {
  readonly #limits: LogCacheLimits;
  readonly #clock: () => number;
  /** The longest unused first. */
  readonly #entries = new Map<string, Entry>();

  /** `clock`: ms, monotonic. */
  constructor(limits: LogCacheLimits, clock: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** How many files are open. */
  get open(): number {
    let count = 0;
    for (const { fd } of this.#entries.values()) if (fd >= 0) count++;
    return count;
  }

  /** Appends to a file. `path`, `line`: latin-1 text. Returns what went wrong, in Nginx's words. */
  write(path: string, line: string): string | undefined {
    const bytes = Buffer.from(line, "latin1");
    if (path.includes("\0")) return `open() "${path}" failed (22: Invalid argument)`;
    if (this.#limits.max === 0) return writeOnce(path, bytes);
    try {
      const entry = this.#entry(path, this.#clock());
      const failure = writeTo(entry.fd, path, bytes);
      if (entry.uses < this.#limits.minUses) close(entry);
      return failure;
    } catch (error) {
      return `open() "${path}" failed (${failureText(error)})`;
    }
  }

  /** The path's entry, open. Throws the system's error. */
  #entry(path: string, now: number): Entry {
    this.#forgetInactive(now);
    const known = this.#entries.get(path);
    // What cannot be opened pushes nothing out.
    const entry = known ?? { fd: openAppend(path), uses: 0, usedAt: now, checkedAt: now };
    if (known === undefined) this.#makeRoom();
    else refresh(path, known, now, this.#limits.validMs);
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    entry.uses++;
    entry.usedAt = now;
    return entry;
  }

  #forgetInactive(now: number): void {
    for (const [path, entry] of this.#entries) {
      if (now - entry.usedAt < this.#limits.inactiveMs) return;
      this.#forget(path, entry);
    }
  }

  #makeRoom(): void {
    for (const [path, entry] of this.#entries) {
      if (this.#entries.size < this.#limits.max) return;
      this.#forget(path, entry);
    }
  }

  #forget(path: string, entry: Entry): void {
    this.#entries.delete(path);
    close(entry);
  }
}

function refresh(path: string, entry: Entry, now: number, validMs: number): void {
  if (entry.fd >= 0 && now - entry.checkedAt < validMs) return;
  if (entry.fd < 0 || !isStill(entry.fd, path)) {
    const fd = openAppend(path);
    close(entry);
    entry.fd = fd;
  }
  entry.checkedAt = now;
}

function close(entry: Entry): void {
  if (entry.fd >= 0) closeSync(entry.fd);
  entry.fd = -1;
}

const bytesOf = (path: string): Buffer => Buffer.from(path, "latin1");
const openAppend = (path: string): number => openSync(bytesOf(path), "a", 0o644);

function isStill(fd: number, path: string): boolean {
  const found = statSync(bytesOf(path), { throwIfNoEntry: false });
  const open = fstatSync(fd);
  return found?.ino === open.ino && found.dev === open.dev;
}

function writeOnce(path: string, bytes: Uint8Array): string | undefined {
  let fd: number;
  try {
    fd = openAppend(path);
  } catch (error) {
    return `open() "${path}" failed (${failureText(error)})`;
  }
  try {
    return writeTo(fd, path, bytes);
  } finally {
    closeSync(fd);
  }
}

function writeTo(fd: number, path: string, bytes: Uint8Array): string | undefined {
  try {
    writeSync(fd, bytes);
    return undefined;
  } catch (error) {
    return `write() to "${path}" failed (${failureText(error)})`;
  }
}

/** Is there such a directory? Text: why it counts as none. */
export function missingDirectory(path: string): string | undefined {
  try {
    return statSync(bytesOf(path)).isDirectory() ? undefined : "20: Not a directory";
  } catch (error) {
    return failureText(error);
  }
}
