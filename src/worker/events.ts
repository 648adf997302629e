/** From what an engine has understood to what the connection does about it. */
import { unreachable } from "../base/unreachable.ts";
import type { EngineEvent, ProtocolError, StreamId } from "../http/engine.ts";
import type { RequestHead } from "../http/message.ts";

export interface EventTaker {
  /** `end`: it has no body. */
  onRequest(stream: StreamId, head: RequestHead, end: boolean): void;
  /** Of the request's body, or of what follows in a tunnel. */
  onData(bytes: Uint8Array, end: boolean): void;
  /** What was received is no message, or one that may not be; `head`: what is known of it. */
  onRefused(stream: StreamId, error: ProtocolError, head: RequestHead | undefined): void;
  onReset(error: ProtocolError): void;
  /** No further request will come. */
  onFinished(): void;
}

export function takeEvents(events: readonly EngineEvent[], taker: EventTaker): void {
  for (let i = 0; i < events.length; i++) {
    const event = events[i]!;
    // What is known to be no message by its end is answered as such, not as what its beginning looked like.
    const last = events[events.length - 1]!;
    if (event.type === "request" && last.type === "refused" && last.stream === event.stream)
      return taker.onRefused(event.stream, last.error, event.head);
    take(event, taker);
  }
}

function take(event: EngineEvent, taker: EventTaker): void {
  switch (event.type) {
    case "request":
      return taker.onRequest(event.stream, event.head, event.end);
    case "data":
      return taker.onData(event.bytes, event.end);
    case "trailers":
      return taker.onData(nothing, true);
    case "refused":
      return taker.onRefused(event.stream, event.error, event.head);
    case "reset":
      return taker.onReset(event.error);
    case "closed":
      return taker.onFinished();
    case "writable":
      return;
    default:
      return unreachable(event);
  }
}

const nothing = new Uint8Array(0);
