/** What every HTTP engine is to the rest of the house: bytes in, meaning out; meaning in, bytes out. No socket, no clock, no log. */
import type { Headers } from "./headers.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** 1, 3, 5 … on HTTP/2; a counter on HTTP/1, so that nobody above needs to know which it is. */
export type StreamId = number;

/** What a peer's bytes mean, in the order in which they mean it. */
export type EngineEvent =
  /** `end`: no body follows. */
  | { readonly type: "request"; readonly stream: StreamId; readonly head: RequestHead; readonly end: boolean }
  | { readonly type: "data"; readonly stream: StreamId; readonly bytes: Uint8Array; readonly end: boolean }
  /** Fields after a chunked body (RFC 9112 7.1.2); the body has ended. */
  | { readonly type: "trailers"; readonly stream: StreamId; readonly headers: Headers }
  /**
   * Answer `error.status`, if one still can; on HTTP/1 nothing further is read. `head`: what was understood of a request
   * that is given to nobody, for the log and for the choice of an error page; it has passed no check as a whole.
   */
  | { readonly type: "refused"; readonly stream: StreamId; readonly error: ProtocolError; readonly head?: RequestHead }
  /** The peer gave the stream up in the middle of a message. */
  | { readonly type: "reset"; readonly stream: StreamId; readonly error: ProtocolError }
  /** The window opened again (HTTP/2). */
  | { readonly type: "writable"; readonly stream: StreamId }
  /** The connection is over once the output is written: close it. */
  | { readonly type: "closed" };

/** The peer broke a rule. A value, not an exception: hostile input is ordinary input. */
export interface ProtocolError {
  /** 494 is Nginx's own number for a head that is too large: clients see it as 400, `error_page` may name it. */
  readonly status: 400 | 405 | 408 | 413 | 414 | 417 | 421 | 431 | 494 | 501 | 505;
  /** "RFC 9112 6.3" */
  readonly rule: string;
  /** For the log: `repeated field "Content-Length"`. Never sent to the client. */
  readonly detail: string;
}

/** A protocol, server side. */
export interface ServerEngine {
  /** The events that these bytes complete. The array and the bytes in it are the engine's: use them before the next call. */
  receive(bytes: Uint8Array): readonly EngineEvent[];
  /** The peer will send nothing more. */
  receiveEnd(): readonly EngineEvent[];
  /** Events that waited until an earlier response was sent (HTTP/1 pipelining). Call after each response's end. */
  resume(): readonly EngineEvent[];
  /** Bytes of later requests, which wait for their turn: the transport pauses reading above a limit. */
  readonly buffered: number;
  /** Part of a request's head has arrived. */
  readonly headBegun: boolean;
  /** Refuses what is being read, for a reason that the engine cannot know: too slow (408), too large (413). */
  refuse(error: ProtocolError): readonly EngineEvent[];
  /** An interim response: 100 Continue, 103 Early Hints (RFC 9110 15.2). */
  sendInterim(stream: StreamId, head: ResponseHead): void;
  /**
   * `end`: no body follows, though Content-Length may name one (HEAD, 304). `date`: now, as an IMF-fixdate. After status 101,
   * or a head with `tunnel`, comes `startTunnel`.
   */
  sendHead(stream: StreamId, head: ResponseHead, end: boolean, date: string): void;
  /** Returns how many more bytes the stream takes now; 0: wait for "writable". HTTP/1 always takes more. */
  sendData(stream: StreamId, bytes: Uint8Array, end: boolean): number;
  /** Fields behind the body (RFC 9110 6.5), before its last `sendData`; dropped where the framing has no place for them. */
  sendTrailers(stream: StreamId, headers: Headers): void;
  /**
   * The connection leaves HTTP: what the peer sends from here on is "data" (`end`: it has closed its half), what
   * `sendData` takes is sent as it is, and its `end` ends the connection. Returns what has arrived already.
   */
  startTunnel(stream: StreamId): readonly EngineEvent[];
  /** Between sendHead and the body's end: is the body sent as it is, without framing of the engine's around it? */
  readonly plainBody: boolean;
  /** The transport itself sends the next `count` bytes of a plain body, right behind the output so far. */
  noteSent(stream: StreamId, count: number, end: boolean): void;
  /** The response cannot be completed: make sure that it does not look complete. */
  sendReset(stream: StreamId): void;
  /** What was wrong with the last response, for the log; its connection closes. */
  readonly fault: string | undefined;
  /** A response was cut short whose end only a connection's reset can tell from a complete one. */
  readonly needsReset: boolean;
  /** True while the peer may send further requests on this connection. */
  readonly keepAlive: boolean;
  /** No request after the one in progress: the next response says so (RFC 9112 9.6). */
  stopKeepAlive(): void;
  /** Pieces for the transport, once per turn of the loop; text is latin-1. Empties the engine's output. */
  takeOutput(): readonly (string | Uint8Array)[];
}
