/** ngx_http_gzip_static_module: `x.gz` in the place of `x`, for those who accept it. */
import type { Reply } from "../../http/message.ts";
import { openFileDirectives } from "../core/open_files.ts";
import { choice, everywhere } from "../directive.ts";
import { requestPath } from "../documents.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { FileFailure } from "../file_access.ts";
import {
  acceptsGzip,
  addVary,
  type GzipAcceptConf,
  gzipAcceptDirectives,
  isMarkedVary,
  markVary,
} from "../gzip_accept.ts";
import { defineModule } from "../module.ts";
import type { Handler } from "../pipeline.ts";
import { ServedFiles } from "../served_files.ts";

/** Whoever cannot undo it: `gunzip` does, where the file is always sent. */
function gzipStatic(served: ServedFiles, always: boolean, conf: GzipAcceptConf): Handler {
  return (exchange) => {
    const { method, uri } = exchange;
    if ((method !== "GET" && method !== "HEAD") || uri.endsWith("/")) return undefined;
    if (always || acceptsGzip(exchange, conf)) return compressed(exchange, served, always);
    // Not for this client; but caches must hear of it.
    if (conf.gzip_vary) noteVariant(exchange);
    return undefined;
  };
}

function compressed(exchange: Exchange, served: ServedFiles, always: boolean): Reply | undefined {
  const path = requestPath(exchange);
  if (path === undefined) return errorReply(500);
  const found = served.recent(exchange) ?? served.serve(exchange, `${path}.gz`);
  if (found instanceof FileFailure) {
    report(exchange, path, found);
    return undefined;
  }
  if (!always) markVary(exchange);
  if (found === "directory") return undefined;
  if (found !== "special") return found;
  exchange.log("crit", `"${path}.gz" is not a regular file`);
  return errorReply(404);
}

function noteVariant(exchange: Exchange): void {
  const path = requestPath(exchange);
  if (path === undefined) return;
  const found = exchange.location.fileAccess.stat(exchange, `${path}.gz`);
  if (found instanceof FileFailure) report(exchange, path, found);
  else markVary(exchange);
}

/** That there is none is no news. */
function report(exchange: Exchange, path: string, failure: FileFailure): void {
  if (!failure.isAbsence) exchange.log(failure.isRefusal ? "error" : "crit", failure.about(`${path}.gz`));
}

export const gzipStaticModule = defineModule({
  name: "gzip_static",
  directives: {
    gzip_static: choice(["off", "on", "always"], {
      contexts: everywhere,
      initial: "off",
      summary: "Whether a file that lies ready in gzipped form is sent to who accepts that, or to everybody.",
    }),
  },
  compile({ gzip_static }, { block }) {
    if (gzip_static === "off") return {};
    const conf = block.conf(gzipAcceptDirectives);
    const { etag } = block.conf(openFileDirectives);
    const always = gzip_static === "always";
    return {
      files: gzipStatic(new ServedFiles({ etag, coding: "gzip" }), always, conf),
      filter:
        conf.gzip_vary && !always
          ? (exchange, reply) => {
              if (isMarkedVary(exchange)) addVary(reply, conf);
            }
          : undefined,
    };
  },
});
