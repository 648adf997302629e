/**
 * What an application says with X-Accel-* fields, obeyed as if it were a server behind `proxy_pass`: an application can be moved from
 * there into this program, with the files that it lets the web server send.
 */
import { ownHeaders, type Reply } from "../../http/message.ts";
import type { Exchange } from "../exchange.ts";
import type { Handler, Jump } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import { obeyAccel, usuallyHidden } from "../upstream/proxy_reply.ts";

const none: ReadonlySet<string> = new Set();

/** The handler, its replies' X-Accel-* fields obeyed and taken away. */
export function obeyingAccel(handler: Handler): Handler {
  return (exchange) => {
    const answer = handler(exchange);
    if (!(answer instanceof Promise)) return answer;
    return answer.then((reply) => (reply !== undefined && "head" in reply ? obeyed(exchange, reply) : reply));
  };
}

function obeyed(exchange: Exchange, reply: Reply): Reply | Jump {
  const { names } = reply.head.headers;
  if (!names.some(({ lower }) => lower.startsWith("x-accel-"))) return reply;
  const instead = obeyAccel(exchange, reply.head.headers, none);
  if (instead !== undefined) {
    dropBody(reply.body, "X-Accel-Redirect");
    return instead;
  }
  const headers = ownHeaders(reply.head);
  for (const name of usuallyHidden) headers.delete(name);
  return reply;
}
