/** Requests that are parts of others: SSI's includes, auth_request, mirror, add_before_body. They see what their parent sees. */
import type { Reply } from "../http/message.ts";
import { errorReply } from "./error_page.ts";
import { Exchange } from "./exchange.ts";
import { filter, respond, respondAgain } from "./pipeline.ts";

/** A page may include a page that includes … */
const maxDepth = 50;
/** … and each of them twice: a page that includes itself must come to an end. */
const maxParts = 64_535;
const partsSoFar = Symbol("subrequests so far");

export interface SubrequestOptions {
  /** Default: GET. */
  readonly method?: string;
  /** The parent's body goes with it (mirror). */
  readonly withBody?: boolean;
  /** Errors stay what they are: no `error_page` takes their place. */
  readonly keepsErrors?: boolean;
  /** May change the reply before its location's filters see it. */
  readonly before?: (reply: Reply) => void;
  /**
   * The parent's own content once more: only its content handler is asked, with its method, and no filter sees the reply.
   * Since there may be very many of them, the caller ends each exchange itself.
   */
  readonly again?: boolean;
  /** Called before it begins. */
  readonly prepare?: (exchange: Exchange) => void;
}

export interface Subrequest {
  readonly exchange: Exchange;
  /** As the filters of its own location have made it. Its body is the caller's to read, or to drop (`dropBody`). */
  readonly reply: Promise<Reply>;
}

/** Asks the same server for another URI, which must be normalised. Never rejects: what fails is an error's reply. */
export function subrequest(parent: Exchange, uri: string, args: string, options: SubrequestOptions = {}): Subrequest {
  const { request, client, server, body } = parent;
  const exchange = new Exchange(
    {
      request,
      client,
      server,
      body: options.withBody === true ? body : undefined,
      startedAt: performance.now(),
      parent,
    },
    uri,
    args,
  );
  exchange.method = options.method ?? "GET";
  exchange.internal = true;
  if (options.keepsErrors === true) exchange.inErrorPage = true;
  if (options.again === true) {
    exchange.method = parent.method;
    exchange.location = parent.location;
    exchange.captures = parent.captures;
  }
  // Slices are no parts of their own: a content may have as many as it likes.
  else parent.main.setNote(partsSoFar, (parent.main.note<number>(partsSoFar) ?? 0) + 1);
  options.prepare?.(exchange);
  return { exchange, reply: run(exchange, options) };
}

/** Are there not too many levels already, or too many parts of one response? */
export const maySubrequest = (parent: Exchange): boolean =>
  depth(parent) < maxDepth && (parent.main.note<number>(partsSoFar) ?? 0) < maxParts;

async function run(exchange: Exchange, { before, again = false }: SubrequestOptions): Promise<Reply> {
  const reply = depth(exchange) > maxDepth ? tooDeep(exchange) : await answered(exchange, again);
  before?.(reply);
  if (again) exchange.reply = reply;
  else filter(exchange, reply);
  for (const log of exchange.location.logs) log(exchange);
  if (!again) exchange.main.atEnd(() => exchange.end());
  return reply;
}

async function answered(exchange: Exchange, again: boolean): Promise<Reply> {
  try {
    return await (again ? respondAgain(exchange) : respond(exchange));
  } catch (error) {
    exchange.log("error", error instanceof Error ? error.message : String(error));
    return errorReply(500);
  }
}

function tooDeep(exchange: Exchange): Reply {
  exchange.log("error", `subrequests cycle while processing "${exchange.uri}"`);
  return errorReply(500);
}

function depth({ parent }: Exchange): number {
  return parent === undefined ? 0 : 1 + depth(parent);
}
