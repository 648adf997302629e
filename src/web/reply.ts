/** What to do with a reply, or its body, that will not be sent. */
import type { Body, Reply } from "../http/message.ts";

/** Lets go of a body: HEAD, a reply that a filter replaced, a client that left. `reason`: for the source's owner. */
export function dropBody(body: Body, reason: string): void {
  if (body.kind === "file") body.file.release();
  else if (body.kind === "stream") body.source.cancel(reason);
}

/** Makes a reply say something else. */
export function replaceReply(reply: Reply, by: Reply): void {
  dropBody(reply.body, `replaced by ${by.head.status}`);
  reply.head.status = by.head.status;
  reply.head.headers = by.head.headers;
  reply.body = by.body;
}
