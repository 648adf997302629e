/** The log files of a configuration: that they can be opened is known before anything starts, and whose they are. */
import { closeSync, fchownSync, fstatSync, openSync } from "node:fs";
import { StartError } from "../master/plan.ts";
import type { UserPlan } from "../worker/plan.ts";
import { openFailure } from "./nginx_log.ts";

/** Makes them if they are not there. Throws StartError for one that cannot be opened. `paths`: latin-1 text of their bytes. */
export function tryLogFiles(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      closeSync(openAppend(path));
    } catch (error) {
      throw new StartError(openFailure(path, error));
    }
  }
}

/**
 * After a rotation: makes them, as files of the workers' user, who may not make files in their directory. Returns what went
 * wrong.
 */
export function renewLogFiles(paths: readonly string[], user: UserPlan | undefined): string[] {
  const failures: string[] = [];
  for (const path of paths) {
    try {
      const fd = openAppend(path);
      const found = fstatSync(fd);
      if (user !== undefined && found.isFile() && found.uid !== user.uid) fchownSync(fd, user.uid, found.gid);
      closeSync(fd);
    } catch (error) {
      failures.push(openFailure(path, error));
    }
  }
  return failures;
}

const openAppend = (path: string): number => openSync(Buffer.from(path, "latin1"), "a", 0o644);
