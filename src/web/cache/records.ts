/**
 * What all web workers know about a cache's entries: which there are, how often and when they were asked for, who fills or renews
 * them. In a zone of shared memory; the contents are in files.
 */

import type { Node } from "../../shm/table.ts";
import type { Zone } from "../../shm/zone.ts";
import type { Runtime } from "../module.ts";
import { sharedNow, sharedZone } from "../shared_zone.ts";
import type { Hash } from "./key.ts";

const fields = {
  /** Bytes on the disk; of the cache's own record: of all entries. */
  size: "f64",
  /** Until when an error counts (s since 1970); of the cache's own record: how many entries there may be (0: no bound). */
  until: "f64",
  /** ms of `sharedNow`: when it was last asked for, and until when its lock holds. */
  usedAt: "f64",
  lockUntil: "f64",
  /** Grows with each content; 0: there is none. Of the cache's own record: the last one given. */
  version: "u32",
  uses: "u32",
  /** The status that is answered without asking; 0: none. Of the cache's own record: 1 once all files are known. */
  error: "u32",
  /** Whose lock it is; 0: nobody's. */
  lockPid: "u32",
  lockId: "u32",
  /** How often it has been removed on demand: what was asked for before that must not come back. */
  purges: "u32",
} as const;

/** The record of the cache itself; hashes are longer. */
const own = "cache";

/** The right to fill or renew an entry. */
export interface Claim {
  readonly hash: Hash;
  readonly id: number;
}

/** What is known of an entry that is asked for. */
export type Known =
  /** There is a file of that version. */
  | { readonly is: "stored"; readonly version: number }
  /** There is none, and it may be made; `mayExist`: nobody has looked at the disk yet. */
  | { readonly is: "absent"; readonly mayExist: boolean }
  /** It has not been asked for often enough. */
  | { readonly is: "scarce"; readonly mayExist: boolean }
  | { readonly is: "error"; readonly status: number };

/** An entry that has been taken out of the table: its file is to be removed. */
export interface Removed {
  readonly hash: Hash;
  readonly hadFile: boolean;
}

export class Records {
  readonly #zone: Zone<typeof fields>;
  readonly #pid = process.pid;
  #lastId = 0;

  constructor(runtime: Runtime, name: string, kind: string) {
    this.#zone = sharedZone(runtime, { name, kind, fields });
    this.#zone.locked(() => this.#own());
  }

  get #table() {
    return this.#zone.table;
  }

  #own(): Node {
    const found = this.#table.lookup(own) ?? this.#table.insert(own, () => false);
    if (found === undefined) throw new Error("a cache's zone has no room for a single record");
    return found;
  }

  /** The entry is asked for. `gone` gets what had to go for it. `now`: s since 1970. */
  ask(hash: Hash, minUses: number, now: number, gone: Removed[]): Known {
    return this.#zone.locked(() => {
      const table = this.#table;
      const mayExist = table.get(this.#own(), "error") === 0;
      let node = table.lookup(hash);
      if (node === undefined) {
        node = this.#insert(hash, gone);
        if (node === undefined) return { is: "scarce", mayExist };
      } else table.touch(node);
      const uses = table.get(node, "uses") + 1;
      table.set(node, "usedAt", sharedNow());
      table.set(node, "uses", uses);
      const error = table.get(node, "error");
      if (error !== 0) {
        if (table.get(node, "until") >= now) return { is: "error", status: error };
        table.set(node, "error", 0);
      }
      const version = table.get(node, "version");
      if (version !== 0) return { is: "stored", version };
      return { is: uses >= minUses ? "absent" : "scarce", mayExist };
    });
  }

  /** A new record; the oldest make room. */
  #insert(hash: Hash, gone: Removed[]): Node | undefined {
    const table = this.#table;
    const mine = this.#own();
    if (table.oldest() === mine) table.touch(mine);
    let lowered = false;
    return table.insert(hash, (node) => {
      if (node === mine) return false;
      if (!lowered) table.set(mine, "until", table.size - Math.ceil(table.size / 8));
      lowered = true;
      this.#leave(node, gone);
      return true;
    });
  }

  /** The record will go. */
  #leave(node: Node, gone: Removed[]): void {
    const table = this.#table;
    const mine = this.#own();
    gone.push({ hash: table.keyOf(node), hadFile: table.get(node, "version") !== 0 });
    table.set(mine, "size", Math.max(0, table.get(mine, "size") - table.get(node, "size")));
  }

  /**
   * Takes the lock of an entry for `ageMs`; undefined: somebody has it. A lock whose holder has ended is free; with `ageMs` 0 it has no
   * other end than that.
   */
  claim(hash: Hash, ageMs: number): Claim | undefined {
    return this.#zone.locked(() => {
      const node = this.#table.lookup(hash);
      if (node === undefined) return { hash, id: 0 };
      if (this.#isLocked(node, ageMs !== 0)) return undefined;
      this.#lastId++;
      this.#table.set(node, "lockPid", this.#pid);
      this.#table.set(node, "lockId", this.#lastId);
      this.#table.set(node, "lockUntil", ageMs === 0 ? Number.POSITIVE_INFINITY : sharedNow() + ageMs);
      return { hash, id: this.#lastId };
    });
  }

  #isLocked(node: Node, mayExpire: boolean): boolean {
    const pid = this.#table.get(node, "lockPid");
    if (pid === 0 || (mayExpire && this.#table.get(node, "lockUntil") <= sharedNow())) return false;
    return pid === this.#pid || isAlive(pid);
  }

  /** Does somebody fill it? */
  isLocked(hash: Hash): boolean {
    return this.#zone.locked(() => {
      const node = this.#table.lookup(hash);
      return node !== undefined && this.#isLocked(node, true);
    });
  }

  release({ hash, id }: Claim): void {
    this.#zone.locked(() => {
      const node = this.#table.lookup(hash);
      if (node !== undefined && this.#holds(node, id)) this.#table.set(node, "lockPid", 0);
    });
  }

  #holds(node: Node, id: number): boolean {
    return this.#table.get(node, "lockPid") === this.#pid && this.#table.get(node, "lockId") === id;
  }

  /** There is a file of this size now: returns its version. */
  stored(hash: Hash, size: number, gone: Removed[]): number {
    return this.#zone.locked(() => this.#store(hash, size, gone));
  }

  #store(hash: Hash, size: number, gone: Removed[]): number {
    const table = this.#table;
    const node = table.lookup(hash) ?? this.#insert(hash, gone);
    const mine = this.#own();
    const version = (table.get(mine, "version") + 1) >>> 0 || 1;
    table.set(mine, "version", version);
    if (node === undefined) return 0;
    table.set(mine, "size", Math.max(0, table.get(mine, "size") + size - table.get(node, "size")));
    table.set(node, "size", size);
    table.set(node, "version", version);
    table.set(node, "error", 0);
    if (table.get(node, "usedAt") === 0) table.set(node, "usedAt", sharedNow());
    return version;
  }

  /** A file that was found on the disk: its version, a new one if nobody knew of it. */
  found(hash: Hash, size: number, gone: Removed[]): number {
    return this.#zone.locked(() => {
      const node = this.#table.lookup(hash);
      const version = node === undefined ? 0 : this.#table.get(node, "version");
      return version !== 0 ? version : this.#store(hash, size, gone);
    });
  }

  /** The file of that version is gone, or none: there is nothing any more. */
  lost(hash: Hash, version: number): void {
    this.#zone.locked(() => {
      const table = this.#table;
      const node = table.lookup(hash);
      if (node !== undefined && table.get(node, "version") === version) this.#empty(node);
    });
  }

  /** The origin's failure is answered until then. */
  failed(hash: Hash, status: number, until: number): void {
    this.#zone.locked(() => {
      const node = this.#table.lookup(hash);
      if (node === undefined) return;
      this.#table.set(node, "error", status);
      this.#table.set(node, "until", until);
    });
  }

  /** Was there such an entry? There is none any more, and what is on its way there is not let in. */
  remove(hash: Hash): boolean {
    return this.#zone.locked(() => {
      const table = this.#table;
      const node = table.lookup(hash);
      if (node === undefined) return false;
      const existed = table.get(node, "version") !== 0 || table.get(node, "error") !== 0;
      this.#empty(node);
      table.set(node, "error", 0);
      table.set(node, "lockPid", 0);
      table.set(node, "purges", table.get(node, "purges") + 1);
      return existed;
    });
  }

  #empty(node: Node): void {
    const table = this.#table;
    const mine = this.#own();
    table.set(mine, "size", Math.max(0, table.get(mine, "size") - table.get(node, "size")));
    table.set(node, "size", 0);
    table.set(node, "version", 0);
  }

  /** How often the entry has been removed on demand. */
  purgesOf(hash: Hash): number {
    return this.#zone.locked(() => {
      const node = this.#table.lookup(hash);
      return node === undefined ? 0 : this.#table.get(node, "purges");
    });
  }

  /** Up to `limit` entries that nobody has asked for in `inactiveMs`; all of them leave. */
  expire(inactiveMs: number, limit: number): Removed[] {
    const before = sharedNow() - inactiveMs;
    return this.#evict(limit, (node) => this.#table.get(node, "usedAt") <= before);
  }

  /** Up to `limit` of the oldest, as long as there are more bytes than `maxBytes`, or more records than fitted lately. */
  shrink(maxBytes: number, limit: number, mustGo: () => boolean): Removed[] {
    return this.#evict(limit, () => {
      const mine = this.#own();
      const bound = this.#table.get(mine, "until");
      return this.#table.get(mine, "size") >= maxBytes || (bound > 0 && this.#table.size > bound) || mustGo();
    });
  }

  #evict(limit: number, mayGo: (node: Node) => boolean): Removed[] {
    return this.#zone.locked(() => {
      const table = this.#table;
      const gone: Removed[] = [];
      table.touch(this.#own());
      table.evict(Math.min(limit, table.size - 1), (node) => {
        // Somebody is at work on it.
        if (this.#isLocked(node, true)) {
          table.touch(node);
          table.set(node, "usedAt", sharedNow());
          return false;
        }
        if (!mayGo(node)) return false;
        this.#leave(node, gone);
        return true;
      });
      return gone;
    });
  }

  /** All files of the disk are known. */
  get isLoaded(): boolean {
    return this.#zone.locked(() => this.#table.get(this.#own(), "error") !== 0);
  }

  setLoaded(): void {
    this.#zone.locked(() => this.#table.set(this.#own(), "error", 1));
  }

  /** Bytes of all entries. */
  get bytes(): number {
    return this.#zone.locked(() => this.#table.get(this.#own(), "size"));
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
