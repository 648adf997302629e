/**
 * Looking up and opening files that the outside world may name.
 *
 * Paths are latin-1 text of their bytes, as `Exchange.uri` is: any file name that Linux allows can be served.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";
import type { OpenFile } from "../http/message.ts";

/** "missing" also for what no file can be: a name too long, a loop of links, a file in the place of a directory. */
export type Absent = "missing" | "forbidden";

const absences: Readonly<Record<string, Absent>> = {
  ENOENT: "missing",
  ENOTDIR: "missing",
  ENAMETOOLONG: "missing",
  ELOOP: "missing",
  // A device without a driver, a socket.
  ENXIO: "missing",
  ENODEV: "missing",
  EACCES: "forbidden",
  EPERM: "forbidden",
};

// Anything else (EIO, EMFILE …) is not about this file: it throws, and the request ends with 500 and a line in the log.
function absence(error: unknown): Absent {
  const found = absences[(error as { code?: string }).code ?? ""];
  if (found === undefined) throw error;
  return found;
}

/** The name as the system takes it: strings would be written as UTF-8. */
export const systemPath = (path: string): string | Buffer =>
  /[\x80-\xff]/.test(path) ? Buffer.from(path, "latin1") : path;

/** `stat` of a path, links followed. */
export function statPath(path: string): Stats | Absent {
  try {
    return statSync(systemPath(path), { throwIfNoEntry: false }) ?? "missing";
  } catch (error) {
    return absence(error);
  }
}

/** Where a path really is, links resolved; undefined if it is nowhere. */
export function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(systemPath(path), "latin1");
  } catch (error) {
    absence(error);
    return undefined;
  }
}

// O_NONBLOCK: opening a FIFO must not wait for its writer. The runtime adds O_CLOEXEC.
const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Opens a file for reading; the caller closes it. */
export function openPath(path: string): number | Absent {
  try {
    return openSync(systemPath(path), openFlags);
  } catch (error) {
    return absence(error);
  }
}

/**
 * Whether an open file lies in `realRoot` (links resolved). Asked of the descriptor, not of the name: between a check of the
 * name and the opening, a link in it could be exchanged.
 */
export function liesWithin(fd: number, realRoot: string): boolean {
  const path = readlinkSync(`/proc/self/fd/${fd}`, "latin1");
  return path === realRoot || path.startsWith(realRoot === "/" ? realRoot : `${realRoot}/`);
}

/** Whether both were taken of the same file in the same state. The change time also tells of writers that set the modification time back. */
export function isUnchanged(a: Stats, b: Stats): boolean {
  return a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.ino === b.ino && a.dev === b.dev;
}

/** All bytes of an open file that was just found in the state `stats`; undefined if it changed meanwhile. */
export function readWhole(fd: number, stats: Stats): Uint8Array | undefined {
  const bytes = Buffer.allocUnsafeSlow(stats.size);
  for (let filled = 0; filled < bytes.length; ) {
    const count = readSync(fd, bytes, filled, bytes.length - filled, filled);
    if (count === 0) return undefined;
    filled += count;
  }
  return isUnchanged(fstatSync(fd), stats) ? bytes : undefined;
}

/** An open file with several readers: closed when the last of them has released it. Whoever makes it is the first. */
export class SharedFile implements OpenFile {
  readonly fd: number;
  #readers = 1;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** One more reader, who releases it in turn. */
  acquire(): this {
    this.#readers++;
    return this;
  }

  release(): void {
    this.#readers--;
    if (this.#readers === 0) closeSync(this.fd);
  }
}
