/** The pid file, as Gunicorn and Nginx write it: "PID\n". */
import { readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { failureText } from "../net/libc.ts";
import { StartError } from "./plan.ts";

/** Throws StartError if the file names a process that is alive, and is not this one. */
export function refuseLiving(path: string): void {
  const other = livingPid(path);
  if (other === undefined || other === process.pid) return;
  throw new StartError(`already running: ${path} names the living process ${other}; stop it, or choose another --pid`);
}

/** Writes this process's id. Throws StartError if that cannot be. */
export function writePidFile(path: string): void {
  const text = `${process.pid}\n`;
  try {
    // Put in place whole: whoever waits for the file finds a number in it.
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, text, { mode: 0o644 });
    renameSync(temporary, path);
  } catch {
    // A directory in which only this file is ours.
    writeInPlace(path, text);
  }
}

function writeInPlace(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o644 });
  } catch (error) {
    throw new StartError(`open() "${path}" failed (${failureText(error)})`);
  }
}

function livingPid(path: string): number | undefined {
  const pid = readPid(path);
  if (pid === undefined) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // It lives, but belongs to somebody else.
    return (error as { code?: string }).code === "EPERM" ? pid : undefined;
  }
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8").trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the file if it still names `pid`. */
export function removePidFile(path: string, pid: number): void {
  if (readPid(path) !== pid) return;
  try {
    unlinkSync(path);
  } catch {
    // The directory is gone or no longer ours: nothing to be done about it.
  }
}
