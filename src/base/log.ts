/** Log lines as Gunicorn writes them, so that what reads its logs reads ours. */

export const logLevels = ["debug", "info", "warning", "error", "critical"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Where a process reports what its operator should know. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warning(message: string): void;
  error(message: string): void;
}

/** A log that drops what is below `level` and gives whole lines to `write`. */
export function makeLog(level: LogLevel, write: (line: string) => void): Log {
  const lowest = logLevels.indexOf(level);
  const at = (name: LogLevel) =>
    logLevels.indexOf(name) < lowest
      ? () => {}
      : (message: string) => write(logLine(new Date(), process.pid, name, message));
  return { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
}

/** `[2026-11-24 09:22:34 +0000] [PID] [LEVEL] message`, in local time. */
export function logLine(now: Date, pid: number, level: LogLevel, message: string): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const date = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
  return `[${date} ${time} ${zone(now)}] [${pid}] [${level.toUpperCase()}] ${escapeControls(message)}\n`;
}

/** "+0100": the local zone's distance from UTC. */
export function zone(now: Date): string {
  const minutes = -now.getTimezoneOffset();
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}${two(Math.abs(minutes) % 60)}`;
}

/** Control characters as `\xHH`, as Nginx writes them. Further lines of a message are indented: none can be taken for a record. */
export function escapeControls(text: string): string {
  if (!/[\x00-\x1f\x7f]/.test(text)) return text;
  return text
    .trimEnd()
    .replace(/\r?\n/g, "\n    ")
    .replace(/[\x00-\x09\x0b-\x1f\x7f]/g, hexEscape);
}

/** A character as `\xHH`. */
export const hexEscape = (char: string): string =>
  `\\x${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
