/** The log files of a process: each is opened once, however many places name it, and anew after a rotation. */
import { LogFile } from "../net/log_file.ts";
import type { LogWriter } from "../web/module.ts";

/** These are the process's own, whatever they are connected to: a socket cannot be opened by its path. */
const standard: Readonly<Record<string, 1 | 2>> = { "-": 2, "/dev/stdout": 1, "/dev/stderr": 2 };

export class LogFiles {
  readonly #files = new Map<string, { readonly file: LogFile; readonly writer: LogWriter }>();

  /** The writer of a path, for latin-1 text. Throws the system's error if it cannot be opened. */
  open(path: string): LogWriter {
    const known = this.#files.get(path);
    if (known !== undefined) return known.writer;
    const file = path in standard ? new LogFile("-", standard[path] ?? 2) : new LogFile(path, 2);
    const writer: LogWriter = { write: (lines) => file.write(Buffer.from(lines, "latin1")) };
    this.#files.set(path, { file, writer });
    return writer;
  }

  /** Opens all paths again; returns what went wrong. */
  reopen(): string[] {
    const failures: string[] = [];
    for (const [path, { file }] of this.#files) {
      try {
        file.reopen();
      } catch (error) {
        failures.push(`open() "${path}" failed: ${(error as Error).message}`);
      }
    }
    return failures;
  }
}
