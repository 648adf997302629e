/** The nouns of HTTP (RFC 9110), the same for every version of the protocol and on both ends of a connection. */
import type { Headers } from "./headers.ts";

/** 9: HTTP/0.9, a request line without a head, answered likewise; 10: HTTP/1.0, 11: HTTP/1.1, 20: HTTP/2. */
export type Version = 9 | 10 | 11 | 20;

/** A request's head, checked: what is here has passed every rule of the engine's policy. `CheckedRequest` makes one. */
export interface RequestHead {
  readonly method: string;
  /** The request target as sent (RFC 9112 3.2); becomes `RAW_URI`. */
  readonly target: string;
  /** The target's path, still percent-encoded: begins with "/", or is "*" (OPTIONS). */
  readonly path: string;
  /** What follows the first "?", without it; "" if there is none. */
  readonly query: string;
  /** Host and port from the target or from Host; "" only where HTTP/1.0 sent none. */
  readonly authority: string;
  readonly version: Version;
  readonly headers: Headers;
  /** Bytes of body that follow: 0 for none, -1 for chunked (unknown until its end). */
  readonly bodyLength: number;
  /** The client waits for "100 Continue" before it sends the body (RFC 9110 10.1.1). */
  readonly expectsContinue: boolean;

  /** The request line as sent, without its line end ($request); HTTP/2's is made up. */
  readonly requestLine: string;
  /** "HTTP/1.1", as the client spelled it ($server_protocol); "" for HTTP/0.9. */
  readonly protocol: string;
  /** The target without scheme and authority, as sent ($request_uri): path, query and what follows them. */
  readonly uri: string;
  /** The authority's host in lower case, without port and trailing dot ($host); "" if there is none. */
  readonly host: string;
  /** The port that the authority names ($request_port); 0: none. */
  readonly authorityPort: number;
  /** Bytes of request line and fields, line ends included ($request_length counts the body, too). */
  readonly headLength: number;
  /** Field lines that were left out of `headers` for their names, as sent: the log wants to tell. */
  readonly ignoredLines: readonly string[];
}

/** What the connection knows about its two ends; made once per connection. */
export interface Ends {
  /** "127.0.0.1", "::1"; "" for a Unix socket. */
  readonly peerAddress: string;
  /** 0 for a Unix socket. */
  readonly peerPort: number;
  /** The listening socket's address and port as text: `SERVER_NAME`, `SERVER_PORT`. A Unix socket has its path and "". */
  readonly localAddress: string;
  readonly localPort: string;
  readonly scheme: "http" | "https";
  /** Their part of the environ list, once an application has asked for it. */
  environ: Uint8Array | undefined;
}

export interface ResponseHead {
  status: number;
  /** The reason phrase, where somebody chose one; else the engine takes the standard one. */
  reason?: string;
  /** May be shared with other responses: who changes it asks `ownHeaders` for it. */
  headers: Headers;
  /** The Server field's value instead of the engine's own; "": none. A field in `headers` stands above both. */
  server?: string;
  /** Protocols that could be spoken instead, Upgrade's value (RFC 9110 7.8); said in HTTP/1.1 alone. 426 has to say some. */
  offers?: string;
  /** No Date is added. */
  undated?: boolean;
  /** Seconds that an unused connection stays open: sent as `Keep-Alive: timeout=…` if it does. */
  keepAliveHint?: number;
  /**
   * HTTP/1.1 only. false: a body without Content-Length ends with the connection (`chunked_transfer_encoding off`).
   * true: chunked even with a Content-Length, which is left out, so that trailers can follow.
   */
  chunked?: boolean;
  /** The connection leaves HTTP behind this head: 2xx to CONNECT (RFC 9110 9.3.6). Status 101 always says so. */
  tunnel?: boolean;
}

/** The head's fields, to be changed: its own, copied first if others share them. */
export function ownHeaders(head: ResponseHead): Headers {
  if (head.headers.shared) head.headers = head.headers.copy();
  return head.headers;
}

/** A response on its way to the client. Made by a handler, changed by filters, sent by an engine. */
export interface Reply {
  readonly head: ResponseHead;
  body: Body;
  /** A page of ours, which only shows the status: the configuration may have a better one (`error_page`). */
  isPage?: boolean;
  /** Whoever made it (an application, an upstream) has seen the request's conditions and ranges: they are not for us any more. "conditions": ranges still are. */
  isJudged?: boolean | "conditions";
  /** The head waits for the body's first piece: where that fails, nothing is better than the beginning of a response. */
  headWaits?: boolean;
  /** With status 101: what the connection carries from now on instead of HTTP (RFC 9110 7.8). */
  tunnel?: Tunnel;
  /** Asked once, when the body has ended: fields to send behind it (RFC 9110 6.5). */
  trailers?: () => Headers | undefined;
}

/** Both directions of a connection that has left HTTP. */
export interface Tunnel {
  /** What the other end says. */
  readonly source: Source;
  /** What the client says; `last`: it has closed its half. */
  readonly sink: Sink;
  /** The client is asked for more when this is called; given by the connection. */
  onWanted: (() => void) | undefined;
}

export type Body =
  | { readonly kind: "empty" }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "file"; readonly file: OpenFile; readonly offset: number; readonly length: number }
  | {
      readonly kind: "stream";
      readonly source: Source;
      /** The bytes from `first` to `last`, in the place of the whole, where they can be had without all those before them. */
      readonly part?: (first: number, last: number) => Source;
    };

/** An open file whose owner wants to know when it is no longer read. */
export interface OpenFile {
  readonly fd: number;
  /** Called once, when the body was sent or given up. */
  release(): void;
}

/** Produces a body piece by piece, and only when asked: the slowest reader sets the pace. */
export interface Source {
  /** Asks for the next piece: exactly one `push` or `fail` on `to` answers it, now or later. */
  pull(to: Sink): void;
  /** The reader is gone; nothing may be pushed any more. */
  cancel(reason: string): void;
}

export interface Sink {
  /** `last`: the body ends after these bytes (which may be none). */
  push(bytes: Uint8Array, last: boolean): void;
  /** The body cannot be completed: the message must not look complete to its reader. */
  fail(reason: string): void;
}

export const emptyBody: Body = { kind: "empty" };

/** Thrown, or what a promise is rejected with, where a request ends in an error page instead of a reply. */
export class HttpFailure extends Error {
  readonly status: number;

  /** `message`: for the log; the client sees the page of the status only. */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
