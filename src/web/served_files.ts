/** Files as Nginx serves them: whatever a path leads to, with the fields that it gives them. Content is kept in memory. */
import { closeSync, type Stats } from "node:fs";
import { formatHttpDate } from "../base/date.ts";
import { Headers } from "../http/headers.ts";
import type { Reply } from "../http/message.ts";
import { errorReply } from "./error_page.ts";
import type { Exchange } from "./exchange.ts";
import { FileFailure, type Opened } from "./file_access.ts";
import {
  type CacheEntry,
  entryBytes,
  type FileCache,
  processFileCache,
  representationBytes,
  settledMs,
} from "./file_cache.ts";
import { isUnchanged, SharedFile } from "./files.ts";
import { Representation } from "./representation.ts";

/** What all files of a location have in common. */
export interface Serving {
  /** Whether they have an ETag field. */
  readonly etag: boolean;
  /** They lie ready in this coding. */
  readonly coding?: "gzip";
  /** Where content is kept. Default: the process's. */
  readonly cache?: FileCache;
}

/** Why there is no reply: the system's reason; or it is a directory, or something that is no file (a device, a FIFO). */
export type Unserved = FileFailure | "directory" | "special";

/** A file with its content, under the name that it was asked for. */
class KeptFile implements CacheEntry {
  readonly representation: Representation;
  readonly #key: string;
  readonly #names: Map<string, KeptFile>;
  bytes: number;
  descriptors = 0;
  checkedAt: number;

  constructor(key: string, names: Map<string, KeptFile>, representation: Representation, now: number) {
    this.representation = representation;
    this.#key = key;
    this.#names = names;
    this.bytes = entryBytes + representationBytes + key.length;
    this.checkedAt = now;
  }

  forget(): void {
    this.#names.delete(this.#key);
    this.representation.forget();
  }
}

export class ServedFiles {
  readonly #serving: Serving;
  readonly #cache: FileCache;
  /** By URI; where variables are in the path, by URI and path: the media type depends on the one, the content on the other. */
  readonly #kept = new Map<string, KeptFile>();

  constructor(serving: Serving) {
    this.#serving = serving;
    this.#cache = serving.cache ?? processFileCache;
  }

  /** The reply for the exchange's URI, if the file is at hand and was looked at a moment ago. */
  recent(exchange: Exchange): Reply | undefined {
    const kept = this.#kept.get(exchange.uri);
    if (kept === undefined || exchange.rewrittenInPlace || !this.#isRecent(kept, exchange)) return undefined;
    return kept.representation.reply();
  }

  #isRecent({ checkedAt }: KeptFile, exchange: Exchange): boolean {
    return exchange.startedAt - checkedAt < (exchange.location.fileAccess.validMs ?? this.#cache.limits.validMs);
  }

  /** The file at `path`, which the exchange's URI stands for. */
  serve(exchange: Exchange, path: string): Reply | Unserved {
    const key = exchange.location.documents.isConstant ? exchange.uri : `${exchange.uri}\0${path}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      const reply = this.#confirmed(kept, exchange, path);
      if (reply !== undefined) return reply;
      this.#cache.drop(kept);
    }
    // Between its opening and the end of reading it may change: then look again. Who changes it without pause gets 503.
    for (let attempt = 0; attempt < 3; attempt++) {
      const opened = exchange.location.fileAccess.open(exchange, path);
      if (opened instanceof FileFailure) return opened;
      if (opened.stats.isDirectory()) return "directory";
      if (!opened.stats.isFile()) {
        closeSync(opened.fd);
        return "special";
      }
      const reply = this.#read(exchange, path, key, opened);
      if (reply !== "changed") return reply;
    }
    return errorReply(503);
  }

  /** The reply from what is kept, if it is still what the disk has. */
  #confirmed(kept: KeptFile, exchange: Exchange, path: string): Reply | undefined {
    if (!this.#isRecent(kept, exchange)) {
      const now = exchange.location.fileAccess.stat(exchange, path);
      if (now instanceof FileFailure || !isUnchanged(kept.representation.found.stats, now)) return undefined;
      this.#cache.confirm(kept, exchange.startedAt);
    }
    return kept.representation.reply();
  }

  #read(exchange: Exchange, path: string, key: string, { fd, stats }: Opened): Reply | "changed" {
    const { coding } = this.#serving;
    const headers = this.#headers(stats, exchange.location.contentType(exchange.uri));
    const representation = new Representation({ path, stats, coding }, headers);
    const entry = new KeptFile(key, this.#kept, representation, exchange.startedAt);
    const isSettled = stats.ctimeMs < Date.now() - settledMs;
    if (isSettled && exchange.location.fileAccess.isPlain && this.#cache.room(entry.bytes, 0, exchange.startedAt)) {
      this.#cache.add(entry);
      this.#kept.set(key, entry);
    }
    const file = new SharedFile(fd);
    try {
      const reply = representation.take(file, this.#cache, entry, exchange.startedAt);
      if (reply === "changed") this.#cache.drop(entry);
      return reply;
    } finally {
      file.release();
    }
  }

  #headers({ size, mtimeMs }: Stats, type: string): Headers {
    const { etag, coding } = this.#serving;
    const seconds = Math.floor(mtimeMs / 1000);
    const headers = new Headers();
    if (type !== "") headers.add("Content-Type", type);
    headers.add("Content-Length", String(size));
    headers.add("Last-Modified", formatHttpDate(seconds));
    if (etag) headers.add("ETag", `"${seconds.toString(16)}-${size.toString(16)}"`);
    if (coding !== undefined) headers.add("Content-Encoding", coding);
    headers.add("Accept-Ranges", "bytes");
    headers.shared = true;
    return headers;
  }
}
