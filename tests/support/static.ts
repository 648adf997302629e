/** A directory served by a handler of its own, for tests of `files.ts`. */
import { readdirSync, readlinkSync } from "node:fs";
import type { Reply } from "../../src/http/message.ts";
import { FileCache } from "../../src/web/file_cache.ts";
import { type StaticOptions, staticFiles } from "../../src/web/modules/files.ts";
import { exchangeFor, type RequestOptions } from "./exchange.ts";

/** Serves `root` below /static/ unless told otherwise, with a cache of its own. */
export function serve(root: string, options: Partial<StaticOptions> = {}) {
  const cache = options.cache ?? new FileCache();
  const handler = staticFiles({ prefix: "/static/", root, cache, ...options });
  const ask = (target: string, request: RequestOptions = {}): Reply | undefined => {
    const found = handler(exchangeFor(target, request));
    if (found instanceof Promise || (found !== undefined && !("head" in found)))
      throw new Error("a reply was expected");
    return found;
  };
  const get = (target: string, request: RequestOptions = {}): Reply => {
    const reply = ask(target, request);
    if (reply === undefined) throw new Error("no answer");
    return reply;
  };
  return { ask, get, cache };
}

export const field = (reply: Reply, name: string): string | undefined => reply.head.headers.get(name);

/** Descriptors of this process that are open below a directory. */
export const openBelow = (path: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false;
    }
  }).length;
