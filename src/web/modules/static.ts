/** ngx_http_static_module: the files below `root` or `alias`, where no other content handler is. */
import type { Reply } from "../../http/message.ts";
import { errorDirectives } from "../core/errors.ts";
import { openFileDirectives } from "../core/open_files.ts";
import { requestPath } from "../documents.ts";
import { errorReply, redirectPage } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import type { FileFailure } from "../file_access.ts";
import { defineModule } from "../module.ts";
import { encodePath } from "../path.ts";
import type { Handler } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import { ServedFiles } from "../served_files.ts";

/** A handler for all paths: it is the last one in its location. `logsAbsence`: `log_not_found`. */
export function staticHandler(served: ServedFiles, logsAbsence: boolean): Handler {
  return (exchange) => {
    const { method } = exchange;
    if (method === "GET" || method === "HEAD") return served.recent(exchange) ?? lookUp(exchange, served, logsAbsence);
    // A POST to a file is refused, but one to what is missing hears that first.
    return method === "POST" ? lookUp(exchange, served, logsAbsence) : notAllowed();
  };
}

const notAllowed = (): Reply => errorReply(405, ["Allow", "GET, HEAD"]);

function lookUp(exchange: Exchange, served: ServedFiles, logsAbsence: boolean): Reply {
  const path = requestPath(exchange);
  if (exchange.uri.endsWith("/")) {
    if (path !== undefined) exchange.log("error", `directory index of "${path}" is forbidden`);
    return errorReply(403);
  }
  if (path === undefined) return errorReply(500);
  const found = served.serve(exchange, path);
  if (found === "directory") return redirectPage(exchange, 301, withSlash(exchange));
  if (found === "special") {
    exchange.log("crit", `"${path}" is not a regular file`);
    return errorReply(404);
  }
  if (!("head" in found)) return failed(exchange, path, found, logsAbsence);
  if (exchange.method !== "POST") return found;
  dropBody(found.body, "not for POST");
  return notAllowed();
}

function withSlash({ uri, args }: Exchange): string {
  return `${encodePath(uri)}/${args === "" ? "" : `?${args}`}`;
}

function failed(exchange: Exchange, path: string, failure: FileFailure, logsAbsence: boolean): Reply {
  if (failure.isAbsence) {
    if (logsAbsence) exchange.log("error", failure.about(path));
    return errorReply(404);
  }
  exchange.log(failure.isRefusal ? "error" : "crit", failure.about(path));
  return errorReply(failure.isRefusal ? 403 : 500);
}

export const staticModule = defineModule({
  name: "static",
  directives: {},
  compile: (_, { block }) => ({
    files: staticHandler(
      new ServedFiles({ etag: block.conf(openFileDirectives).etag }),
      block.conf(errorDirectives).log_not_found,
    ),
  }),
});
