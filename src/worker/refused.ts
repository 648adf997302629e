/** A request that never became one: what is logged, and shown an error page, in its place. */
import { Headers } from "../http/headers.ts";
import type { RequestHead } from "../http/message.ts";
import { CheckedRequest } from "../http/request.ts";

function make(): RequestHead {
  const head = new CheckedRequest("", "", 11, new Headers());
  head.path = "/";
  return head;
}

/** Nothing of the request was understood. */
export const unknownHead: RequestHead = make();
