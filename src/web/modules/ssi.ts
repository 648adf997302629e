/** ngx_http_ssi_module: server side includes. */
import { gmt, strftime } from "../../base/strftime.ts";
import { localZone } from "../../base/time_zone.ts";
import { ConfigError } from "../../config/statement.ts";
import { postponed } from "../body_change.ts";
import { dropLength, dropValidators, isEmpty } from "../content_change.ts";
import { everywhere, everywhereIf, flag, size } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { isOfType, mimeTypes } from "../mime_types.ts";
import { defineModule } from "../module.ts";
import { PageBody } from "../ssi/body.ts";
import { defaultTimeFormat, Page, type PageConf, type Shared } from "../ssi/page.ts";
import { Scanner } from "../ssi/scanner.ts";
import type { Variable, Variables } from "../variables.ts";

const pageOf = Symbol("ssi page");
const sharedBy = Symbol("ssi shared");

/** What all pages of a client's request share. */
function shared({ main }: Exchange): Shared {
  const known = main.note<Shared>(sharedBy);
  if (known !== undefined) return known;
  const made: Shared = { variables: new Map(), blocks: [], captures: [] };
  main.setNote(sharedBy, made);
  return made;
}

const date = (summary: string, isLocal: boolean): Variable => ({
  summary,
  get(exchange) {
    const now = Date.now();
    const format = exchange.note<Page>(pageOf)?.timeFormat ?? defaultTimeFormat;
    return strftime(format, now, isLocal ? localZone(now) : gmt);
  },
});

type Read = (exchange: Exchange) => string | undefined;

// Names come from pages.
const maxReaders = 1024;

/** Variables by names that are known only now. */
function readers(variables: Variables): PageConf["variable"] {
  const known = new Map<string, Read>();
  return (exchange, name) => {
    const read = known.get(name) ?? reader(variables, name);
    if (known.size < maxReaders) known.set(name, read);
    return read(exchange);
  };
}

function reader(variables: Variables, name: string): Read {
  try {
    return variables.reader(name, { file: "", line: 0 });
  } catch (error) {
    if (error instanceof ConfigError) return () => undefined;
    throw error;
  }
}

export const ssiModule = defineModule({
  name: "ssi",
  directives: {
    ssi: flag({
      contexts: everywhereIf,
      initial: false,
      summary: "Whether commands in pages are carried out.",
      deviation: "`if` may stand within `if`",
    }),
    ssi_types: mimeTypes({ summary: "The media types of pages with commands, besides HTML." }),
    ssi_silent_errors: flag({
      contexts: everywhere,
      initial: false,
      summary: "Whether a page shows nothing where a command failed.",
    }),
    ssi_last_modified: flag({ contexts: everywhere, initial: false, summary: "Whether pages keep their date." }),
    ssi_value_length: size({
      contexts: everywhere,
      initial: 255,
      initialText: "255",
      summary: "The longest value of a command's parameter.",
      syntax: "length",
    }),
    ssi_min_file_chunk: size({
      contexts: everywhere,
      initial: 1024,
      initialText: "1k",
      summary: "Accepted.",
      deviation: "pages are read into memory piece by piece, and sent from there",
    }),
    ssi_ignore_recycled_buffers: flag({
      contexts: everywhere,
      initial: false,
      summary: "Accepted.",
      deviation: "buffers are not a page's matter",
    }),
  },
  variables: {
    date_local: date("The time, in this machine's zone; `config timefmt` says how it looks.", true),
    date_gmt: date("The time in GMT; `config timefmt` says how it looks.", false),
  },
  compile(conf, { setup }) {
    if (!conf.ssi) return {};
    const pageConf: PageConf = { silentErrors: conf.ssi_silent_errors, variable: readers(setup.variables) };
    return {
      filter(exchange, reply) {
        if (isEmpty(reply) || !isOfType(conf.ssi_types, reply.head.headers)) return;
        const headers = dropLength(reply);
        if (exchange.parent === undefined) dropValidators(headers, conf.ssi_last_modified);
        const page = new Page(exchange, shared(exchange), pageConf);
        exchange.setNote(pageOf, page);
        const scanner = new Scanner(conf.ssi_value_length, (message) => exchange.log("error", message));
        const source = new PageBody(reply.body, scanner, page);
        // A page that fails as a whole (a variable that is too large) shall not look like the beginning of one.
        reply.headWaits = true;
        reply.body = { kind: "stream", source: exchange.parent === undefined ? postponed(source) : source };
      },
    };
  },
});
