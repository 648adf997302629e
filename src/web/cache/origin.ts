/** Who a cache stands in front of. */
import type { Headers } from "../../http/headers.ts";
import type { Body, Reply } from "../../http/message.ts";
import type { Exchange } from "../exchange.ts";
import type { Jump } from "../pipeline.ts";

/** How the origin is asked. */
export interface Wanted {
  /** The response may be kept: the client's conditions and ranges are not passed on, the cache's own are (state.ts). */
  readonly forCache: boolean;
  /** undefined: the client's. */
  readonly method: "GET" | undefined;
}

/** A response as it came. */
export interface OriginHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
}

export interface OriginAnswer {
  readonly head: OriginHead;
  readonly body: Body;
  /** It is passed on as it comes (`proxy_buffering off`), and never kept. */
  readonly isUnbuffered?: boolean;
}

/** There is no response. */
export interface OriginFailure {
  readonly failed: "error" | "timeout" | "invalid_header";
  /** What the client gets. */
  readonly status: number;
}

export interface Origin<A extends OriginAnswer> {
  /** The key where none is configured; undefined: it cannot be told at once. */
  key(exchange: Exchange): string | undefined;
  ask(exchange: Exchange, wanted: Wanted): Promise<A | OriginFailure>;
  /** What the client gets of a response that is not kept. */
  pass(exchange: Exchange, answer: A): Reply | Jump;
  /** … and of one that is: its body is the cache's. `length`: of the body, -1: not known yet. */
  show(exchange: Exchange, head: OriginHead, body: Body, length: number): Reply | Jump;
}
