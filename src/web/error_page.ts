/** Pages for replies that have no content of their own. They tell the status and nothing about us: no version, no path, no cause. */

import { reasons } from "../http/h1/reasons.ts";
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, ownHeaders, type Reply } from "../http/message.ts";
import type { Exchange } from "./exchange.ts";
import { redirectTarget } from "./redirect.ts";

interface Page {
  readonly headers: Headers;
  readonly body: Body;
}

const pages = new Map<number, Page>();

/** The page of a status; made once, shared by all replies that show it. */
function page(status: number): Page {
  const known = pages.get(status);
  if (known !== undefined) return known;
  const made = makePage(status);
  pages.set(status, made);
  return made;
}

function makePage(status: number): Page {
  // RFC 9110 15.3.5, 15.3.6, 15.4.5: no content.
  if (status === 204 || status === 205 || status === 304) return { headers: shared(new Headers()), body: emptyBody };
  const bytes = Buffer.from(markup(wireStatus(status), reasons[status] ?? internalReasons[status] ?? "Error"));
  const headers = Headers.of(["Content-Type", "text/html; charset=utf-8"], ["Content-Length", String(bytes.length)]);
  return { headers: shared(headers), body: { kind: "bytes", bytes } };
}

function shared(headers: Headers): Headers {
  headers.shared = true;
  return headers;
}

const markup = (status: number, reason: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${status} ${reason}</title>
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif }
body { margin: 20vh auto 0; padding: 0 1em; max-width: 30em; text-align: center }
h1 { font-size: 4em; font-weight: 300; margin: 0 }
</style>
</head>
<body>
<h1>${status}</h1>
<p>${reason}</p>
</body>
</html>
`;

// Nginx's own numbers, which error_page can be told of: all of them are 400 on the wire.
const internalReasons: Readonly<Record<number, string>> = {
  494: "Request Header Or Cookie Too Large",
  495: "The SSL certificate error",
  496: "No required SSL certificate was sent",
  497: "The plain HTTP request was sent to HTTPS port",
};

/** The status that the client gets for one of ours. */
export const wireStatus = (status: number): number => (status >= 494 && status <= 497 ? 400 : status);

/** A reply that is only its status, with a page that says so in words. `fields`: further ones, such as Allow. */
export function errorReply(status: number, ...fields: readonly (readonly [name: string, value: string])[]): Reply {
  const { headers, body } = page(status);
  const head = { status, headers };
  for (const [name, value] of fields) ownHeaders(head).add(name, value);
  return { head, body, isPage: true };
}

/** Sends the client elsewhere. `to` must be fit for a field value: see `encodePath` and `encodeQuery`. */
export function redirectPage(exchange: Exchange, status: number, to: string): Reply {
  return errorReply(status, ["Location", fieldSafe(redirectTarget(exchange, to))]);
}

// What a configuration puts together from a client's words must not end the field (RFC 9110 5.5).
const fieldSafe = (text: string): string => text.replace(/[\x00-\x1f\x7f]/g, (char) => encodeURIComponent(char));
