/** ngx_http_index_module: the file that stands for a directory. The request goes on with its name. */
import { ConfigError } from "../../config/statement.ts";
import { errorDirectives } from "../core/errors.ts";
import { type Directive, everywhere } from "../directive.ts";
import { requestPath } from "../documents.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { FileFailure } from "../file_access.ts";
import { defineModule } from "../module.ts";
import type { Answer, Handler } from "../pipeline.ts";
import type { Template } from "../template.ts";

/** undefined: nothing said, so it is index.html. */
const indexRow: Directive<readonly Template[] | undefined> = {
  summary:
    "The files that are looked for, in this order, where a path names a directory; the last may be a path of its own.",
  syntax: "file …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: undefined,
  initialText: "index.html",
  parse({ args, at }, before = [], { setup }) {
    for (const [i, name] of args.entries()) {
      if (name === "") throw new ConfigError(`index "${name}" in "index" directive is invalid`, at);
      if (name.startsWith("/") && i < args.length - 1)
        setup.warn('only the last index in "index" directive should be absolute', at);
    }
    return [...before, ...args.map((name) => setup.template(name, at))];
  },
};

const usual: readonly Pick<Template, "value">[] = [{ value: () => "index.html" }];

function indexHandler(names: readonly Pick<Template, "value">[], logsAbsence: boolean): Handler {
  return (exchange) => {
    const { uri, method } = exchange;
    if (uri.charCodeAt(uri.length - 1) !== 0x2f) return undefined;
    if (method !== "GET" && method !== "HEAD" && method !== "POST") return undefined;
    return new Search(exchange, logsAbsence).first(names);
  };
}

/** One request's look for an index. */
class Search {
  readonly #exchange: Exchange;
  readonly #logsAbsence: boolean;
  #directory: string | undefined;
  #isTested = false;

  constructor(exchange: Exchange, logsAbsence: boolean) {
    this.#exchange = exchange;
    this.#logsAbsence = logsAbsence;
  }

  first(names: readonly Pick<Template, "value">[]): Answer {
    const { uri, args } = this.#exchange;
    for (const template of names) {
      const name = template.value(this.#exchange);
      if (name.startsWith("/")) return { to: "uri", uri: name, args };
      const answer = this.#try(name);
      if (answer === true) return { to: "uri", uri: uri + name, args };
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** true: it is there; undefined: try the next. */
  #try(name: string): true | Answer {
    const exchange = this.#exchange;
    this.#directory ??= requestPath(exchange);
    if (this.#directory === undefined) return errorReply(500);
    const path = this.#directory + name;
    const found = exchange.location.fileAccess.stat(exchange, path);
    if (!(found instanceof FileFailure)) return true;
    if (found.isLink) return errorReply(403);
    if (found.code === "EACCES" || (found.isAbsence && found.code !== "ENOENT")) return this.#fail(path, found);
    const answer = this.#testDirectory(path);
    if (answer !== undefined || found.code === "ENOENT") return answer;
    exchange.log("crit", found.about(path));
    return errorReply(500);
  }

  /** Is there no such file, or no such directory? The first time only. */
  #testDirectory(path: string): Answer {
    if (this.#isTested) return undefined;
    this.#isTested = true;
    const exchange = this.#exchange;
    const directory = (this.#directory ?? "").replace(/(?<=.)\/$/s, "");
    const found = exchange.location.fileAccess.stat(exchange, directory);
    if (!(found instanceof FileFailure)) {
      // A file in the place of the directory: the runtime does not tell that from a missing one.
      return found.isDirectory() ? undefined : this.#fail(path, notDirectory);
    }
    if (found.isLink) return errorReply(403);
    // Nobody may list it, but names in it may be asked for: that has just been done.
    if (found.code === "EACCES") return undefined;
    if (found.isAbsence) return this.#fail(path, found);
    exchange.log("crit", found.about(directory));
    return errorReply(500);
  }

  #fail(path: string, failure: FileFailure): Answer {
    if (failure.code === "EACCES") {
      this.#exchange.log("error", `"${path}" is forbidden ${failure.reason}`);
      return errorReply(403);
    }
    if (this.#logsAbsence) this.#exchange.log("error", `"${path}" is not found ${failure.reason}`);
    return errorReply(404);
  }
}

const notDirectory = FileFailure.of("stat()", "ENOTDIR");

export const indexModule = defineModule({
  name: "index",
  directives: { index: indexRow },
  compile: ({ index = usual }, { block }) => ({
    files: indexHandler(index, block.conf(errorDirectives).log_not_found),
  }),
});
