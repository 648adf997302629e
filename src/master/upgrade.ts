/** The program as it is now on the disk, started beside this one with the same sockets (USR2). Either can then be told to leave. */
import { renameSync } from "node:fs";
import type { Subprocess } from "bun";
import { variable, writeInherited } from "./inherited.ts";
import { type Ending, endingOf, howItEnded, type Report } from "./report.ts";

/** A child's descriptors begin here; those before are its standard ones. */
const firstFd = 3;

export interface UpgradeOptions {
  /** How this program was started: a runtime that is found by its path, main script, arguments. */
  readonly command: readonly string[];
  readonly pidFile: string | undefined;
  readonly fds: readonly number[];
  readonly report: Report;
  /** The new program has ended: this one is alone again. */
  readonly onFailed: () => void;
}

/** Where the pid file is while another program has its name. */
export const oldName = (pidFile: string): string => `${pidFile}.oldbin`;

/** … or that of the other program, until it may have the name. */
export const newName = (pidFile: string): string => `${pidFile}.2`;

export class Upgrade {
  readonly #options: UpgradeOptions;
  readonly #process: Subprocess;
  isRunning = true;

  /** Throws an Error if the program cannot be started; nothing has changed then. */
  constructor(options: UpgradeOptions) {
    this.#options = options;
    const { command, fds, pidFile, report } = options;
    if (pidFile !== undefined) renameSync(pidFile, oldName(pidFile));
    try {
      this.#process = Bun.spawn([...command], {
        stdio: ["ignore", "inherit", "inherit", ...fds],
        env: { ...process.env, [variable]: writeInherited(firstFd, fds.length) },
        onExit: (_, code, signal) => this.#onExit(endingOf(code, signal)),
      });
    } catch (error) {
      this.#restore();
      throw error;
    }
    report.wrong("notice", `start new binary process ${this.#process.pid}`);
  }

  #onExit(ending: Ending): void {
    this.isRunning = false;
    const { report, onFailed } = this.#options;
    const level = ending.signal === null ? "notice" : "alert";
    report.wrong(level, `new binary process ${this.#process.pid} exited ${howItEnded(ending)}`);
    this.#restore();
    onFailed();
  }

  #restore(): void {
    const { pidFile, report } = this.#options;
    if (pidFile === undefined) return;
    try {
      renameSync(oldName(pidFile), pidFile);
    } catch (error) {
      report.wrong("alert", `${oldName(pidFile)} cannot get its name back: ${(error as Error).message}`);
    }
  }
}
