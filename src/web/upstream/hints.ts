/** Interim responses of upstreams that clients want to see: 103 Early Hints (RFC 8297). */
import type { ReceivedHead } from "../../http/h1/client.ts";
import type { Exchange } from "../exchange.ts";

/** Passes a 103 on, where `early_hints` lets it. */
export function acceptedHints(exchange: Exchange, { status, headers }: ReceivedHead): void {
  if (status !== 103 || exchange.reply !== undefined || exchange.location.earlyHints?.(exchange) !== true) return;
  const own = headers.copy();
  for (const name of ["connection", "content-length", "transfer-encoding", "keep-alive", "date", "server"])
    own.delete(name);
  exchange.wire?.sendInterim({ status, headers: own });
}
