/** What a method of choosing servers is; one file each beside this one. */
import type { Exchange } from "../../exchange.ts";
import type { Ending, Peer } from "../peers.ts";

export interface Choice {
  /** Not again for the same request. */
  readonly tried: readonly Peer[];
  /** ms */
  readonly now: number;
  /** The one that `sticky` has bound the request to, if it can be had. */
  readonly bound: Peer | undefined;
}

/** The next of some peers (there may be none); undefined: none can be had now. */
export type Pick = (peers: readonly Peer[], choice: Choice) => Peer | undefined;

/** How long a response took, ms; undefined: it did not come to that. */
export interface Times {
  readonly headerMs: number | undefined;
  readonly responseMs: number;
}

export interface Balancer {
  /** Begins a request: what is returned is asked at each of its tries. */
  begin(exchange: Exchange): Pick;
  /** `pick` itself returns the bound peer, to weigh it with the others. */
  readonly weighsBound?: boolean;
  /** A peer gets a request; its response's head has come; the request is over there. */
  taken?(peer: Peer, now: number): void;
  headed?(peer: Peer, headerMs: number, now: number): void;
  released?(peer: Peer, ending: Ending, times: Times | undefined, now: number): void;
}

/** A method as a directive of an upstream names it. */
export interface Method {
  /** Are `backup` servers asked when the others cannot be? */
  readonly backup: boolean;
  make(): Balancer;
}
