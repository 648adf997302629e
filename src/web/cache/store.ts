/** A cache in this process: its files, what is kept of them in memory, and what all processes know of them (records.ts). */
import {
  chownSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { Body } from "../../http/message.ts";
import type { CacheEntry } from "../file_cache.ts";
import { entryBytes, processFileCache } from "../file_cache.ts";
import { type SharedFile, systemPath } from "../files.ts";
import type { Runtime } from "../module.ts";
import { bodyStartFor, decodeEntry, type EntryHead, type EntryShape, encodeEntry, entryHeadBytes } from "./entry.ts";
import { maxKeptBytes, type OpenEntry, openEntry } from "./entry_file.ts";
import { entryPath, type Hash } from "./key.ts";
import type { CachePath } from "./path_row.ts";
import { Records, type Removed } from "./records.ts";
import { Waiting } from "./waiting.ts";

/** How long what is in memory is used without a look at its file, ms. */
const confirmMs = 1000;

/** A stored response, as long as somebody holds it. Who gets one calls `drop` when done. */
export class Entry implements CacheEntry {
  readonly hash: Hash;
  version: number;
  readonly open: OpenEntry;
  /** What somebody has made of it for the current second. */
  memo: { readonly by: unknown; readonly second: number; readonly value: unknown } | undefined = undefined;
  bytes: number;
  descriptors: number;
  checkedAt = 0;
  readonly #whenForgotten: (entry: Entry) => void;

  constructor(hash: Hash, version: number, open: OpenEntry, whenForgotten: (entry: Entry) => void) {
    this.hash = hash;
    this.version = version;
    this.open = open;
    this.bytes = entryBytes + (open.body.kind === "bytes" ? open.body.bytes.length : 0) + open.bodyStart;
    this.descriptors = open.body.kind === "file" ? 1 : 0;
    this.#whenForgotten = whenForgotten;
  }

  get head(): EntryHead {
    return this.open.head;
  }

  get #file(): SharedFile | undefined {
    return this.open.body.kind === "file" ? (this.open.body.file as SharedFile) : undefined;
  }

  hold(): this {
    this.#file?.acquire();
    return this;
  }

  drop(): void {
    this.#file?.release();
  }

  /** The content for one reply more. */
  body(): Body {
    this.#file?.acquire();
    return this.open.body;
  }

  /** Of what is kept in memory. */
  forget(): void {
    this.#whenForgotten(this);
    this.drop();
  }
}

/** Where a response is put. */
export interface Place {
  readonly hash: Hash;
  /** The main entry's name, and how often that had been purged when the origin was asked. */
  readonly main: Hash;
  readonly purges: number;
}

let lastTemporary = 0;

export class CacheStore {
  readonly conf: CachePath;
  readonly records: Records;
  readonly waiting: Waiting;
  readonly #log: Runtime["log"];
  readonly #kept = new Map<Hash, Entry>();

  constructor(conf: CachePath, runtime: Runtime) {
    this.conf = conf;
    this.records = new Records(runtime, conf.name, conf.kind);
    this.waiting = new Waiting(this.records);
    this.#log = runtime.log;
    this.#settle(runtime);
  }

  /** The directories, for the user that the web workers run as. */
  #settle({ user, log }: Runtime): void {
    try {
      mkdirSync(systemPath(this.temporaryDirectory), { recursive: true, mode: 0o700 });
      if (user === undefined) return;
      for (const each of [this.conf.path, this.temporaryDirectory]) chownSync(systemPath(each), user.uid, user.gid);
    } catch (error) {
      log.log("crit", `cache "${this.conf.path}": ${messageOf(error)}`);
    }
  }

  get temporaryDirectory(): string {
    return join(this.conf.path, ".filling");
  }

  pathOf(hash: Hash): string {
    return entryPath(this.conf.path, this.conf.levels, hash);
  }

  /** The entry of that version, or (0) whatever is on the disk. undefined: there is none. */
  open(hash: Hash, key: string, version: number): Entry | undefined | Promise<Entry | undefined> {
    const kept = this.#kept.get(hash);
    if (kept !== undefined) {
      if (kept.version === version && kept.head.key === key) {
        if (this.#isThere(kept)) return kept.hold();
        this.records.lost(hash, version);
        processFileCache.drop(kept);
        return undefined;
      }
      processFileCache.drop(kept);
    }
    const found = this.#openFile(hash, key);
    if (found instanceof Promise) return found.then((later) => this.#opened(hash, version, later));
    return this.#opened(hash, version, found);
  }

  /** Operators remove files, too: now and then one looks. */
  #isThere(kept: Entry): boolean {
    const now = performance.now();
    if (now - kept.checkedAt <= confirmMs) return true;
    if (statSync(systemPath(this.pathOf(kept.hash)), { throwIfNoEntry: false }) === undefined) return false;
    processFileCache.confirm(kept, now);
    return true;
  }

  #openFile(hash: Hash, key: string): ReturnType<typeof openEntry> {
    try {
      return openEntry(this.pathOf(hash), key);
    } catch (error) {
      this.#log.log("crit", `cache file "${this.pathOf(hash)}" cannot be read: ${messageOf(error)}`);
      return "missing";
    }
  }

  #opened(hash: Hash, version: number, found: Awaited<ReturnType<typeof openEntry>>): Entry | undefined {
    if (typeof found !== "string") {
      const known = version !== 0 ? version : this.#found(hash, found.bodyStart + found.bodyLength);
      return this.#keep(new Entry(hash, known, found, this.#forgotten));
    }
    if (found === "broken")
      this.#log.log("error", `cache file "${this.pathOf(hash)}" is no whole entry, it is not used`);
    if (found === "foreign") this.#log.log("crit", `cache file "${this.pathOf(hash)}" has md5 collision`);
    if (version !== 0) this.records.lost(hash, version);
    return undefined;
  }

  #found(hash: Hash, size: number): number {
    const gone: Removed[] = [];
    const version = this.records.found(hash, size, gone);
    this.discard(gone);
    return version;
  }

  readonly #forgotten = (entry: Entry): void => {
    if (this.#kept.get(entry.hash) === entry) this.#kept.delete(entry.hash);
  };

  /** The caller's hold, and one for the memory if there is room. */
  #keep(entry: Entry): Entry {
    const now = performance.now();
    const before = this.#kept.get(entry.hash);
    if (before !== undefined) processFileCache.drop(before);
    if (!processFileCache.room(entry.bytes, entry.descriptors, now)) return entry;
    entry.checkedAt = now;
    this.#kept.set(entry.hash, entry.hold());
    processFileCache.add(entry);
    return entry;
  }

  complain(hash: Hash, error: unknown): void {
    this.#log.log("crit", `cache file "${this.pathOf(hash)}" cannot be written: ${messageOf(error)}`);
  }

  /** Files of entries that are no more. */
  discard(gone: readonly Removed[]): void {
    for (const { hash, hadFile } of gone) {
      const kept = this.#kept.get(hash);
      if (kept !== undefined) processFileCache.drop(kept);
      if (hadFile) this.#unlink(this.pathOf(hash));
    }
  }

  /** Was it there? */
  #unlink(path: string): boolean {
    try {
      unlinkSync(systemPath(path));
      return true;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "ENOENT") this.#log.log("crit", `cache file "${path}" cannot be removed: ${messageOf(error)}`);
      return false;
    }
  }

  /** Was there such an entry? There is none any more. */
  purge(hash: Hash): boolean {
    const known = this.records.remove(hash);
    const kept = this.#kept.get(hash);
    if (kept !== undefined) processFileCache.drop(kept);
    // Before all files are known, there may be one nobody has heard of.
    return this.#unlink(this.pathOf(hash)) || known;
  }

  /** A file for an entry in the making. Throws a system's error. */
  temporary(): { readonly fd: number; readonly path: string } {
    lastTemporary++;
    const path = join(this.temporaryDirectory, `${process.pid}-${lastTemporary}`);
    return { fd: inDirectory(path, () => openSync(systemPath(path), "wx+", 0o600)), path };
  }

  /** Gives up an entry in the making. */
  abandon(temporary: string): void {
    this.#unlink(temporary);
  }

  /** The file is whole: from now on it is the entry, unless that was purged meanwhile (then 0). Throws a system's error. */
  publish({ hash, main, purges }: Place, temporary: string, size: number): number {
    const path = this.pathOf(hash);
    if (this.records.purgesOf(main) !== purges) {
      this.#unlink(temporary);
      return 0;
    }
    inDirectory(path, () => renameSync(systemPath(temporary), systemPath(path)));
    const gone: Removed[] = [];
    const version = this.records.stored(hash, size, gone);
    this.discard(gone);
    return version;
  }

  /** Stores a response whose content is there. What cannot be stored is not: the log says why. */
  write(place: Place, head: EntryHead, content: Uint8Array): void {
    const { hash } = place;
    const shape: EntryShape = {
      bodyStart: bodyStartFor(head),
      bodyLength: content.length,
      bodyCrc: crc32(content),
      id: newId(),
    };
    const start = encodeEntry(head, shape);
    if (start === undefined) return;
    try {
      const { fd, path } = this.temporary();
      try {
        writeAt(fd, start, 0);
        writeAt(fd, content, start.length);
        const version = this.publish(place, path, start.length + content.length);
        this.#remember(hash, version, { ...shape, head }, content);
      } catch (error) {
        this.#unlink(path);
        throw error;
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      this.complain(hash, error);
    }
  }

  #remember(hash: Hash, version: number, entry: EntryShape & { readonly head: EntryHead }, content: Uint8Array): void {
    if (content.length > maxKeptBytes || version === 0) return;
    // A copy: the piece may be a part of something large, or be used again.
    const body: Body = content.length === 0 ? { kind: "empty" } : { kind: "bytes", bytes: new Uint8Array(content) };
    this.#keep(new Entry(hash, version, { ...entry, body }, this.#forgotten)).drop();
  }

  /** An entry gets another head: its content was found to be still good. Returns it, to be dropped. */
  update(place: Place, entry: Entry, head: EntryHead): Entry {
    const { bodyStart, bodyLength, bodyCrc, id, body } = entry.open;
    const start = encodeEntry(head, { bodyStart, bodyLength, bodyCrc, id });
    const changed = new Entry(entry.hash, entry.version, { ...entry.open, head, body }, this.#forgotten).hold();
    if (start === undefined) {
      if (body.kind !== "file") this.write(place, head, body.kind === "bytes" ? body.bytes : nothing);
      return changed;
    }
    try {
      if (!this.#overwrite(entry, start)) return changed;
      const gone: Removed[] = [];
      changed.version = this.records.stored(entry.hash, bodyStart + bodyLength, gone);
      this.discard(gone);
      return this.#keep(changed);
    } catch (error) {
      this.#log.log("crit", `cache file "${this.pathOf(entry.hash)}" cannot be updated: ${messageOf(error)}`);
      return changed;
    }
  }

  /** Unless it is another file by now. Who reads meanwhile finds that the check sum is wrong, and asks the origin. */
  #overwrite(entry: Entry, start: Buffer): boolean {
    let fd: number;
    try {
      fd = openSync(systemPath(this.pathOf(entry.hash)), "r+");
    } catch {
      return false;
    }
    try {
      const there = Buffer.alloc(entry.open.bodyStart);
      readSync(fd, there, 0, there.length, 0);
      if (entryHeadBytes(there) !== entry.open.bodyStart) return false;
      if (decodeEntry(there, fstatSync(fd).size)?.id !== entry.open.id) return false;
      writeAt(fd, start, 0);
      return true;
    } finally {
      closeSync(fd);
    }
  }
}

const nothing = new Uint8Array(0);

export const newId = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** All of it, however many calls that takes. Throws a system's error. */
export function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(fd, bytes, written, bytes.length - written, offset + written);
}

/** Does something that needs the directory of `path`, which is made if it is not there. */
function inDirectory<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    mkdirSync(systemPath(dirname(path)), { recursive: true, mode: 0o700 });
    return work();
  }
}
