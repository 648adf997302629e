/** Error logs with Nginx's levels and line form: what reads Nginx's logs reads these. */
import { escapeControls } from "./log.ts";

/** From the gravest to the least; a log with a threshold writes what stands before it, and itself. */
export const errorLevels = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"] as const;
export type ErrorLevel = (typeof errorLevels)[number];

/** Where to report what an operator should know. */
export interface ErrorLog {
  /** Is anybody interested? Ask before a costly message is made. */
  wants(level: ErrorLevel): boolean;
  log(level: ErrorLevel, message: string): void;
}

/** A log of lines at `threshold` and graver; `write` gets whole lines. `format` makes a line. */
export function errorLog(
  threshold: ErrorLevel,
  write: (line: string, level: ErrorLevel) => void,
  format: (level: ErrorLevel, message: string) => string = (level, message) =>
    nginxLine(new Date(), process.pid, level, message),
): ErrorLog {
  const least = errorLevels.indexOf(threshold);
  const wants = (level: ErrorLevel) => errorLevels.indexOf(level) <= least;
  return {
    wants,
    log: (level, message) => {
      if (wants(level)) write(format(level, message), level);
    },
  };
}

/** Writes to all of them. */
export function joinedLogs(logs: readonly ErrorLog[]): ErrorLog {
  const [only] = logs;
  if (only !== undefined && logs.length === 1) return only;
  return {
    wants: (level) => logs.some((each) => each.wants(level)),
    log: (level, message) => {
      for (const each of logs) each.log(level, message);
    },
  };
}

/** `2026/11/24 14:00:00 [error] 123#0: message`, in local time. */
export function nginxLine(now: Date, pid: number, level: ErrorLevel, message: string): string {
  return `${dateTime(now)} [${level}] ${pid}#0: ${escapeControls(message)}\n`;
}

function dateTime(now: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const date = `${now.getFullYear()}/${two(now.getMonth() + 1)}/${two(now.getDate())}`;
  return `${date} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}
