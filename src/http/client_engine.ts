/**
 * What every client engine is to the rest of the house, whatever its protocol: a request goes in as meaning and comes out as
 * bytes, the response goes in as bytes and comes out as meaning. One exchange at a time. No socket, no clock, no log.
 */
import type { Headers } from "./headers.ts";

/** What is wrong with a response. A value, not an exception: an upstream's mistakes are ordinary input. */
export interface ResponseError {
  /** "RFC 9112 6.3" */
  readonly rule: string;
  /** Nginx's words, without the "while …" that tells what was being done. */
  readonly detail: string;
}

/** What the heads of all protocols' requests have. */
export interface ClientHead {
  readonly method: string;
  /** Bytes of body that follow; -1: as many as come; undefined: none. */
  readonly bodyLength: number | undefined;
}

/** A response's head, as an upstream sent it. */
export interface ReceivedHead {
  readonly status: number;
  /** "" if none was sent. */
  readonly reason: string;
  /** 9: there was no head at all (HTTP/0.9), everything received is the body. */
  readonly version: 9 | 10 | 11 | 20;
  readonly headers: Headers;
  /** How the body ends: "none": there is none, whatever the fields say; "chunked": as frames say; "close": with the connection. */
  readonly framing: "none" | "length" | "chunked" | "close";
  /** Bytes of body; -1: known at its end. */
  readonly bodyLength: number;
  /** The upstream keeps the connection open, as far as the head tells. */
  readonly keepAlive: boolean;
  /** Bytes of the head. */
  readonly headLength: number;
}

/** At which level of the log something is told. */
export type NoteLevel = "info" | "warn" | "error";

/** What an upstream's bytes mean, in the order in which they mean it. */
export type ClientEvent =
  /** 1xx but 101: the response is still to come (RFC 9110 15.2). */
  | { readonly type: "interim"; readonly head: ReceivedHead }
  | { readonly type: "response"; readonly head: ReceivedHead }
  | { readonly type: "data"; readonly bytes: Uint8Array }
  /** Fields after a chunked body (RFC 9112 7.1.2); "end" follows. */
  | { readonly type: "trailers"; readonly headers: Headers }
  /** The response is complete. Of a tunnel: the upstream has closed its half. */
  | { readonly type: "end" }
  /** 101: what the upstream sends from here on is "data" as it is, and so is what `sendData` takes (RFC 9110 7.8). */
  | { readonly type: "upgraded"; readonly head: ReceivedHead }
  /** Wrong, but not wrong enough to fail; in Nginx's words and at its level. */
  | { readonly type: "noted"; readonly level: NoteLevel; readonly detail: string }
  /**
   * The response cannot be believed, or has not come to its end. Nothing follows. "refused": the upstream has not looked at the
   * request. "leaving": the same, because the connection has come to its end.
   */
  | { readonly type: "failed"; readonly kind: FailedKind; readonly error: ResponseError };

export type FailedKind = "invalid" | "closed" | "refused" | "leaving";

/** How one response is read. */
export interface ClientLimits {
  /** Most bytes of a head, and of a trailer section: `proxy_buffer_size`. */
  readonly headLimit: number;
  /** What does not begin with a status line is a body without a head (HTTP/0.9). Unless told: only towards HTTP/1.0. */
  readonly bareResponses?: boolean;
  /** 101 is believed though the request has no Upgrade: somebody else has asked for it. */
  readonly mayUpgrade?: boolean;
}

/** What a protocol needs whose two sides speak of more than their messages (HTTP/2): what is received may have to be answered. */
export interface FlowControl {
  /** Part of the request waits until the upstream asks for it. */
  readonly isBlocked: boolean;
  /** The response's reader has fallen behind, or caught up. The transport itself is always read. */
  pause(paused: boolean): void;
}

/** A protocol, client side. H: the heads of its requests. */
export interface ClientEngine<H extends ClientHead = ClientHead> {
  /** Can another request follow on this connection? Always true before the first. */
  readonly reusable: boolean;
  /** All of the request has been given to `takeOutput`. */
  readonly requestSent: boolean;
  /** Absent: the transport's own flow control is all there is, and between two exchanges nothing may come. */
  readonly flow?: FlowControl;
  /** Forgets the last exchange, so that `sendHead` can begin another. Throws unless `reusable`. */
  reset(): void;
  /** Begins a request. Throws if it cannot be sent as it is, or out of turn. */
  sendHead(head: H, limits?: ClientLimits): void;
  /** What is known as soon as there is a connection, without a word of the upstream's. Absent: nothing. */
  opened?(): readonly ClientEvent[];
  /** More of the request's body, or of what goes into the tunnel. Throws if it is not as long as its head has said. */
  sendData(bytes: Uint8Array, last: boolean): void;
  /** Pieces for the transport; text is latin-1. Empties the engine's output. */
  takeOutput(): readonly (string | Uint8Array)[];
  /** The events that these bytes complete. Array and bytes are the caller's; `bytes` must not change afterwards. */
  receive(bytes: Uint8Array): readonly ClientEvent[];
  /** The upstream will send nothing more. */
  receiveEnd(): readonly ClientEvent[];
}
