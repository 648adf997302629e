/** `sticky learn`: which server a session was with, known to all web workers. */
import { createHash } from "node:crypto";
import type { Zone } from "../../shm/zone.ts";
import type { Runtime } from "../module.ts";
import { sharedNow, sharedZone } from "../shared_zone.ts";

/** A server's name of up to 32 bytes, and when it was last asked (ms). */
const fields = {
  last: "f64",
  length: "u32",
  w0: "u32",
  w1: "u32",
  w2: "u32",
  w3: "u32",
  w4: "u32",
  w5: "u32",
  w6: "u32",
  w7: "u32",
} as const;
const words = ["w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7"] as const;

/** The longest name of a server (`route=`). */
export const maxSidBytes = 32;

export interface SessionsConf {
  readonly zone: { readonly name: string };
  readonly upstream: string;
  readonly timeoutMs: number;
}

/** A session's name may be of any length; what is kept of it is not. */
const keyOf = (id: string): string => createHash("md5").update(id, "latin1").digest("latin1");

export class Sessions {
  readonly #zone: Zone<typeof fields>;
  readonly #timeoutMs: number;

  constructor({ zone, upstream, timeoutMs }: SessionsConf, runtime: Runtime) {
    this.#zone = sharedZone(runtime, { name: zone.name, kind: `sticky ${upstream}`, fields });
    this.#timeoutMs = timeoutMs;
  }

  /** The server that the session is with. */
  find(id: string): string | undefined {
    return this.#zone.locked(() => {
      this.#expire();
      const { table } = this.#zone;
      const node = table.lookup(keyOf(id));
      if (node === undefined) return undefined;
      const bytes = Buffer.alloc(maxSidBytes);
      for (const [i, word] of words.entries()) bytes.writeUInt32LE(table.get(node, word), i * 4);
      return bytes.latin1Slice(0, table.get(node, "length"));
    });
  }

  /** It is with this server now. `creates`: known or not. */
  learn(id: string, sid: string, creates: boolean): void {
    this.#zone.locked(() => {
      this.#expire();
      const { table } = this.#zone;
      const key = keyOf(id);
      let node = table.lookup(key);
      if (node === undefined && creates) node = table.insert(key, () => true);
      if (node === undefined) return;
      const bytes = Buffer.alloc(maxSidBytes);
      bytes.write(sid, "latin1");
      for (const [i, word] of words.entries()) table.set(node, word, bytes.readUInt32LE(i * 4));
      table.set(node, "length", sid.length);
      table.set(node, "last", sharedNow());
      table.touch(node);
    });
  }

  #expire(): void {
    const { table } = this.#zone;
    const now = sharedNow();
    table.evict(Number.MAX_SAFE_INTEGER, (node) => now - table.get(node, "last") >= this.#timeoutMs);
  }
}
