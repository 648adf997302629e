/** ngx_http_try_files_module: the first of several names that is there, or else another place to go. */
import { ConfigError } from "../../config/statement.ts";
import { context, type Directive, duplicate } from "../directive.ts";
import { requestPath } from "../documents.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { FileFailure } from "../file_access.ts";
import { defineModule } from "../module.ts";
import type { Answer, Handler } from "../pipeline.ts";
import type { Template } from "../template.ts";

interface Candidate {
  readonly name: Template;
  /** It was written with a slash at the end: a directory is looked for. */
  readonly isDirectory: boolean;
}

interface TryFiles {
  readonly candidates: readonly Candidate[];
  /** Where to go if none is there: a status, or a URI or `@name`. */
  readonly fallback: number | Template;
}

const row: Directive<TryFiles | undefined> = {
  summary:
    "The files (with a slash: directories) that are looked for, in this order; the last is where to go if none is there.",
  syntax: "file … uri | file … =code",
  contexts: context.server | context.location,
  args: [2, Number.POSITIVE_INFINITY],
  initial: undefined,
  inherit: "never",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at } = statement;
    const candidates = args.slice(0, -1).map((word): Candidate => {
      const isDirectory = word.endsWith("/");
      return { name: setup.template(isDirectory ? word.slice(0, -1) : word, at), isDirectory };
    });
    const last = args.at(-1) ?? "";
    if (!last.startsWith("=")) return { candidates, fallback: setup.template(last, at) };
    if (!/^=\d{1,3}$/.test(last)) throw new ConfigError(`invalid code "${last}"`, at);
    return { candidates, fallback: Number(last.slice(1)) };
  },
};

function tryFiles({ candidates, fallback }: TryFiles): Handler {
  return (exchange) => {
    const { documents, fileAccess } = exchange.location;
    if (requestPath(exchange) === undefined) return errorReply(500);
    const root = documents.root(exchange);
    for (const { name: template, isDirectory } of candidates) {
      const name = nameOf(exchange, template);
      const found = fileAccess.stat(exchange, root + name);
      if (found instanceof FileFailure) {
        if (!found.isAbsence) exchange.log("crit", found.about(root + name));
      } else if (found.isDirectory() === isDirectory) {
        take(exchange, name, isDirectory);
        return undefined;
      }
    }
    return typeof fallback === "number" ? errorReply(fallback) : goTo(nameOf(exchange, fallback));
  };
}

/** A name below the root. An `alias` stands for its location's path: where variables bring that along, it is taken off. */
function nameOf(exchange: Exchange, template: Template): string {
  const name = template.value(exchange);
  const prefix = exchange.location.documents.alias?.prefix ?? "";
  if (prefix === "" || template.constant !== undefined) return name;
  return name.startsWith(exchange.uri.slice(0, prefix.length)) ? name.slice(prefix.length) : name;
}

/** The URI becomes that of what was found. */
function take(exchange: Exchange, name: string, isDirectory: boolean): void {
  const { alias } = exchange.location.documents;
  if (alias === undefined) exchange.uri = name === "" ? "/" : name;
  else if (alias.prefix !== "") exchange.uri = exchange.uri.slice(0, alias.prefix.length) + name;
  else if (!isDirectory) {
    exchange.uri = name;
    exchange.addsUriToAlias = true;
  }
}

function goTo(place: string): Answer {
  if (place.startsWith("@")) return { to: "named", name: place.slice(1) };
  const question = place.indexOf("?");
  return question < 0
    ? { to: "uri", uri: place, args: "" }
    : { to: "uri", uri: place.slice(0, question), args: place.slice(question + 1) };
}

export const tryFilesModule = defineModule({
  name: "try_files",
  directives: { try_files: row },
  compile: ({ try_files }) => (try_files === undefined ? {} : { precontent: tryFiles(try_files) }),
});
