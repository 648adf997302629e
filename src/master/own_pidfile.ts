/** The master's own pid file, which during an upgrade has another name with one of the two programs. */
import { refuseLiving, removePidFile, writePidFile } from "./pidfile.ts";
import { newName, oldName } from "./upgrade.ts";

/** How often a program that waits for another one's end looks for it, ms. */
const promotionMs = 500;

export interface OwnPidFileOptions {
  /** Which program has another name: with Nginx the old one, with Gunicorn the new one; undefined: there are no upgrades. */
  readonly renames: "old" | "new" | undefined;
  /** Another master, which has the sockets too, has not ended yet. */
  readonly predecessorServes: () => boolean;
  /** It has ended: this is the one that counts. */
  readonly onPromoted: () => void;
}

export class OwnPidFile {
  readonly #options: OwnPidFileOptions;
  /** Where it is, if not under its own name. */
  #path: string | undefined;
  #waiting: NodeJS.Timeout | undefined;

  constructor(options: OwnPidFileOptions) {
    this.#options = options;
  }

  /** Throws StartError. */
  take(path: string | undefined): void {
    if (path === undefined) return;
    const { renames, predecessorServes } = this.#options;
    if (renames === "new" && predecessorServes()) return this.#waitFor(path);
    if (renames !== "old") refuseLiving(path);
    writePidFile(path);
  }

  /** Until the program before has ended, the name is its. */
  #waitFor(path: string): void {
    this.#path = newName(path);
    writePidFile(this.#path);
    this.#waiting = setInterval(() => {
      if (this.#options.predecessorServes()) return;
      clearInterval(this.#waiting);
      removePidFile(newName(path), process.pid);
      this.#path = undefined;
      writePidFile(path);
      this.#options.onPromoted();
    }, promotionMs);
  }

  remove(path: string | undefined): void {
    clearInterval(this.#waiting);
    if (path === undefined) return;
    removePidFile(this.#path ?? path, process.pid);
    if (this.#options.renames === "old") removePidFile(oldName(path), process.pid);
  }
}
