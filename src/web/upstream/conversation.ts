/** What is asked of an upstream, over what, and what comes back. */
import type { Address } from "../../base/address.ts";
import type { ClientHead, ClientLimits, NoteLevel, ReceivedHead } from "../../http/client_engine.ts";
import type { ClientRequestHead } from "../../http/h1/client.ts";
import type { Headers } from "../../http/headers.ts";
import type { Body, Source, Tunnel } from "../../http/message.ts";
import {
  type ConnectHandler,
  type Connecting,
  type ConnectOptions,
  connectTo,
  type PeerAddress,
} from "../../net/connect.ts";
import type { UpstreamFailure } from "./failure.ts";

/** How a connection is made: plainly, or one day through TLS. */
export interface Dialer {
  readonly address: PeerAddress;
  readonly bind?: Extract<Address, { kind: "tcp" }>;
  connect(handler: ConnectHandler): Connecting;
}

/** Connections without encryption. */
export function plainDialer(address: PeerAddress, options: ConnectOptions): Dialer {
  const connect = (handler: ConnectHandler) => connectTo(address, handler, options);
  return options.bind === undefined ? { address, connect } : { address, bind: options.bind, connect };
}

/** H: what a head is in the connection's protocol. */
export interface UpstreamRequest<H extends ClientHead = ClientRequestHead> {
  readonly head: H;
  /** As long as the head says. undefined: there is none. */
  readonly body: Uint8Array | Source | undefined;
  /** ms; 0: as long as it takes. */
  readonly timeouts: { readonly connect: number; readonly send: number; readonly read: number };
  readonly limits: ClientLimits;
}

export interface UpstreamResponse {
  readonly head: ReceivedHead;
  /** "bytes" where all of it came with the head; else a stream, which reads from the upstream as fast as it is pulled. */
  readonly body: Body;
  /** Fields behind the body (RFC 9110 6.5), once it has ended. */
  trailers: Headers | undefined;
}

/** Who asked. After `onEnd` or `onFailure` nothing more is called. */
export interface UpstreamHandler {
  /** The connection is there, and the request leaves; not called on one that is used again. */
  onConnect?(): void;
  /** 1xx: the response is still to come. */
  onInterim?(head: ReceivedHead): void;
  onResponse(response: UpstreamResponse): void;
  /** Instead of a response: 101, the connection has left HTTP. */
  onUpgrade?(head: ReceivedHead, tunnel: Tunnel): void;
  /** Something is odd, in Nginx's words. */
  onNote?(level: NoteLevel, detail: string): void;
  /**
   * The exchange is over: the response is complete (its reader may not have read all of it), or its reader is gone. Unless
   * `reusable`, the connection is closed.
   */
  onEnd(): void;
  /** No response, or half of one: then the body's reader hears of it, too. The connection is closed. */
  onFailure(failure: UpstreamFailure): void;
}

/** Throws for a body that is not as long as its head says: it would leave the upstream waiting, or lead it to take a part for the whole. */
export function checkLength({ head: { bodyLength = 0 }, body }: UpstreamRequest<ClientHead>): void {
  const length = body instanceof Uint8Array ? body.length : body === undefined ? 0 : undefined;
  if (length === undefined ? bodyLength !== 0 : bodyLength < 0 || bodyLength === length) return;
  throw new Error(`a body of ${length ?? "unknown"} bytes behind a head that says ${bodyLength}`);
}
