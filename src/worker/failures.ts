/** What goes wrong with a request: how it is logged, and the status that its client gets. */
import type { ProtocolError } from "../http/engine.ts";
import { HttpFailure } from "../http/message.ts";
import type { Exchange } from "../web/exchange.ts";

/** A handler has failed. Returns the status of the answer. */
export function failureStatus(exchange: Exchange, error: unknown): number {
  if (!(error instanceof HttpFailure)) {
    // Our own fault: caught here and nowhere else.
    exchange.log("crit", error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 500;
  }
  const { status, message } = error;
  exchange.log(status >= 500 || status === 413 ? "error" : "info", message);
  // Part of the body is missing or unread: nobody knows where the next request would begin.
  exchange.closes = true;
  return status;
}

/** The client is too slow. */
export const timedOut = (doing: string): string => `client timed out (110: Connection timed out) while ${doing}`;

/** … with its request (RFC 9110 15.5.9). */
export const requestTimeout = (part: "headers" | "body"): ProtocolError => ({
  status: 408,
  rule: "RFC 9110 15.5.9",
  detail: timedOut(`reading client request ${part}`),
});
