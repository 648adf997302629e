/** A file as HTTP shows it (RFC 9110 3.2): its fields, and its content as it is kept. */
import { fstatSync, type Stats } from "node:fs";
import mime from "mime";
import { formatHttpDate } from "../base/date.ts";
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, type Reply } from "../http/message.ts";
import type { Coding } from "./content_coding.ts";
import type { CacheEntry, FileCache } from "./file_cache.ts";
import { type Absent, isUnchanged, openPath, readWhole, SharedFile } from "./files.ts";

/** A file that was found, and what is to be said about it. */
export interface Found {
  readonly path: string;
  readonly stats: Stats;
  /** undefined: as it is. */
  readonly coding: Coding | undefined;
}

/** Files above this are sent from their descriptor. */
const maxKeptBytes = 64 * 1024;
/** Files up to this are read at once even where there is no room to keep them: cheaper than a descriptor, and no more than a `fileSource` would hold. */
const maxReadBytes = 64 * 1024;

/** Content is opened when it is first asked for: of a file and its compressed siblings most clients want the same one. */
export class Representation {
  readonly found: Found;
  readonly headers: Headers;
  #body: Body | undefined;
  #file: SharedFile | undefined;

  constructor(found: Found, headers: Headers) {
    this.found = found;
    this.headers = headers;
  }

  /** The reply, if the content is at hand. */
  reply(): Reply | undefined {
    const body = this.#body;
    if (body === undefined) return undefined;
    this.#file?.acquire();
    return { head: { status: 200, headers: this.headers }, body };
  }

  /**
   * Opens the file for a reply, and keeps what there is room for. `owner`: who is charged, if it is kept at all.
   * `mayShow`: whether the open file is one that may be served. "changed": it is no longer what was found.
   */
  open(mayShow: (fd: number) => boolean, cache: FileCache, owner: CacheEntry, now: number): Reply | Absent | "changed" {
    const fd = openPath(this.found.path);
    if (typeof fd === "string") return fd;
    const file = new SharedFile(fd);
    try {
      if (!mayShow(fd)) return "missing";
      if (!isUnchanged(fstatSync(fd), this.found.stats)) return "changed";
      return this.take(file, cache, owner, now);
    } finally {
      file.release();
    }
  }

  /** A reply from the open file that was found. "changed": it is no longer what was found. */
  take(file: SharedFile, cache: FileCache, owner: CacheEntry, now: number): Reply | "changed" {
    const { stats } = this.found;
    const { size } = stats;
    const head = { status: 200, headers: this.headers };
    const keepsBytes = size <= maxKeptBytes && cache.has(owner) && cache.room(size, 0, now);
    if (keepsBytes || size <= maxReadBytes) {
      const bytes = readWhole(file.fd, stats);
      if (bytes === undefined) return "changed";
      const body: Body = size === 0 ? emptyBody : { kind: "bytes", bytes };
      if (keepsBytes) {
        cache.charge(owner, size, 0);
        this.#body = body;
      }
      return { head, body };
    }
    const body: Body = { kind: "file", file: file.acquire(), offset: 0, length: size };
    if (cache.has(owner) && cache.room(0, 1, now)) {
      cache.charge(owner, 0, 1);
      this.#file = file.acquire();
      this.#body = body;
    }
    return { head, body };
  }

  /** Lets go of the content. Replies under way keep theirs. */
  forget(): void {
    this.#file?.release();
    this.#file = undefined;
    this.#body = undefined;
  }
}

/** What all answers from one place have in common. */
export interface Manner {
  readonly cacheControl: string | undefined;
}

/** The fields of a 200 for a file. `type`: of its content before coding. `varies`: there are other codings of it. */
export function fileHeaders(found: Found, type: string, varies: boolean, manner: Manner): Headers {
  const { stats, coding } = found;
  const headers = Headers.of(
    ["Content-Type", type],
    ["Content-Length", String(stats.size)],
    // RFC 9110 8.8.2.1: not later than now, whatever the file says.
    ["Last-Modified", formatHttpDate(Math.min(stats.mtimeMs, Date.now()) / 1000)],
    ["ETag", entityTag(stats, coding)],
  );
  if (coding !== undefined) headers.add("Content-Encoding", coding);
  // RFC 9110 12.5.5: caches must not give one client's coding to another.
  if (varies) headers.add("Vary", "Accept-Encoding");
  if (manner.cacheControl !== undefined) headers.add("Cache-Control", manner.cacheControl);
  headers.add("Accept-Ranges", "bytes");
  headers.shared = true;
  return headers;
}

/** As Nginx forms it, so that caches stay valid when one takes the other's place; siblings add their coding (RFC 9110 8.8.3.3). */
function entityTag({ mtimeMs, size }: Stats, coding: Coding | undefined): string {
  const tag = `${Math.floor(mtimeMs / 1000).toString(16)}-${size.toString(16)}`;
  return coding === undefined ? `"${tag}"` : `"${tag}-${coding}"`;
}

/** Content-Type by the name's ending. Text is UTF-8 unless it says otherwise itself, as XML and JSON do. */
export function contentType(path: string): string {
  const type = mime.getType(path) ?? "application/octet-stream";
  return type.startsWith("text/") ? `${type}; charset=utf-8` : type;
}
