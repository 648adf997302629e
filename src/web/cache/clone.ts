/** Requests that look like one of a client's, and are not: to renew what it asked for, to find another URI's key. */
import type { RequestHead } from "../../http/message.ts";
import { Exchange } from "../exchange.ts";

/** The same request once more, in the same location, with nobody who waits for it. */
export function clonedFor(exchange: Exchange): Exchange {
  const { request, client, server, uri, args } = exchange;
  const clone = new Exchange(
    { request, client, server, body: undefined, startedAt: performance.now(), parent: exchange },
    uri,
    args,
  );
  clone.location = exchange.location;
  clone.method = exchange.method;
  clone.captures = exchange.captures;
  clone.internal = exchange.internal;
  clone.rewrittenInPlace = exchange.rewrittenInPlace;
  clone.notes = exchange.notes?.copy();
  return clone;
}

/** A GET for another URI in the same location: `target` begins with a slash. */
export function otherUri(exchange: Exchange, path: string, target: string): Exchange {
  const { request, client, server } = exchange;
  const question = target.indexOf("?");
  const query = question < 0 ? "" : target.slice(question + 1);
  const other: RequestHead = {
    method: "GET",
    target,
    path: question < 0 ? target : target.slice(0, question),
    query,
    authority: request.authority,
    version: request.version,
    headers: request.headers,
    bodyLength: 0,
    expectsContinue: false,
    requestLine: `GET ${target} ${request.protocol}`,
    protocol: request.protocol,
    uri: target,
    host: request.host,
    authorityPort: request.authorityPort,
    headLength: request.headLength,
    ignoredLines: [],
  };
  const made = new Exchange(
    { request: other, client, server, body: undefined, startedAt: exchange.startedAt },
    path,
    query,
  );
  made.location = exchange.location;
  return made;
}
