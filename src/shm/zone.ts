/**
 * A zone: memory of a fixed size that the web workers share, with a name from the configuration (`limit_req_zone … zone=NAME:SIZE`), a lock,
 * and a table. The master makes the memory, passes its descriptor to the web workers, and keeps it over a reload.
 */
import { ZoneLock } from "./lock.ts";
import { type Fields, fieldsText } from "./record.ts";
import { SharedTable } from "./table.ts";

/** A zone must have this size at least (8 pages), else: `zone "NAME" is too small`. */
export const minimalZoneBytes = 8 * 4096;

/** What the master knows of a zone. */
export interface ZoneDescription {
  readonly name: string;
  /** Whose it is, as the messages call it, a space, and the expression of the key: "limit_req $binary_remote_addr", "limit_conn_zone $host", "cache /var/cache". */
  readonly kind: string;
  readonly sizeBytes: number;
}

/** A zone cannot be taken over: the sentence for the log, after which the old configuration stays. */
export interface TakeOverRefused {
  readonly message: string;
}

/** The sentences of owners to whom the text after their name is no key. */
const otherRefusals: Readonly<Record<string, (zone: string, is: string, was: string) => string>> = {
  cache: (zone, is, was) =>
    `cache "${zone}" uses the "${is}" cache path while previously it used the "${was}" cache path`,
  sticky: (zone, is, was) =>
    `sticky zone "${zone}" is used in upstream "${is}" while previously it was used in upstream "${was}"`,
};

/** Owners whose zones begin anew with each configuration: the servers of an upstream are the configuration's. */
const neverKept: ReadonlySet<string> = new Set(["upstream"]);

/**
 * May a new configuration go on with a zone of the same name from the one before? "keep": yes, with all that is in it. "fresh": it is another
 * zone (other owner, other size), which begins empty. Refused: what is in it was counted by another key.
 */
export function takeOver(previous: ZoneDescription, next: ZoneDescription): "keep" | "fresh" | TakeOverRefused {
  const [owner, was] = splitKind(previous.kind);
  const [nextOwner, is] = splitKind(next.kind);
  if (owner !== nextOwner || previous.sizeBytes !== next.sizeBytes || neverKept.has(owner)) return "fresh";
  if (was === is) return "keep";
  const refusal = otherRefusals[owner]?.(next.name, is, was);
  return {
    message: refusal ?? `${owner} "${next.name}" uses the "${is}" key while previously it used the "${was}" key`,
  };
}

function splitKind(kind: string): [string, string] {
  const space = kind.indexOf(" ");
  return space < 0 ? [kind, ""] : [kind.slice(0, space), kind.slice(space + 1)];
}

const magic = 0x616c7a31; // "alz1": raised with each change of what lies in the memory
const headBytes = 128;
/** Words of the head. The lock has a cache line of its own. */
const at = { magic: 0, kindBytes: 1, brokenLocks: 2, lock: 16 } as const;

/**
 * A zone as one process sees it. A megabyte holds 15,880 records whose fields take up to 20 bytes (one word and two doubles: the state of a
 * leaky bucket) under keys of up to 16 bytes ($binary_remote_addr); each further 56 bytes of a key cost another of these places.
 */
export class Zone<F extends Fields> {
  readonly #memory: Uint8Array;
  readonly #ints: Int32Array;
  /** What the zone is. */
  readonly #text: Buffer;
  readonly #lock: ZoneLock;
  readonly table: SharedTable<F>;

  /**
   * Maps the memory behind a descriptor from `sharedMemory`; the first process to do so makes the zone. Throws an Error if it is a zone of
   * another kind or with other fields, or too small for its kind.
   */
  constructor(fd: number, kind: string, fields: F) {
    const memory = Bun.mmap(`/proc/self/fd/${fd}`, { shared: true });
    this.#ints = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength >>> 2);
    this.#memory = memory;
    this.#text = Buffer.from(`${kind}\n${fieldsText(fields)}`, "latin1");
    const tableOffset = Math.ceil((headBytes + this.#text.length) / 64) * 64;
    this.#lock = new ZoneLock(this.#ints, at.lock, () => this.#repair());
    this.table = new SharedTable(memory, tableOffset, fields, this.#lock);
    if (this.table.capacity === 0) throw new Error(`a zone of ${memory.byteLength} bytes is too small for "${kind}"`);
    this.locked(() => {
      this.#claim();
      this.table.prepare();
    });
  }

  /** Runs `work` while no other process uses the zone. What it does is short and does not wait. Throws what `work` throws. */
  locked<T>(work: () => T): T {
    return this.#lock.locked(work);
  }

  /** How often a process has died inside `locked`. */
  get brokenLocks(): number {
    return this.#ints[at.brokenLocks] ?? 0;
  }

  /** Writes down what the zone is, or finds it written. */
  #claim(): void {
    if (this.#ints[at.magic] === 0) {
      this.#memory.set(this.#text, headBytes);
      this.#ints[at.kindBytes] = this.#text.length;
      Atomics.store(this.#ints, at.magic, magic);
    }
    const found = this.#found();
    if (this.#ints[at.magic] !== magic || !found.equals(this.#text))
      throw new Error(`a zone is "${found.toString("latin1")}", not "${this.#text.toString("latin1")}"`);
  }

  #found(): Buffer {
    const length = this.#ints[at.kindBytes] ?? 0;
    return Buffer.from(this.#memory.subarray(headBytes, headBytes + length));
  }

  #repair(): void {
    this.#ints[at.brokenLocks] = this.brokenLocks + 1;
    // Else there is no table yet, or another one than ours (then the constructor throws).
    if (this.#ints[at.magic] === magic && this.#found().equals(this.#text)) this.table.repair();
  }
}
