/**
 * The corridor in one screen: a location's handlers answer in the order of Nginx's phases, its filters change the answer.
 *
 * What a handler returns decides what happens next; nothing else does. Only who really waits returns a promise.
 */
import type { ErrorLog } from "../base/error_log.ts";
import { ownHeaders, type Reply } from "../http/message.ts";
import type { Documents } from "./documents.ts";
import { errorReply, wireStatus } from "./error_page.ts";
import type { Exchange } from "./exchange.ts";
import type { FileAccess } from "./file_access.ts";
import type { ClientLimits } from "./limits.ts";
import type { RedirectConf } from "./redirect.ts";
import { setStatus } from "./reply.ts";
import type { ServerSecurity } from "./tls/server_security.ts";

/**
 * Walk again from another place. "location": `exchange.uri` has changed, another location may be its own (`rewrite … last`).
 * "uri": an internal redirect (error_page, try_files, index). "named": `@name`.
 */
export type Jump =
  | { readonly to: "location" }
  | { readonly to: "uri"; readonly uri: string; readonly args: string }
  | { readonly to: "named"; readonly name: string };

/** undefined: not mine, ask the next. A Reply: mine, here it is. A Promise only where somebody waits. */
export type Answer = Reply | Jump | undefined | Promise<Reply | Jump | undefined>;
export type Handler = (exchange: Exchange) => Answer;

/** The access phase: "allow" is a yes that counts for `satisfy any`; undefined has no opinion; a Reply refuses. */
export type Verdict = "allow" | undefined | Reply;
export type AccessHandler = (exchange: Exchange) => Verdict | Promise<Verdict>;

/** Sees, and may change, a reply: its head, and its body by putting another in its place. */
export type Filter = (exchange: Exchange, reply: Reply) => void;

/** Called when a request has ended; `exchange.reply`, `bytesSent` and the rest tell how. */
export type LogHandler = (exchange: Exchange) => void;

/** A location as compiled from the configuration: only what is switched on. */
export interface Location {
  /** As in the configuration: "/static/", "~ \.php$", "@app"; "" for a server's own. */
  readonly name: string;
  /** `if`, `set`, `rewrite`, `return`; may put another location into the exchange (`if`). */
  readonly rewrite: Handler | undefined;
  /** Those after it, from preaccess to content. The last one always answers. */
  readonly handlers: readonly Handler[];
  readonly filters: readonly Filter[];
  readonly logs: readonly LogHandler[];
  /** Answers only who was led here by us. */
  readonly isInternal: boolean;
  /** What `error_page` says about a page; undefined: it stays. */
  readonly errorPage: ((exchange: Exchange, page: Reply) => Reply | Jump | undefined) | undefined;
  readonly limits: ClientLimits;
  readonly errorLog: ErrorLog;
  readonly redirects: RedirectConf;
  /** The media type of a path (`types`, `default_type`). */
  contentType(path: string): string;
  /** Reason phrases that differ from the registry's: Nginx has its own for some; undefined: none do. */
  readonly reasons: Readonly<Record<number, string>> | undefined;
  /** The Server field; undefined: the engine's own. */
  readonly serverToken: string | undefined;
  /** `limit_except`: what holds for other methods than these. */
  readonly except: { readonly methods: ReadonlySet<string>; readonly location: Location } | undefined;
  /** Are Early Hints passed on (`early_hints`)? undefined: never. */
  readonly earlyHints: ((exchange: Exchange) => boolean) | undefined;
  /** Where files are: `root`, `alias`. */
  readonly documents: Documents;
  /** How files are looked at: `disable_symlinks`, `open_file_cache`. */
  readonly fileAccess: FileAccess;
  /** What modules want to know here, by keys of their own; undefined: none does. */
  readonly facts: ReadonlyMap<symbol, unknown> | undefined;
}

/** A server as compiled: its names are its listeners' matter. */
export interface Server {
  /** Its first name: $server_name. */
  readonly name: string;
  /** What holds outside of its locations. */
  readonly root: Location;
  /** The phases before a location is chosen. */
  readonly handlers: readonly Handler[];
  /** How it holds handshakes; undefined: it has nothing to do with TLS. */
  readonly security?: ServerSecurity | undefined;
  /** Puts the location for `exchange.uri` into the exchange, or answers at once (a missing slash at the end). */
  find(exchange: Exchange): Reply | undefined;
  named(name: string): Location | undefined;
}

/** Walks a request through its server to a reply, with all jumps and error pages on the way. */
export const respond = (exchange: Exchange): Reply | Promise<Reply> => settle(exchange, walk(exchange));

/** The first answer to a request; `settle` makes a reply of it. Apart, they spare each request of an application a promise. */
export function walk(exchange: Exchange): Answer {
  const { refusal } = exchange;
  if (refusal === undefined) return fromServer(exchange, 0);
  exchange.log("info", refusal.why);
  return refuse(exchange, refusal.status);
}

/** Asks only the content handler of the exchange's location, which has answered its parent before. */
export function respondAgain(exchange: Exchange): Reply | Promise<Reply> {
  return settle(exchange, answer(exchange, exchange.location.handlers.length - 1));
}

/** Walks it to a reply from another place, as if a handler had led there. */
export const lead = (exchange: Exchange, to: Jump): Reply | Promise<Reply> => settle(exchange, to);

/** What a client gets whose request cannot be answered: the page of a status, or what the configuration has in its place. */
export function refuse(exchange: Exchange, status: number): Reply | Promise<Reply> {
  if (closing.has(status)) exchange.closes = true;
  return settle(exchange, errorReply(status));
}

// Nobody knows where the next request would begin, or the client would only go on (RFC 9112 9.6).
const closing = new Set([400, 408, 413, 414, 417, 421, 431, 494, 495, 496, 497, 500, 501, 505]);

/** From the server's own handlers, the `from`-th on. */
function fromServer(exchange: Exchange, from: number): Answer {
  const { handlers } = exchange.server;
  for (let i = from; i < handlers.length; i++) {
    const found = handlers[i]!(exchange);
    if (found === undefined) continue;
    if (found instanceof Promise) return found.then((later) => later ?? fromServer(exchange, i + 1));
    return found;
  }
  return fromLocation(exchange);
}

function fromLocation(exchange: Exchange): Answer {
  const found = exchange.server.find(exchange);
  if (found !== undefined) return found;
  const { except } = exchange.location;
  if (except !== undefined && !except.methods.has(exchange.method)) exchange.location = except.location;
  if (exchange.location.isInternal && !exchange.internal) return errorReply(404);
  return tooLarge(exchange) ?? inLocation(exchange);
}

/** A body that is known to be too large is refused before anybody reads it (RFC 9110 15.5.14). */
function tooLarge(exchange: Exchange): Reply | undefined {
  const { bodyLength } = exchange.request;
  const most = exchange.location.limits.maxBodyBytes;
  if (bodyLength <= most || most === 0 || exchange.internal) return undefined;
  exchange.log("error", `client intended to send too large body: ${bodyLength} bytes`);
  return errorReply(413);
}

function inLocation(exchange: Exchange): Answer {
  const { rewrite } = exchange.location;
  const found = rewrite?.(exchange);
  if (found instanceof Promise) return found.then((later) => later ?? answer(exchange, 0));
  return found ?? answer(exchange, 0);
}

/** Asks the location's handlers in order, starting at `from`, until one answers. */
export function answer(exchange: Exchange, from: number): Answer {
  const { handlers, name } = exchange.location;
  const last = handlers.length - 1;
  for (let i = from; i <= last; i++) {
    const found = handlers[i]!(exchange);
    if (found === undefined) continue;
    // A promise on top of the last handler's would cost every request of an application 100 ns.
    if (!(found instanceof Promise) || i === last) return found;
    return found.then((later) => later ?? answer(exchange, i + 1));
  }
  throw new Error(`location "${name}" has no content handler`);
}

/** Jumps until there is a reply that stays. */
export function settle(exchange: Exchange, found: Answer): Reply | Promise<Reply> {
  let now = found;
  for (;;) {
    if (now instanceof Promise) return now.then((later) => settle(exchange, later));
    if (now === undefined) throw new Error(`location "${exchange.location.name}" gave no answer`);
    if ("head" in now) {
      const instead = now.isPage === true ? exchange.location.errorPage?.(exchange, now) : undefined;
      if (instead === undefined) return finished(exchange, now);
      now = instead;
    } else now = jump(exchange, now);
  }
}

/** This is what the client gets: with the status that led to an error page, if one is shown. */
function finished(exchange: Exchange, reply: Reply): Reply {
  if (exchange.errorStatus !== 0 && reply.isPage !== true) {
    setStatus(reply.head, exchange.errorStatus);
    // The date of an error's page is not that of what was asked for.
    if (exchange.errorStatus !== 200) ownHeaders(reply.head).delete("last-modified");
  }
  const { carriedFields } = exchange;
  if (carriedFields !== undefined) {
    const headers = ownHeaders(reply.head);
    // A redirect of its own stands above the one that it is the page of.
    const added = carriedFields.filter(([name]) => name !== "Location" || !headers.has("location"));
    for (const [name] of added) headers.delete(name.toLowerCase());
    for (const [name, value] of added) headers.add(name, value);
  }
  setStatus(reply.head, wireStatus(reply.head.status));
  return reply;
}

function jump(exchange: Exchange, to: Jump): Answer {
  exchange.jumpsLeft--;
  if (exchange.jumpsLeft < 0) {
    const doing =
      to.to === "location"
        ? "processing"
        : to.to === "uri"
          ? "internally redirecting to"
          : "redirect to named location";
    const where = to.to === "location" ? exchange.uri : to.to === "uri" ? to.uri : `@${to.name}`;
    exchange.log("error", `rewrite or internal redirection cycle while ${doing} "${where}"`);
    // Another error page would only go round once more.
    exchange.location = exchange.server.root;
    exchange.inErrorPage = true;
    return errorReply(500);
  }
  if (to.to === "location") return fromLocation(exchange);
  exchange.internal = true;
  if (to.to === "named") return intoNamed(exchange, to.name);
  exchange.uri = to.uri;
  exchange.args = to.args;
  exchange.rewrittenInPlace = false;
  exchange.addsUriToAlias = false;
  exchange.location = exchange.server.root;
  return fromServer(exchange, 0);
}

function intoNamed(exchange: Exchange, name: string): Answer {
  const location = exchange.server.named(name);
  if (location === undefined) {
    exchange.log("error", `could not find named location "@${name}"`);
    return errorReply(500);
  }
  exchange.location = location;
  return inLocation(exchange);
}

/** Shows the reply to each filter of the location, from the handler's side to the socket's. */
export function filter(exchange: Exchange, reply: Reply): void {
  exchange.reply = reply;
  const { filters } = exchange.location;
  for (let i = 0; i < filters.length; i++) filters[i]!(exchange, reply);
}
