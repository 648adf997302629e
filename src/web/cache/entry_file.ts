/** Reading cache files, without waiting for a disk unless one must be waited for. */
import { closeSync, fstatSync, openSync, read, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Body } from "../../http/message.ts";
import { readCached } from "../../net/libc.ts";
import { SharedFile, systemPath } from "../files.ts";
import { decodeEntry, type EntryFile, entryHeadBytes } from "./entry.ts";

/** Contents up to this are read whole, and may stay in memory. */
export const maxKeptBytes = 64 * 1024;
/** What is read first: most heads, and many small contents. */
const firstBytes = 8 * 1024;

/** An entry whose content is at hand. */
export interface OpenEntry extends EntryFile {
  /** "bytes" or "file" (whose `file` belongs to whoever opened it), "empty" where there is none. */
  readonly body: Body;
}

/** "missing": no such file; "broken": it is no whole entry; "foreign": of another key. */
export type NoEntry = "missing" | "broken" | "foreign";

type Read<T> = T | Promise<T>;

/** Opens the file of a key. Throws a system's error for what is not about the file (EMFILE, EIO …). */
export function openEntry(path: string, key: string): Read<OpenEntry | NoEntry> {
  let fd: number;
  try {
    fd = openSync(systemPath(path), "r");
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    throw error;
  }
  const file = new SharedFile(fd);
  const close = <T>(result: T): T => {
    file.release();
    return result;
  };
  try {
    const found = readEntry(file, fstatSync(fd).size, key);
    if (!(found instanceof Promise)) return close(found);
    return found.then(close, (error) => {
      close(undefined);
      throw error;
    });
  } catch (error) {
    close(undefined);
    throw error;
  }
}

function readEntry(file: SharedFile, size: number, key: string): Read<OpenEntry | NoEntry> {
  const first = Math.min(size, firstBytes);
  return after(readAt(file.fd, first, 0), (bytes) => {
    const wanted = bytes === undefined ? undefined : entryHeadBytes(bytes);
    if (bytes === undefined || wanted === undefined || wanted > size) return "broken";
    if (wanted <= first) return finish(file, size, key, bytes);
    return after(readAt(file.fd, wanted, 0), (all) => (all === undefined ? "broken" : finish(file, size, key, all)));
  });
}

function finish(file: SharedFile, size: number, key: string, bytes: Buffer): Read<OpenEntry | NoEntry> {
  const entry = decodeEntry(bytes, size);
  if (entry === undefined) return "broken";
  if (entry.head.key !== key) return "foreign";
  const { bodyStart, bodyLength, bodyCrc } = entry;
  if (bodyLength === 0) return { ...entry, body: { kind: "empty" } };
  if (bodyLength > maxKeptBytes)
    return { ...entry, body: { kind: "file", file: file.acquire(), offset: bodyStart, length: bodyLength } };
  const whole = (content: Buffer | undefined): OpenEntry | NoEntry =>
    content === undefined || crc32(content) !== bodyCrc
      ? "broken"
      : { ...entry, body: { kind: "bytes", bytes: content } };
  // A copy: the rest of what was read is not worth keeping.
  if (bytes.length >= size) return whole(Buffer.from(bytes.subarray(bodyStart, size)));
  return after(readAt(file.fd, bodyLength, bodyStart), whole);
}

/** undefined: the file is shorter. */
function readAt(fd: number, length: number, offset: number): Read<Buffer | undefined> {
  const bytes = Buffer.allocUnsafeSlow(length);
  if (length === 0) return bytes;
  if (readCached(fd, bytes, length, offset) === length) return bytes;
  return new Promise((resolve, reject) => {
    read(fd, bytes, 0, length, offset, (error, count) => {
      if (error !== null) reject(error);
      else resolve(count === length ? bytes : undefined);
    });
  });
}

function after<T, U>(value: Read<T>, then: (value: T) => Read<U>): Read<U> {
  return value instanceof Promise ? value.then(then) : then(value);
}

/** The key of a cache file, for who looks through all of them; undefined: it is no entry. */
export function keyOfFile(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(systemPath(path), "r");
  } catch {
    return undefined;
  }
  try {
    const size = fstatSync(fd).size;
    const entry = readHeadNow(fd, size);
    return entry === undefined ? undefined : decodeEntry(entry, size)?.head.key;
  } finally {
    closeSync(fd);
  }
}

function readHeadNow(fd: number, size: number): Buffer | undefined {
  const first = Buffer.alloc(Math.min(size, firstBytes));
  readSync(fd, first, 0, first.length, 0);
  const wanted = entryHeadBytes(first);
  if (wanted === undefined || wanted > size) return undefined;
  if (wanted <= first.length) return first;
  const all = Buffer.alloc(wanted);
  return readSync(fd, all, 0, wanted, 0) === wanted ? all : undefined;
}
