/** The pid file, as Gunicorn writes it: "PID\n", put in place whole. */
import { readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { StartError } from "./plan.ts";

/** Writes this process's id. Throws StartError if the file names a process that is alive, or cannot be written. */
export function writePidFile(path: string): void {
  const other = livingPid(path);
  if (other !== undefined && other !== process.pid) {
    throw new StartError(
      `already running: ${path} names the living process ${other}; stop it, or choose another --pid`,
    );
  }
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${process.pid}\n`, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (error) {
    throw new StartError(`cannot write the pid file: ${(error as Error).message}`);
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
