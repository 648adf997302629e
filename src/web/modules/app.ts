/** Content handler: gives the request to the Python application behind a dispatcher. */
import { Call } from "../../app/call.ts";
import type { Dispatcher } from "../../app/dispatch.ts";
import { writeEnviron } from "../../app/environ.ts";
import { pathEncoded } from "../../app/frames.ts";
import type { Reply } from "../../http/message.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { forwardedScheme } from "../forwarded.ts";
import { decodePath } from "../path.ts";
import type { Handler } from "../pipeline.ts";
import type { BufferedBody } from "../request_body.ts";

/** RFC 9110 9.2.1 */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);

/** `app_pass`: the application answers. */
export function appPass(app: Dispatcher): Handler {
  return (exchange) => {
    const scheme = forwardedScheme(exchange.request, exchange.ends);
    if (scheme === undefined) return errorReply(400);
    if (exchange.body === undefined) return call(app, exchange, scheme, undefined);
    return exchange.body.read().then((body) => call(app, exchange, scheme, body));
  };
}

function call(
  app: Dispatcher,
  exchange: Exchange,
  scheme: "http" | "https",
  body: BufferedBody | undefined,
): Promise<Reply> {
  const { request, ends, uri } = exchange;
  const { method } = request;
  // The application sees the path as sent, decoded but not normalised: as it does behind Nginx.
  const decoded = uri === request.path ? uri : (decodePath(request.path) ?? uri);
  const encoded = decoded.includes("\n");
  const facts = { path: encoded ? request.path : decoded, scheme, bodyLength: body === undefined ? 0 : lengthOf(body) };
  const safe = body === undefined && safeMethods.has(method);
  const made = new Call(
    request,
    safe,
    (to) => writeEnviron(to, request, ends, facts),
    contentOf(body),
    encoded ? pathEncoded : 0,
  );
  exchange.onGone = () => made.cancel();
  app.submit(made);
  return made.reply;
}

const lengthOf = (body: BufferedBody): number => (body.kind === "bytes" ? body.bytes.length : body.length);

/** Inline, or a path under which the worker can open the file that has no name. */
function contentOf(body: BufferedBody | undefined): Uint8Array | string | undefined {
  if (body === undefined) return undefined;
  return body.kind === "bytes" ? body.bytes : `/proc/${process.pid}/fd/${body.fd}`;
}
