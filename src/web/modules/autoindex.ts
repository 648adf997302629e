/** ngx_http_autoindex_module: what is in a directory, as a page or for programs. */
import { Headers } from "../../http/headers.ts";
import type { Reply } from "../../http/message.ts";
import { type Conf, choice, everywhere, flag } from "../directive.ts";
import { entryStats, namesIn, unreadable } from "../directory_entries.ts";
import { type Entry, entriesHtml, entriesJson, entriesXml } from "../directory_page.ts";
import { requestPath } from "../documents.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { FileFailure } from "../file_access.ts";
import { defineModule } from "../module.ts";
import type { Answer } from "../pipeline.ts";
import { argument } from "./core.ts";

const directives = {
  autoindex: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether a directory without an index file is listed.",
  }),
  autoindex_format: choice(["html", "xml", "json", "jsonp"], {
    contexts: everywhere,
    initial: "html",
    summary: "The form of the list.",
  }),
  autoindex_localtime: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether a page has local times instead of UTC.",
  }),
  autoindex_exact_size: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether a page has sizes in bytes instead of rounded ones.",
  }),
};

type Settings = Conf<typeof directives>;

const types = {
  html: "text/html",
  xml: "text/xml; charset=utf-8",
  json: "application/json",
  jsonp: "application/javascript",
} as const;

function list(exchange: Exchange, settings: Settings): Answer {
  const { uri, method } = exchange;
  if (uri.charCodeAt(uri.length - 1) !== 0x2f || (method !== "GET" && method !== "HEAD")) return undefined;
  const path = requestPath(exchange);
  if (path === undefined) return errorReply(500);
  const callback = settings.autoindex_format === "jsonp" ? callbackName(exchange) : "";
  if (callback === undefined) return errorReply(400);
  const directory = path.length > 1 ? path.slice(0, -1) : path;
  const names = namesIn(directory);
  if (names instanceof FileFailure) return unreadable(exchange, directory, names);
  const entries = entriesOf(exchange, directory, names);
  if (entries === undefined) return errorReply(500);
  return reply(exchange, entries, callback, settings);
}

function reply(exchange: Exchange, entries: readonly Entry[], callback: string, settings: Settings): Reply {
  const wanted = settings.autoindex_format;
  const format = wanted === "jsonp" && callback === "" ? "json" : wanted;
  const bytes = Buffer.from(text(), "latin1");
  const headers = Headers.of(["Content-Type", types[format]], ["Content-Length", String(bytes.length)]);
  return { head: { status: 200, headers }, body: { kind: "bytes", bytes } };

  function text(): string {
    switch (format) {
      case "json":
        return entriesJson(entries);
      case "jsonp":
        return `/* callback */\r\n${callback}(${entriesJson(entries)});`;
      case "xml":
        return entriesXml(entries);
      default:
        return entriesHtml(exchange.uri, entries, {
          localTime: settings.autoindex_localtime,
          exactSize: settings.autoindex_exact_size,
        });
    }
  }
}

/** The function that a script wants to be called with the list; "": none. undefined: that is no name. */
function callbackName(exchange: Exchange): string | undefined {
  const name = argument(exchange.args, "callback") ?? "";
  if (name.length <= 128 && /^[A-Za-z0-9_.]*$/.test(name)) return name;
  exchange.log("info", `client sent ${name.length > 128 ? "too long" : "invalid"} callback name: "${name}"`);
  return undefined;
}

/** Directories first, each group by its names' bytes. undefined: something could not be looked at. */
function entriesOf(exchange: Exchange, directory: string, names: readonly string[]): Entry[] | undefined {
  const entries: Entry[] = [];
  for (const name of names) {
    const path = `${directory}/${name}`;
    const stats = entryStats(path);
    if (!(stats instanceof FileFailure)) {
      const kind = stats.isDirectory() ? "directory" : stats.isFile() ? "file" : "other";
      entries.push({ name, kind, size: stats.size, seconds: Math.floor(stats.mtimeMs / 1000) });
      continue;
    }
    // Gone since its name was read.
    if (stats.code === "ENOENT") continue;
    exchange.log("crit", stats.about(path));
    if (stats.code !== "EACCES") return undefined;
  }
  const rank = ({ kind }: Entry): number => (kind === "directory" ? 0 : 1);
  return entries.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

export const autoindexModule = defineModule({
  name: "autoindex",
  directives,
  compile: (conf) => (conf.autoindex ? { files: (exchange) => list(exchange, conf) } : {}),
});
