/**
 * Counts of what is going on for a key, over all web workers (`limit_conn`), which survive that one of them is killed: each process counts
 * in places of its own, found by its lane among the counters. Places of lanes that nobody has are void.
 *
 * A record has the places of four lanes; its key is the number of the four and the counted key. So a key costs one record while up to four
 * web workers are at work, and counting it one look-up for each four. One more record, under the empty key, tells the highest lane so far.
 */
import type { Counters } from "../shm/counters.ts";
import type { Node } from "../shm/table.ts";
import type { Zone } from "../shm/zone.ts";

export const countFields = { a: "u32", b: "u32", c: "u32", d: "u32" } as const;
const places = ["a", "b", "c", "d"] as const;
const lanesPerRecord = places.length;

/** Keys in a full table are looked through for void places at most this often, ms. */
const sweepEveryMs = 1000;

export class SharedCounts {
  readonly #zone: Zone<typeof countFields>;
  readonly #counters: Counters;
  readonly #page: string;
  readonly #place: (typeof places)[number];
  /** The record of the highest lane; never removed. */
  readonly #top: Node;
  #sweptAt = 0;

  /** `lane`: this process's. Throws an Error if the zone is of no use at all. */
  constructor(zone: Zone<typeof countFields>, counters: Counters, lane: number) {
    this.#zone = zone;
    this.#counters = counters;
    this.#page = pageOf(Math.floor(lane / lanesPerRecord));
    this.#place = places[lane % lanesPerRecord]!;
    this.#top = zone.locked(() => {
      const { table } = zone;
      const top = table.lookup("") ?? table.insert("", () => false);
      if (top === undefined) throw new Error("a zone has no room for the number of processes");
      table.set(top, "a", Math.max(table.get(top, "a"), lane));
      this.#sweep(this.#page);
      return top;
    });
  }

  /** One more, unless there are `limit` already; undefined: there is no room for the key. Keys have at most 255 bytes. */
  add(key: string, limit: number): boolean | undefined {
    return this.#zone.locked(() => {
      if (this.#total(key) >= limit) {
        this.#clean(key);
        if (this.#total(key) >= limit) return false;
      }
      const { table } = this.#zone;
      const node = table.lookup(this.#page + key) ?? this.#insert(this.#page + key);
      if (node === undefined) return undefined;
      table.set(node, this.#place, table.get(node, this.#place) + 1);
      return true;
    });
  }

  /** One less, of those that `add` has counted. */
  remove(key: string): void {
    this.#zone.locked(() => {
      const { table } = this.#zone;
      const node = table.lookup(this.#page + key);
      if (node === undefined) return;
      table.set(node, this.#place, Math.max(table.get(node, this.#place) - 1, 0));
      this.#removeIfEmpty(node);
    });
  }

  #total(key: string): number {
    const { table } = this.#zone;
    let total = 0;
    for (let page = 0; page <= this.#lastPage; page++) {
      const node = table.lookup(pageOf(page) + key);
      if (node !== undefined) for (const place of places) total += table.get(node, place);
    }
    return total;
  }

  get #lastPage(): number {
    return Math.floor(this.#zone.table.get(this.#top, "a") / lanesPerRecord);
  }

  /** Forgets what dead processes have counted for a key. */
  #clean(key: string): void {
    for (let page = 0; page <= this.#lastPage; page++) {
      const node = this.#zone.table.lookup(pageOf(page) + key);
      if (node !== undefined) this.#cleanRecord(node, page);
    }
  }

  #cleanRecord(node: Node, page: number): void {
    const { table } = this.#zone;
    for (const [i, place] of places.entries())
      if (!this.#counters.isClaimed(page * lanesPerRecord + i)) table.set(node, place, 0);
    this.#removeIfEmpty(node);
  }

  #removeIfEmpty(node: Node): void {
    const { table } = this.#zone;
    if (places.every((place) => table.get(node, place) === 0)) table.remove(node);
  }

  #insert(key: string): Node | undefined {
    const { table } = this.#zone;
    const node = table.insert(key, () => false);
    if (node !== undefined || Date.now() - this.#sweptAt < sweepEveryMs) return node;
    this.#sweep(undefined);
    return table.insert(key, () => false);
  }

  /** Looks through all keys. `own`: this process begins, and whoever had its lane before it is gone. */
  #sweep(own: string | undefined): void {
    const { table } = this.#zone;
    this.#sweptAt = Date.now();
    let node = table.oldest();
    while (node !== undefined) {
      const next = table.newer(node);
      const key = table.keyOf(node);
      if (key !== "") {
        if (key.startsWith(own ?? "\xff")) table.set(node, this.#place, 0);
        this.#cleanRecord(node, key.charCodeAt(0));
      }
      node = next;
    }
  }
}

/** Lanes are 256 at most: 64 records' numbers. */
const pageOf = (page: number): string => String.fromCharCode(page);
