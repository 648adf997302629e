/** What becomes of a reply's fields when a filter changes its content. */
import type { Headers } from "../http/headers.ts";
import { ownHeaders, type Reply } from "../http/message.ts";

/** There is nothing in it that a filter could change. */
export const isEmpty = ({ head, body }: Reply): boolean =>
  body.kind === "empty" || head.headers.get("content-length") === "0";

/** The content will have another length: returns the fields, to be changed further. Parts of the old one are none of the new one. */
export function dropLength(reply: Reply): Headers {
  const headers = ownHeaders(reply.head);
  headers.delete("content-length");
  headers.delete("accept-ranges");
  return headers;
}

/** The content means the same, but its bytes are others (RFC 9110 8.8.1). */
export function weakenTag(headers: Headers): void {
  const tag = headers.get("etag");
  if (tag === undefined || tag.startsWith("W/")) return;
  if (tag.startsWith('"')) headers.set("ETag", `W/${tag}`);
  else headers.delete("etag");
}

/** What is made anew for each request has no date and no tag, unless the configuration wants to keep the date. */
export function dropValidators(headers: Headers, keepsDate: boolean): void {
  if (keepsDate) {
    weakenTag(headers);
    return;
  }
  headers.delete("last-modified");
  headers.delete("etag");
}
