/**
 * How handlers of a location look at files: as the system shows them, without symbolic links (`disable_symlinks`), through a cache
 * (`open_file_cache`). Failures are values with the system's number: they go into the log as Nginx words them.
 */
import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from "node:fs";
import { constants as system } from "node:os";
import { errorText, openAt, SystemError } from "../net/libc.ts";
import type { Exchange } from "./exchange.ts";
import { systemPath } from "./files.ts";

/** Why a path could not be looked at. */
export class FileFailure {
  /** "ENOENT" */
  readonly code: string;
  readonly errno: number;
  readonly #call: string;

  constructor(call: string, code: string, errno: number) {
    this.#call = call;
    this.code = code;
    this.errno = errno;
  }

  static of(call: string, code: keyof typeof system.errno): FileFailure {
    return new FileFailure(call, code, system.errno[code]);
  }

  /** `open() "/x" failed (2: No such file or directory)` */
  about(path: string): string {
    return `${this.#call} "${path}" failed ${this.reason}`;
  }

  /** `(2: No such file or directory)` */
  get reason(): string {
    return `(${errorText(this.errno)})`;
  }

  /** The name, or one on the way to it, is not there. */
  get isAbsence(): boolean {
    return absences.has(this.code);
  }

  /** It is there, and must not be shown: no right to it, or a symbolic link. */
  get isRefusal(): boolean {
    return this.code === "EACCES" || this.isLink;
  }

  /** Refused for a symbolic link (also a loop of them). */
  get isLink(): boolean {
    return this.code === "ELOOP" || this.code === "EMLINK";
  }
}

const absences = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG"]);

/** A file, open for reading: the caller closes it. Of a directory only the stats are told; its `fd` is -1. */
export interface Opened {
  readonly fd: number;
  readonly stats: Stats;
}

/** A way to look at files. Paths are latin-1 text of their bytes. */
export interface FileAccess {
  /** Is every answer the one that the system gives for the path alone? Then what is found may be kept under it. */
  readonly isPlain: boolean;
  /** How long what was found is good without another look, ms; undefined: nothing is said about it. */
  readonly validMs: number | undefined;
  open(exchange: Exchange, path: string): Opened | FileFailure;
  stat(exchange: Exchange, path: string): Stats | FileFailure;
}

/** From an error that a call of the runtime's ended with; throws what is none of the system's. */
export function failureOf(call: string, error: unknown, path: string): FileFailure {
  if (error instanceof SystemError) return new FileFailure(call, error.code, error.errno);
  const { code = "", errno } = error as { code?: string; errno?: number };
  if (errno !== undefined) return new FileFailure(call, code, Math.abs(errno));
  // No file has such a name.
  if (path.includes("\0")) return FileFailure.of(call, "ENOENT");
  throw error;
}

const notFound = FileFailure.of("stat()", "ENOENT");

// O_NONBLOCK: opening a FIFO must not wait for its writer.
const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** What a descriptor is of; it is closed if that is a directory, whose descriptor nobody needs. */
function described(fd: number): Opened {
  let kept = false;
  try {
    const stats = fstatSync(fd);
    kept = !stats.isDirectory();
    return { fd: kept ? fd : -1, stats };
  } finally {
    if (!kept) closeSync(fd);
  }
}

/** Files as the system shows them. */
export const plainAccess: FileAccess = {
  isPlain: true,
  validMs: undefined,
  open(_, path) {
    try {
      return described(openSync(systemPath(path), openFlags));
    } catch (error) {
      return failureOf("open()", error, path);
    }
  },
  stat(_, path) {
    try {
      return statSync(systemPath(path), { throwIfNoEntry: false }) ?? notFound;
    } catch (error) {
      return failureOf("stat()", error, path);
    }
  },
};

/** What `disable_symlinks` asks for. */
export interface LinkRule {
  /** No link at all, or none that belongs to somebody else than what it leads to. */
  readonly refuses: "all" | "foreign";
  /** The beginning of a path that may have links. */
  from(exchange: Exchange): string;
}

/**
 * Files without symbolic links on the way. Each component is opened in the one before, so that none can be exchanged between a
 * check and its use.
 */
export function linklessAccess({ refuses, from }: LinkRule): FileAccess {
  const open = (exchange: Exchange, path: string): Opened | FileFailure => {
    const trusted = trustedLength(path, from(exchange));
    if (trusted === path.length) return plainAccess.open(exchange, path);
    try {
      return described(walk(path, trusted, refuses));
    } catch (error) {
      return failureOf("openat()", error, path);
    }
  };
  return {
    isPlain: false,
    validMs: undefined,
    open,
    stat(exchange, path) {
      const opened = open(exchange, path);
      if (opened instanceof FileFailure) return opened;
      if (opened.fd >= 0) closeSync(opened.fd);
      return opened.stats;
    },
  };
}

/** How much of a path is not looked at: up to a slash. */
function trustedLength(path: string, from: string): number {
  if (from === "" || !path.startsWith(from)) return 0;
  if (from.length === path.length || path[from.length] === "/") return from.length;
  return from.endsWith("/") ? from.length - 1 : 0;
}

const onPath = 0o10000000; // O_PATH: not readable, only a place to go on from
const searchFlags = onPath | constants.O_DIRECTORY | constants.O_NONBLOCK;

function walk(path: string, trusted: number, refuses: LinkRule["refuses"]): number {
  if (path.includes("\0")) throw new SystemError("openat", system.errno.ENOENT);
  const names = path
    .slice(trusted)
    .split("/")
    .filter((name) => name !== "");
  // A slash at the end: the last one must be a directory too.
  const last = path.endsWith("/") ? "." : (names.pop() ?? ".");
  const step = refuses === "all" ? openNoLink : openOwn;
  let directory = openAt(atWorkingDirectory, trusted === 0 ? "/" : path.slice(0, trusted), searchFlags);
  try {
    for (const name of names) {
      const next = step(directory, name, searchFlags);
      closeSync(directory);
      directory = next;
    }
    return step(directory, last, openFlags);
  } finally {
    closeSync(directory);
  }
}

const atWorkingDirectory = -100; // AT_FDCWD

const openNoLink = (directory: number, name: string, flags: number): number =>
  openAt(directory, name, flags | constants.O_NOFOLLOW);

/** Links are followed whose owner is that of their target. Compared even where there seems to be no link: it may have been exchanged. */
function openOwn(directory: number, name: string, flags: number): number {
  const fd = openAt(directory, name, flags);
  try {
    const itself = openAt(directory, name, onPath | constants.O_NOFOLLOW);
    try {
      if (fstatSync(itself).uid !== fstatSync(fd).uid) throw new SystemError("openat", system.errno.ELOOP);
    } finally {
      closeSync(itself);
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
