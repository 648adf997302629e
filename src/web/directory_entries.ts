/** What is in a directory, for pages that list it. */
import { lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { errorReply } from "./error_page.ts";
import type { Exchange } from "./exchange.ts";
import { type FileFailure, failureOf } from "./file_access.ts";
import { systemPath } from "./files.ts";

/** All names but those that begin with a dot, in no order; latin-1 text of their bytes. */
export function namesIn(path: string): readonly string[] | FileFailure {
  try {
    const names: unknown[] = readdirSync(systemPath(path), { encoding: "buffer" });
    return names
      .map((name) => (name instanceof Uint8Array ? Buffer.from(name).toString("latin1") : String(name)))
      .filter((name) => !name.startsWith("."));
  } catch (error) {
    return failureOf("opendir()", error, path);
  }
}

/** The reply for a directory that could not be read; the log tells why. */
export function unreadable(exchange: Exchange, path: string, failure: FileFailure): ReturnType<typeof errorReply> {
  const status = failure.isAbsence ? 404 : failure.code === "EACCES" ? 403 : 500;
  exchange.log(status === 500 ? "crit" : "error", failure.about(path));
  return errorReply(status);
}

/** What a name stands for: where a link leads to, or the link itself if that is nowhere. */
export function entryStats(path: string): Stats | FileFailure {
  try {
    return statSync(systemPath(path));
  } catch (error) {
    const failure = failureOf("stat()", error, path);
    return failure.code === "ENOENT" || failure.code === "ELOOP" ? linkStats(path) : failure;
  }
}

function linkStats(path: string): Stats | FileFailure {
  try {
    return lstatSync(systemPath(path));
  } catch (error) {
    return failureOf("lstat()", error, path);
  }
}
