/** The error log of the program itself. While it starts, what is grave goes to the terminal as well. */
import { closeSync, openSync } from "node:fs";
import { type ErrorLevel, type ErrorLog, errorLevels, nginxLine } from "../base/error_log.ts";
import { failureText, redirect } from "../net/libc.ts";
import { LogFile } from "../net/log_file.ts";

const rank = (level: ErrorLevel): number => errorLevels.indexOf(level);

export class ProgramLog implements ErrorLog {
  #file: LogFile;
  #path: string;
  #threshold: ErrorLevel;
  #toTerminal = true;
  /** Standard error is the log's file: what others write there is found in it. */
  #takesErrors = false;

  /** `path`: a file, or "-" for stderr. If it cannot be opened, that is said, and stderr is used. */
  constructor(path: string, threshold: ErrorLevel) {
    this.#path = path;
    this.#threshold = threshold;
    try {
      this.#file = new LogFile(path, 2);
    } catch (error) {
      process.stderr.write(`nginx: [alert] could not open error log file: ${openFailure(path, error)}\n`);
      this.#path = "-";
      this.#file = new LogFile("-", 2);
    }
  }

  wants(level: ErrorLevel): boolean {
    return rank(level) <= rank(this.#threshold) || (this.#toTerminal && rank(level) <= rank("warn"));
  }

  log(level: ErrorLevel, message: string): void {
    if (rank(level) <= rank(this.#threshold)) this.#file.write(nginxLine(new Date(), process.pid, level, message));
    else if (!this.#toTerminal) return;
    if (this.#toTerminal && this.#path !== "-" && rank(level) <= rank("warn"))
      process.stderr.write(`nginx: [${level}] ${message}\n`);
  }

  /** From now on the log is this file. Throws the system's error; then nothing has changed. */
  moveTo(path: string, threshold: ErrorLevel): void {
    if (path !== this.#path) {
      const file = new LogFile(path, 2);
      this.#file.close();
      this.#file = file;
      this.#path = path;
    }
    this.#threshold = threshold;
    if (this.#takesErrors) this.takeErrors();
  }

  /** Throws the system's error; then the log goes on where it was. */
  reopen(): void {
    this.#file.reopen();
    if (this.#takesErrors) this.takeErrors();
  }

  /** Makes the log's file standard error, for this process and those that it starts, since there is no terminal any more. */
  takeErrors(): void {
    this.#takesErrors = true;
    if (this.#path === "-") return;
    const fd = openSync(this.#path, "a", 0o644);
    redirect(2, fd);
    closeSync(fd);
  }

  /** It runs: there is nobody at the terminal who waits for words. */
  leaveTerminal(): void {
    this.#toTerminal = false;
  }
}

/** `open() "/x" failed (2: No such file or directory)` */
export function openFailure(path: string, error: unknown): string {
  return `open() "${path}" failed (${failureText(error)})`;
}
