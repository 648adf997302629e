/** Files of certificates that are named with variables, remembered for a while (`ssl_certificate_cache`). */
import { loadPair, type Pair, type PairPaths, readSource } from "./certificates.ts";
import type { CertificateCache } from "./rows.ts";

interface Kept {
  readonly text: string;
  readonly readAt: number;
  usedAt: number;
}

export class RememberedFiles {
  readonly #rules: CertificateCache | false;
  /** The one that was used last is at the end. */
  readonly #kept = new Map<string, Kept>();

  constructor(rules: CertificateCache | false) {
    this.#rules = rules;
  }

  readonly #read = (path: string): string => {
    if (this.#rules === false) return readSource(path);
    const now = performance.now();
    const { max, validMs, inactiveMs } = this.#rules;
    for (const [name, { usedAt }] of this.#kept) {
      if (now - usedAt <= inactiveMs) break;
      this.#kept.delete(name);
    }
    const before = this.#kept.get(path);
    this.#kept.delete(path);
    const kept =
      before !== undefined && now - before.readAt <= validMs
        ? before
        : { text: readSource(path), readAt: now, usedAt: now };
    kept.usedAt = now;
    // Who encrypts a key does not want it lying about, not even so.
    if (kept.text.includes("ENCRYPTED")) return kept.text;
    this.#kept.set(path, kept);
    for (const name of this.#kept.keys()) {
      if (this.#kept.size <= max) break;
      this.#kept.delete(name);
    }
    return kept.text;
  };

  /** Of a pair whose files were remembered at different times one may have changed since: then both are read again. Throws CertificateError. */
  load(paths: PairPaths, passwords: readonly string[]): Pair {
    try {
      return loadPair(paths, passwords, this.#read);
    } catch (error) {
      const wasRemembered = [this.#kept.delete(paths.certificate), this.#kept.delete(paths.key)].includes(true);
      if (!wasRemembered) throw error;
      return loadPair(paths, passwords, this.#read);
    }
  }
}
