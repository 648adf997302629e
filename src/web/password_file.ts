/** Files of users and the hashes of their passwords, as `htpasswd` writes them; read again when they have changed. */
import { closeSync, fstatSync, openSync, readFileSync, type Stats, statSync } from "node:fs";

interface Read {
  readonly stats: Stats;
  /** It had not changed for a while when it was read: a change since then shows in its times. */
  readonly settled: boolean;
  readonly hashes: ReadonlyMap<string, string>;
}

/** The kernel's file times are this coarse at most, ms. */
const settlingMs = 100;
/** Paths may have variables: of so many files the contents are kept. */
const mostFiles = 64;

const known = new Map<string, Read>();

/** The hashes in a file by user. `path`: latin-1 text of its bytes. Throws the system's error. */
export function passwordHashes(path: string): ReadonlyMap<string, string> {
  const bytes = Buffer.from(path, "latin1");
  const before = known.get(path);
  if (before?.settled === true && isSame(before.stats, statSync(bytes))) return before.hashes;
  const fd = openSync(bytes, "r");
  try {
    const stats = fstatSync(fd);
    const hashes = parsePasswords(readFileSync(fd, "latin1"));
    if (known.size >= mostFiles) known.clear();
    known.set(path, { stats, settled: Date.now() - stats.ctimeMs > settlingMs, hashes });
    return hashes;
  } finally {
    closeSync(fd);
  }
}

const isSame = (a: Stats, b: Stats): boolean =>
  a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;

/** Lines of `user:hash`, a comment behind another colon; of several lines for a user the first counts. */
export function parsePasswords(text: string): Map<string, string> {
  const hashes = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, user, hash] = /^([^#\r:][^:]*):([^:\r]*)/.exec(line) ?? [];
    if (user !== undefined && hash !== undefined && !hashes.has(user)) hashes.set(user, hash);
  }
  return hashes;
}
