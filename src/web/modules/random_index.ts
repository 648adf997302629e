/** ngx_http_random_index_module: a file of the directory, another each time. */

import { context, flag } from "../directive.ts";
import { entryStats, namesIn, unreadable } from "../directory_entries.ts";
import { requestPath } from "../documents.ts";
import { errorReply } from "../error_page.ts";
import type { FileFailure } from "../file_access.ts";
import { defineModule } from "../module.ts";
import type { Handler } from "../pipeline.ts";

const handler: Handler = (exchange) => {
  const { uri, args, method } = exchange;
  if (!uri.endsWith("/") || (method !== "GET" && method !== "HEAD" && method !== "POST")) return undefined;
  const path = requestPath(exchange);
  if (path === undefined) return errorReply(500);
  const directory = path.slice(0, -1);
  const found = namesIn(directory);
  if (!Array.isArray(found)) return unreadable(exchange, directory, found as FileFailure);
  const names: string[] = [...found];
  // Drawing until there is a file is as fair as drawing among the files, and looks at few names.
  while (names.length > 0) {
    const [name = ""] = names.splice(Math.floor(Math.random() * names.length), 1);
    const stats = entryStats(`${directory}/${name}`);
    if ("isFile" in stats && stats.isFile()) return { to: "uri", uri: uri + name, args };
  }
  return undefined;
};

export const randomIndexModule = defineModule({
  name: "random_index",
  directives: {
    random_index: flag({
      contexts: context.location,
      initial: false,
      summary: "Whether a path that names a directory leads to a random file in it.",
    }),
  },
  compile: ({ random_index }) => (random_index ? { files: handler } : {}),
});
