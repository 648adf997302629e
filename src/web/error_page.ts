/** Pages for replies that have no content of their own. They tell the status and nothing about us: no version, no path, no cause. */

import { reasons } from "../http/h1/write.ts";
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, ownHeaders, type Reply } from "../http/message.ts";

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
  const bytes = Buffer.from(markup(status, reasons[status] ?? "Error"));
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

/** A reply that is only its status, with a page that says so in words. `fields`: further ones, such as Allow. */
export function errorReply(status: number, ...fields: readonly (readonly [name: string, value: string])[]): Reply {
  const { headers, body } = page(status);
  const head = { status, headers };
  for (const [name, value] of fields) ownHeaders(head).add(name, value);
  return { head, body };
}

/** Sends the client elsewhere. `location` must be fit for a field value: see `encodePath` and `encodeQuery`. */
export function redirectReply(status: 301 | 302 | 303 | 307 | 308, location: string): Reply {
  return errorReply(status, ["Location", location]);
}
