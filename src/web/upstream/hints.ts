/** What comes before and after an upstream's response: 103 Early Hints (RFC 8297), trailers (RFC 9110 6.5). */
import type { ReceivedHead } from "../../http/h1/client.ts";
import { Headers } from "../../http/headers.ts";
import type { Exchange } from "../exchange.ts";
import { sendEarlyHints } from "../modules/core_response.ts";

/** Of a hop, or about the framing: none of the client's business (RFC 9110 6.5.1, 7.6.1). */
const ownFields = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "upgrade",
  "te",
  "trailer",
]);

function passed(from: Headers, hidden: ReadonlySet<string>): Headers {
  const to = new Headers();
  for (const [i, { lower, raw }] of from.names.entries())
    if (!ownFields.has(lower) && !hidden.has(lower)) to.add(raw, from.values[i] ?? "");
  return to;
}

/** Passes a 103 on, where `early_hints` lets it. */
export function acceptedHints(
  exchange: Exchange,
  { status, headers }: ReceivedHead,
  hidden: ReadonlySet<string>,
): void {
  if (status === 103 && exchange.location.earlyHints?.(exchange) === true)
    sendEarlyHints(exchange, passed(headers, hidden));
}

/** Fields of which there is one: others of the same name are ignored, as Nginx does it. */
const singles = new Set([
  "status",
  "content-type",
  "date",
  "last-modified",
  "etag",
  "server",
  "location",
  "refresh",
  "expires",
  "x-accel-redirect",
  "x-accel-expires",
  "x-accel-limit-rate",
  "x-accel-buffering",
  "x-accel-charset",
]);

/** Takes the second ones away; returns a line for the log about each, if there are any. */
export function dropDuplicates(headers: Headers): readonly string[] | undefined {
  const { names, values } = headers;
  let lines: string[] | undefined;
  for (let i = 1; i < names.length; i++) {
    const { lower, raw } = names[i]!;
    let first = 0;
    while (names[first]!.lower !== lower) first++;
    if (first === i || !singles.has(lower)) continue;
    const before = `${names[first]!.raw}: ${values[first]}`;
    lines ??= [];
    lines.push(`upstream sent duplicate header line: "${raw}: ${values[i]}", previous value: "${before}", ignored`);
    names.splice(i, 1);
    values.splice(i, 1);
    i--;
  }
  return lines;
}

/** The trailers that the client gets. */
export function passedTrailers(trailers: Headers | undefined, hidden: ReadonlySet<string>): Headers | undefined {
  const found = trailers === undefined ? undefined : passed(trailers, hidden);
  return found === undefined || found.size === 0 ? undefined : found;
}
