/** The configuration files of the file system. */
import { closeSync, lstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { hasWildcard, literalName, namePattern } from "./glob.ts";
import { type ConfigFiles, UnreadableFile } from "./parser.ts";

/** Paths are latin-1 text of their bytes; `prefix` as in ConfigFiles. */
export function systemFiles(prefix?: string): ConfigFiles {
  return { prefix, read: readConfig, glob };
}

const systemPath = (path: string): Buffer => Buffer.from(path, "latin1");

function readConfig(path: string): string {
  const fd = attempt("open", path, () => openSync(systemPath(path), "r"));
  try {
    return attempt("read", path, () => readFileSync(fd, "latin1"));
  } finally {
    closeSync(fd);
  }
}

function attempt<T>(call: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new UnreadableFile(`${call}() "${path}" failed (${reason(error)})`);
  }
}

/** What the C library says, for the faults that a configuration has. */
const reasons: Record<string, string> = {
  EPERM: "1: Operation not permitted",
  ENOENT: "2: No such file or directory",
  EIO: "5: Input/output error",
  EACCES: "13: Permission denied",
  ENOTDIR: "20: Not a directory",
  EISDIR: "21: Is a directory",
  ENFILE: "23: Too many open files in system",
  EMFILE: "24: Too many open files",
  ENAMETOOLONG: "36: File name too long",
  ELOOP: "40: Too many levels of symbolic links",
};

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return reasons[code] ?? error.message;
}

/** As glob(3) without flags: what cannot be looked into is passed over. */
function glob(pattern: string): string[] {
  let found = [pattern.startsWith("/") ? "/" : ""];
  for (const part of pattern.split("/")) {
    if (part === "") continue;
    const names = hasWildcard(part) ? namesLike(namePattern(part)) : () => [literalName(part)];
    found = found.flatMap((base) => {
      const before = base === "" || base.endsWith("/") ? base : `${base}/`;
      return names(before).map((name) => before + name);
    });
  }
  // Bytes are compared, as in the C locale, which Nginx stays in.
  return found.filter(exists).sort();
}

const namesLike =
  (pattern: RegExp) =>
  (directory: string): string[] => {
    try {
      const names = readdirSync(systemPath(directory === "" ? "." : directory), { encoding: "buffer" });
      return names.map((name) => name.toString("latin1")).filter((name) => pattern.test(name));
    } catch {
      return [];
    }
  };

function exists(path: string): boolean {
  try {
    lstatSync(systemPath(path));
    return true;
  } catch {
    return false;
  }
}
