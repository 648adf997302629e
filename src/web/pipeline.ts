/** The corridor in one screen: a location's handlers answer in order, its filters change the answer. */
import type { Reply, Sink } from "../http/message.ts";
import type { Exchange } from "./exchange.ts";

/** Walk again from another place: a rewrite, try_files, error_page, X-Accel-Redirect. */
export interface Jump {
  readonly jumpTo: string;
}

/** undefined: not mine, ask the next. A Reply: mine, here it is. A Promise only where somebody waits. */
export type Answer = Reply | Jump | undefined | Promise<Reply | Jump | undefined>;
export type Handler = (exchange: Exchange) => Answer;

/** Sees (and may change) the head; returns a body filter only if it wants the body. */
export type Filter = (exchange: Exchange, reply: Reply) => BodyFilter | undefined;
export interface BodyFilter {
  push(bytes: Uint8Array, last: boolean, next: Sink): void;
  cancel(): void;
}

/** A location as compiled from the configuration: only what is switched on. */
export interface Location {
  readonly name: string;
  readonly handlers: readonly Handler[];
  readonly filters: readonly Filter[];
}

/** Asks the location's handlers in order, starting at `from`, until one answers. The last one always does. */
export function answer(exchange: Exchange, from = 0): Reply | Jump | Promise<Reply | Jump> {
  const { handlers, name } = exchange.location;
  const last = handlers.length - 1;
  for (let i = from; i <= last; i++) {
    const found = handlers[i]!(exchange);
    if (found === undefined) continue;
    // A promise on top of the last handler's would cost every request of an application 100 ns.
    if (!(found instanceof Promise) || i === last) return found as Reply | Jump | Promise<Reply | Jump>;
    return found.then((later) => later ?? answer(exchange, i + 1));
  }
  throw new Error(`location "${name}" has no content handler`);
}

/** Shows the head to each filter, from the handler's side to the socket's, and strings those that want the body before `out`. */
export function attach(exchange: Exchange, reply: Reply, out: Sink): Sink {
  const { filters } = exchange.location;
  if (filters.length === 0) return out;
  const wanted: BodyFilter[] = [];
  for (const filter of filters) {
    const body = filter(exchange, reply);
    if (body !== undefined) wanted.push(body);
  }
  return wanted.reduceRight<Sink>(
    (next, body) => ({
      push: (bytes, last) => body.push(bytes, last, next),
      fail: (reason) => {
        body.cancel();
        next.fail(reason);
      },
    }),
    out,
  );
}
