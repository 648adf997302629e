/** A file that several processes append whole lines to, and that can be moved away while they do (USR1 opens it anew). */
import { closeSync, openSync, writeSync } from "node:fs";

export class LogFile {
  readonly #path: string;
  #fd: number;

  /** `path`: a file, or "-" for `standard` (1: stdout, 2: stderr). Throws the system's error if it cannot be opened. */
  constructor(path: string, standard: 1 | 2) {
    this.#path = path;
    this.#fd = path === "-" ? standard : openAppend(path);
  }

  /** Appends whole lines in one system call: those of several processes do not mix. Text leaves as UTF-8, bytes as they are. */
  write(text: string | Uint8Array): void {
    try {
      if (typeof text === "string") writeSync(this.#fd, text);
      else writeSync(this.#fd, text);
    } catch {
      // A full disk or a closed terminal must not end the service, and there is nowhere left to say so.
    }
  }

  close(): void {
    if (this.#path !== "-") closeSync(this.#fd);
  }

  /** Opens the path again after a rotation; keeps the old file if that fails. */
  reopen(): void {
    if (this.#path === "-") return;
    const before = this.#fd;
    this.#fd = openAppend(this.#path);
    closeSync(before);
  }
}

const openAppend = (path: string): number => openSync(path, "a", 0o644);
