/** Files of certificates that are named with variables, remembered for a while (`ssl_certificate_cache`). */
import { readSource } from "./certificates.ts";
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

  /** Throws the system's error. */
  readonly read = (path: string): string => {
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
    this.#kept.set(path, kept);
    for (const name of this.#kept.keys()) {
      if (this.#kept.size <= max) break;
      this.#kept.delete(name);
    }
    return kept.text;
  };

  /** False: there was nothing to forget. */
  forget(paths: readonly string[]): boolean {
    return paths.filter((path) => this.#kept.delete(path)).length > 0;
  }
}
