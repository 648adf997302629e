/** Replies of our own making, and what becomes of those that will not be sent. */
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, type Reply, type ResponseHead } from "../http/message.ts";
import type { Exchange } from "./exchange.ts";

/** Lets go of a body: HEAD, a reply that a filter replaced, a client that left. `reason`: for the source's owner. */
export function dropBody(body: Body, reason: string): void {
  if (body.kind === "file") body.file.release();
  else if (body.kind === "stream") body.source.cancel(reason);
}

/** Another status; a reason phrase that somebody chose for the old one goes with it. */
export function setStatus(head: ResponseHead, status: number): void {
  if (head.status === status) return;
  head.status = status;
  delete head.reason;
}

/** Makes a reply say something else. */
export function replaceReply(reply: Reply, by: Reply): void {
  dropBody(reply.body, `replaced by ${by.head.status}`);
  setStatus(reply.head, by.head.status);
  reply.head.headers = by.head.headers;
  reply.body = by.body;
}

/** A short text, of the type that the location gives to the path's name. */
export function textReply(exchange: Exchange, status: number, text: string): Reply {
  const bytes = Buffer.from(text, "latin1");
  const headers = new Headers();
  // RFC 9110 15.3.5, 15.4.5: no content, and no type of it.
  if (status !== 204 && status !== 304) {
    headers.add("Content-Type", exchange.location.contentType(exchange.uri));
    headers.add("Content-Length", String(bytes.length));
  }
  return { head: { status, headers }, body: bytes.length === 0 ? emptyBody : { kind: "bytes", bytes } };
}
