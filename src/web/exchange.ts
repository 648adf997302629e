/** One request and all that is known about it. */
import type { Ends, RequestHead } from "../http/message.ts";
import type { Location } from "./pipeline.ts";
import type { RequestBody } from "./request_body.ts";

/** Always the same shape; what is costly is computed when asked. */
export interface Exchange {
  readonly request: RequestHead;
  readonly ends: Ends;
  /** The body, if one follows; undefined: there is none. */
  readonly body: RequestBody | undefined;
  /** The path, percent-decoded and normalised (dot segments, double slashes): what locations are matched with. latin-1 text of the UTF-8 bytes. */
  readonly uri: string;
  location: Location;
  /** ms of `performance.now()` at the head's arrival. */
  readonly startedAt: number;
  /** Set by a handler that waits: called if the client goes away before the reply. */
  onGone: (() => void) | undefined;
}
