/** From blocks to what a request walks through: servers, locations, phases, filters. What is not configured is not there. */
import type { Block } from "./build.ts";
import { accessDirectives, accessPhase } from "./core/access.ts";
import { compileDocuments, documentDirectives } from "./core/documents.ts";
import { makeErrorLog } from "./core/error_log.ts";
import { compileErrorPages, errorDirectives } from "./core/errors.ts";
import { httpDirectives, type LocationMatch, type NamedServer } from "./core/http.ts";
import { clientLimits, limitDirectives } from "./core/limits.ts";
import { mainDirectives } from "./core/main.ts";
import { compileFileAccess, openFileDirectives } from "./core/open_files.ts";
import { contentTypes, typeDirectives } from "./core/types.ts";
import { context, type Directives } from "./directive.ts";
import { errorReply, redirectPage } from "./error_page.ts";
import type { Exchange } from "./exchange.ts";
import { type LocationEntry, Locations } from "./locations.ts";
import type { Compiling, Module, Parts, Runtime } from "./module.ts";
import { encodePath } from "./path.ts";
import type { Filter, Handler, Location, Server } from "./pipeline.ts";
import type { Setup } from "./setup.ts";
import { securityOf } from "./tls/server_security.ts";

export class Compiler {
  readonly #modules: readonly Module<Directives>[];
  readonly #setup: Setup;
  readonly #runtime: Runtime;
  readonly #locations = new Map<Block, { readonly location: Location; readonly parts: readonly Parts[] }>();
  readonly #style: "nginx" | "gunicorn";

  /** `modules` in the order of `order.ts`. */
  constructor(modules: readonly Module<Directives>[], main: Block, setup: Setup, runtime: Runtime) {
    this.#modules = modules;
    this.#setup = setup;
    this.#runtime = runtime;
    this.#style = main.conf(mainDirectives).error_log_style;
  }

  server(block: Block): Server {
    const { location: root, parts } = this.#compiled(block);
    const inner = this.#locationsIn(block);
    const named = new Map<string, Location>();
    for (const child of block.childrenOf(context.location)) {
      const match = child.own("location match") as LocationMatch;
      if (match.kind === "named") named.set(match.name, this.location(child));
    }
    const [first] = block.conf(httpDirectives).server_name as readonly NamedServer[];
    return {
      name: first?.text ?? "",
      // A server's own script has run when a request comes to what is outside of its locations.
      root: { ...root, rewrite: undefined },
      security: securityOf(block),
      handlers: present([...parts.map(({ postRead }) => postRead), ...parts.map(({ rewrite }) => rewrite)]),
      find(exchange) {
        exchange.location = this.root;
        const found = inner?.find(exchange);
        return typeof found === "object" ? found : undefined;
      },
      named: (name) => named.get(name),
    };
  }

  location(block: Block): Location {
    return this.#compiled(block).location;
  }

  #locationsIn(block: Block): Locations | undefined {
    const entries: LocationEntry[] = [];
    for (const child of block.childrenOf(context.location)) {
      const match = child.own("location match") as LocationMatch;
      if (match.kind === "named") continue;
      const { location, parts } = this.#compiled(child);
      const addsSlash = parts.some((each) => each.addsSlash === true);
      entries.push({ match, location, inner: this.#locationsIn(child), addSlash: addsSlash ? addSlash : undefined });
    }
    return entries.length === 0 ? undefined : new Locations(entries);
  }

  #compiled(block: Block): { readonly location: Location; readonly parts: readonly Parts[] } {
    const known = this.#locations.get(block);
    if (known !== undefined) return known;
    const at: Compiling = {
      setup: this.#setup,
      runtime: this.#runtime,
      block,
      locationOf: (inner) => this.location(inner),
    };
    const parts = this.#modules.map((module) => module.compile?.(block.conf(module.directives), at) ?? {});
    const made = { location: this.#assemble(block, parts), parts };
    this.#locations.set(block, made);
    return made;
  }

  #assemble(block: Block, parts: readonly Parts[]): Location {
    const errors = block.conf(errorDirectives);
    const http = block.conf(httpDirectives);
    const excepting = block.childrenOf(context.limitExcept)[0];
    return {
      name: nameOf(block),
      rewrite: present(parts.map(({ rewrite }) => rewrite))[0],
      handlers: present([
        ...parts.map(({ preaccess }) => preaccess),
        accessPhase(present(parts.map(({ access }) => access)), block.conf(accessDirectives)),
        ...parts.map(({ precontent }) => precontent),
        ...content(parts),
      ]),
      filters: filtersOf(parts),
      logs: present(parts.map(({ log }) => log)),
      isInternal: http.internal || (block.isUnnamed && block.parent?.conf(httpDirectives).internal === true),
      errorPage: compileErrorPages(errors),
      limits: clientLimits(block.conf(limitDirectives), http.client_header_timeout, this.#setup.configuration.prefix),
      errorLog: this.#errorLog(block),
      redirects: {
        absolute: errors.absolute_redirect,
        serverName: errors.server_name_in_redirect,
        port: errors.port_in_redirect,
      },
      contentType: contentTypes(block.conf(typeDirectives)),
      reasons: http.request_parsing === "nginx" ? nginxReasons : undefined,
      serverToken: errors.server_tokens === "off" ? "alicorn" : this.#runtime.serverToken,
      except:
        excepting === undefined || http.limit_except === undefined
          ? undefined
          : { methods: http.limit_except.methods, location: this.location(excepting) },
      earlyHints: present(parts.map(({ earlyHints }) => earlyHints))[0],
      documents: compileDocuments(block.conf(documentDirectives).root, this.#setup),
      fileAccess: compileFileAccess(block.conf(openFileDirectives)),
      facts: factsOf(parts),
    };
  }

  #errorLog(block: Block): Location["errorLog"] {
    const confs = block.conf(mainDirectives).error_log;
    if (confs.length === 0) return this.#runtime.log;
    return makeErrorLog(
      confs,
      (path) => this.#runtime.logFile(path),
      this.#style === "gunicorn" ? this.#runtime.formatError : undefined,
    );
  }
}

/** What existing set-ups grep for. */
const nginxReasons: Readonly<Record<number, string>> = {
  302: "Moved Temporarily",
  405: "Not Allowed",
  413: "Request Entity Too Large",
  414: "Request-URI Too Large",
  416: "Requested Range Not Satisfiable",
  503: "Service Temporarily Unavailable",
  504: "Gateway Time-out",
};

const present = <T>(all: readonly (T | undefined)[]): T[] => all.filter((each) => each !== undefined);

function filtersOf(parts: readonly Parts[]): Filter[] {
  const isDynamic = parts.some((each) => each.isDynamic === true);
  return present(parts.map(({ filter, fileFilter }) => filter ?? (isDynamic ? undefined : fileFilter)));
}

function factsOf(parts: readonly Parts[]): Location["facts"] {
  const all = present(parts.map(({ facts }) => facts));
  return all.length === 0 ? undefined : new Map(all);
}

/** The location's own handler, or files: what none of them has does not exist. */
function content(parts: readonly Parts[]): Handler[] {
  const own = present(parts.map(({ content }) => content));
  if (own.length > 0) return own.slice(0, 1);
  return [...present(parts.map(({ files }) => files)), () => errorReply(404)];
}

function nameOf(block: Block): string {
  const match = block.own("location match") as LocationMatch | undefined;
  if (match === undefined)
    return block.parent === undefined || block.kind === context.server ? "" : nameOf(block.parent);
  if (match.kind === "named") return `@${match.name}`;
  return match.kind === "regex" ? match.pattern.source : match.path;
}

function addSlash(exchange: Exchange): ReturnType<typeof redirectPage> {
  const { uri, args } = exchange;
  return redirectPage(exchange, 301, `${encodePath(uri)}/${args === "" ? "" : `?${args}`}`);
}
