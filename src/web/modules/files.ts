/**
 * Our own: files of a directory as a web application wants them served (`files`; `--static URL=DIR`): compressed siblings, no
 * dot files, no links out of the directory, contents kept in memory.
 *
 * Which URLs name a file: those whose path, normalised, leads to a regular file inside the directory, links resolved.
 * Names that begin with a dot are not served (`.git`, `.env`), except below `.well-known` (RFC 8615).
 * Lookups and reads are synchronous, as Nginx's are: a disk that is not in memory is waited for.
 */
import { closeSync } from "node:fs";
import { ConfigError } from "../../config/statement.ts";
import type { Reply } from "../../http/message.ts";
import { acceptedCodings, type Coding, codings } from "../content_coding.ts";
import { context, type Directive, duplicate, text } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import {
  type CacheEntry,
  entryBytes,
  type FileCache,
  processFileCache,
  representationBytes,
  settledMs,
} from "../file_cache.ts";
import { type Absent, isUnchanged, liesWithin, openPath, realPath, statPath } from "../files.ts";
import { defineModule } from "../module.ts";
import { encodePath, encodeQuery } from "../path.ts";
import type { Handler } from "../pipeline.ts";
import { contentType, type Found, fileHeaders, Representation } from "../representation.ts";

/** Which files are served, and how. */
export interface StaticOptions {
  /** The URL path of the directory: "/static/". With or without the last slash it means the same. */
  readonly prefix: string;
  /** The directory. It may be a link, and be exchanged while we run. */
  readonly root: string;
  /** Names tried, in order, for a directory. Default: index.html. */
  readonly index?: readonly string[];
  /** The Cache-Control field of all files. Default: none. */
  readonly cacheControl?: string;
  /** Whether `name.br`, `name.zst` and `name.gz` are sent in the place of `name` to who accepts them. Default: true. */
  readonly precompressed?: boolean;
  /** Whether links may lead out of the directory. Default: they may not. */
  readonly links?: "inside" | "anywhere";
  /** Leave what is no file to the next handler, instead of answering 404 or 405. */
  readonly fallThrough?: boolean;
  /** Where content is kept. Default: the process's. */
  readonly cache?: FileCache;
}

/** A handler for the files of a directory. */
export function staticFiles(options: StaticOptions): Handler {
  return new Directory(options).handle;
}

/** A URL that names a file: the file itself, and its compressed siblings. */
class Resource implements CacheEntry {
  readonly uri: string;
  readonly original: Representation;
  readonly siblings: readonly Representation[];
  readonly #names: Map<string, Resource>;
  /** Whether the same time stamps at the next check will prove the same content. */
  readonly isSettled: boolean;
  bytes: number;
  descriptors = 0;
  checkedAt: number;

  constructor(uri: string, names: Map<string, Resource>, representations: readonly Representation[], now: number) {
    const [original, ...siblings] = representations;
    if (original === undefined) throw new Error("a resource without representation");
    this.uri = uri;
    this.original = original;
    this.siblings = siblings;
    this.#names = names;
    this.bytes = entryBytes + uri.length + representations.length * representationBytes;
    this.checkedAt = now;
    const limit = Date.now() - settledMs;
    this.isSettled = representations.every(({ found }) => found.stats.ctimeMs < limit);
  }

  /** The one that suits the client best. */
  choose({ request }: Exchange): Representation {
    if (this.siblings.length === 0) return this.original;
    for (const coding of acceptedCodings(request.headers.get("accept-encoding"))) {
      const sibling = this.siblings.find(({ found }) => found.coding === coding);
      if (sibling !== undefined) return sibling;
    }
    return this.original;
  }

  /** Whether a new look at the disk showed the same. */
  isStill(found: readonly Found[]): boolean {
    const mine = [this.original, ...this.siblings];
    return (
      mine.length === found.length &&
      mine.every(({ found: { path, stats } }, i) => {
        const now = found[i];
        return now !== undefined && path === now.path && isUnchanged(stats, now.stats);
      })
    );
  }

  forget(): void {
    this.#names.delete(this.uri);
    this.original.forget();
    for (const sibling of this.siblings) sibling.forget();
  }
}

// A dot file, or a dot segment that should not have come this far.
const hidden = /\/\.(?!well-known(?:\/|$))/;

const suffixes: Readonly<Record<Coding, string>> = { br: ".br", zstd: ".zst", gzip: ".gz" };

class Directory {
  /** Without a slash at the end: "" is the whole site. */
  readonly #prefix: string;
  /** latin-1 text of its bytes, as paths are; without a slash at the end. */
  readonly #root: string;
  readonly #index: readonly string[];
  readonly #cacheControl: string | undefined;
  readonly #precompressed: boolean;
  readonly #linksInside: boolean;
  readonly #fallThrough: boolean;
  readonly #cache: FileCache;
  readonly #validMs: number;
  readonly #known = new Map<string, Resource>();
  /** The root with its links resolved, as it last was. */
  #realRoot: string | undefined;

  constructor(options: StaticOptions) {
    this.#prefix = options.prefix.replace(/\/+$/, "");
    this.#root = Buffer.from(options.root).toString("latin1").replace(/\/+$/, "");
    this.#index = options.index ?? ["index.html"];
    this.#cacheControl = options.cacheControl;
    this.#precompressed = options.precompressed ?? true;
    this.#linksInside = (options.links ?? "inside") === "inside";
    this.#fallThrough = options.fallThrough ?? false;
    this.#cache = options.cache ?? processFileCache;
    this.#validMs = this.#cache.limits.validMs;
  }

  readonly handle: Handler = (exchange) => {
    const { method } = exchange.request;
    if (method === "GET" || method === "HEAD") {
      const known = this.#known.get(exchange.uri);
      if (known !== undefined && exchange.startedAt - known.checkedAt < this.#validMs) {
        const reply = known.choose(exchange).reply();
        if (reply !== undefined) return reply;
      }
      return this.#lookUp(exchange);
    }
    if (this.#fallThrough || !this.#covers(exchange.uri)) return undefined;
    return errorReply(405, ["Allow", "GET, HEAD"]);
  };

  // "/static../x" is not below "/static".
  #covers(uri: string): boolean {
    return uri.startsWith(this.#prefix) && uri.charCodeAt(this.#prefix.length) === 0x2f;
  }

  #lookUp(exchange: Exchange): Reply | undefined {
    const { uri, startedAt } = exchange;
    if (!this.#covers(uri)) return undefined;
    // Between the look at a file and its opening it may have changed: then look again. Who changes it without pause gets 503.
    for (let attempt = 0; attempt < 3; attempt++) {
      const resource = this.#resource(uri, startedAt);
      if (typeof resource === "string") return this.#absent(exchange, resource);
      const chosen = resource.choose(exchange);
      const opened = chosen.reply() ?? chosen.open(this.#mayShow, this.#cache, resource, startedAt);
      if (typeof opened !== "string") return opened;
      this.#cache.drop(resource);
      if (opened !== "changed") return this.#absent(exchange, opened);
    }
    return errorReply(503);
  }

  /** What a path names, as we know it: still valid, confirmed, or made anew. */
  #resource(uri: string, now: number): Resource | Absent | "directory" {
    const known = this.#known.get(uri);
    if (known !== undefined && now - known.checkedAt < this.#validMs) return known;
    const found = this.#find(uri);
    if (known !== undefined) {
      if (typeof found !== "string" && known.isSettled && known.isStill(found)) {
        this.#cache.confirm(known, now);
        return known;
      }
      this.#cache.drop(known);
    }
    return typeof found === "string" ? found : this.#keep(new Resource(uri, this.#known, this.#represent(found), now));
  }

  #represent(found: readonly [Found, ...Found[]]): readonly Representation[] {
    const type = contentType(found[0].path);
    const manner = { cacheControl: this.#cacheControl };
    return found.map((each) => new Representation(each, fileHeaders(each, type, found.length > 1, manner)));
  }

  #keep(resource: Resource): Resource {
    if (this.#cache.room(resource.bytes, 0, resource.checkedAt)) {
      this.#cache.add(resource);
      this.#known.set(resource.uri, resource);
    }
    return resource;
  }

  /** Looks at the disk: the file that a path names, then its siblings. */
  #find(uri: string): readonly [Found, ...Found[]] | Absent | "directory" {
    const rest = uri.slice(this.#prefix.length);
    if (hidden.test(rest) || rest.includes("\0")) return "missing";
    const path = this.#root + rest;
    if (!rest.endsWith("/")) {
      const stats = statPath(path);
      if (typeof stats === "string") return stats;
      if (stats.isDirectory()) return "directory";
      // A FIFO, a device, a socket: reading one would take what is meant for others, or wait.
      return stats.isFile() ? this.#withSiblings({ path, stats, coding: undefined }) : "missing";
    }
    for (const name of this.#index) {
      const stats = statPath(path + name);
      if (typeof stats !== "string" && stats.isFile()) {
        return this.#withSiblings({ path: path + name, stats, coding: undefined });
      }
    }
    return "missing";
  }

  #withSiblings(original: Found): readonly [Found, ...Found[]] {
    const found: [Found, ...Found[]] = [original];
    if (!this.#precompressed) return found;
    for (const coding of codings) {
      const path = original.path + suffixes[coding];
      const stats = statPath(path);
      if (typeof stats === "string" || !stats.isFile()) continue;
      // Compressed before the original was last changed: it is of something else. 2 s: archives store times that coarsely.
      if (stats.mtimeMs > original.stats.mtimeMs - 2000) found.push({ path, stats, coding });
    }
    return found;
  }

  #absent(exchange: Exchange, found: Absent | "directory"): Reply | undefined {
    if (found === "forbidden") return errorReply(403);
    if (found === "directory" && this.#mayRedirectTo(exchange.uri)) return redirectToDirectory(exchange);
    return this.#fallThrough ? undefined : errorReply(404);
  }

  // A link to a directory elsewhere does not show that there is one.
  #mayRedirectTo(uri: string): boolean {
    const fd = openPath(this.#root + uri.slice(this.#prefix.length));
    if (typeof fd === "string") return false;
    try {
      return this.#mayShow(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Whether an open file lies in the directory, unless links may lead anywhere. */
  readonly #mayShow = (fd: number): boolean => {
    if (!this.#linksInside) return true;
    if (this.#realRoot !== undefined && liesWithin(fd, this.#realRoot)) return true;
    // The root itself may be a link that a deployment has just exchanged.
    this.#realRoot = realPath(this.#root === "" ? "/" : this.#root);
    return this.#realRoot !== undefined && liesWithin(fd, this.#realRoot);
  };
}

// A path alone, not an absolute URL: nobody can put a foreign Host into it. A normalised path has no "//" at its start,
// which would make it a host, and `encodePath` leaves no backslash that a browser could take for a slash.
function redirectToDirectory({ uri, request }: Exchange): Reply {
  const query = request.query === "" ? "" : `?${encodeQuery(request.query)}`;
  return errorReply(301, ["Location", `${encodePath(uri)}/${query}`]);
}

/** The location's path and the directory. */
const filesRow: Directive<{ readonly prefix: string; readonly root: string } | undefined> = {
  summary:
    "The directory whose files are served; where the location has a content handler too (`app_pass`), that one gets the rest.",
  syntax: "directory",
  contexts: context.location,
  args: 1,
  initial: undefined,
  inherit: "never",
  parse(statement, before, { block, setup }) {
    if (before !== undefined) throw duplicate(statement);
    const match = block.own("location match") as { readonly kind: string; readonly path?: string };
    if (match.kind !== "prefix" || match.path === undefined)
      throw new ConfigError('"files" needs a location that is a path', statement.at);
    return { prefix: match.path, root: setup.path(statement.args[0] ?? "") };
  },
};

export const filesModule = defineModule({
  name: "files",
  directives: {
    files: filesRow,
    files_cache_control: text({
      contexts: context.location,
      initial: undefined,
      inherit: "never",
      summary: "The Cache-Control field of all of them.",
    }),
  },
  compile({ files, files_cache_control }, { block }) {
    if (files === undefined) return {};
    const hasMore = block.own("app_pass") !== undefined;
    const handler = staticFiles({
      ...files,
      fallThrough: hasMore,
      ...(files_cache_control === undefined ? {} : { cacheControl: files_cache_control }),
    });
    return hasMore ? { precontent: handler } : { content: handler };
  },
});
