/** From a request to its reply, however many of its handlers wait, and whatever they throw. */
import type { Reply } from "../http/message.ts";
import type { Exchange } from "../web/exchange.ts";
import { type Answer, type Jump, refuse, settle, walk } from "../web/pipeline.ts";

/** Who sends it. */
export interface Replier {
  onReply(exchange: Exchange, reply: Reply): void;
  /** A handler has failed, or `onReply` has. */
  onFailure(exchange: Exchange, error: unknown): void;
}

/** Asks the request's server. Nothing is thrown, and there is no promise where nobody waits. */
export function answerWith(replier: Replier, exchange: Exchange): void {
  attempt(replier, exchange, walk);
}

/** Answers with the page of a status, or what the configuration has in its place. */
export function refuseWith(replier: Replier, exchange: Exchange, status: number): void {
  attempt(replier, exchange, () => refuse(exchange, status));
}

function attempt(replier: Replier, exchange: Exchange, first: (exchange: Exchange) => Answer): void {
  try {
    const found = first(exchange);
    if (found instanceof Promise) whenKnown(replier, exchange, found, goOn);
    else goOn(replier, exchange, found);
  } catch (error) {
    replier.onFailure(exchange, error);
  }
}

function goOn(replier: Replier, exchange: Exchange, found: Reply | Jump | undefined): void {
  const reply = settle(exchange, found);
  if (reply instanceof Promise) whenKnown(replier, exchange, reply, send);
  else replier.onReply(exchange, reply);
}

const send = (replier: Replier, exchange: Exchange, reply: Reply): void => replier.onReply(exchange, reply);

function whenKnown<T>(
  replier: Replier,
  exchange: Exchange,
  wanted: Promise<T>,
  next: (replier: Replier, exchange: Exchange, found: T) => void,
): void {
  wanted.then(
    (found) => {
      try {
        next(replier, exchange, found);
      } catch (error) {
        replier.onFailure(exchange, error);
      }
    },
    (error) => replier.onFailure(exchange, error),
  );
}
