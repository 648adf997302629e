/** What may be said about a server's side of HTTP/2. */
import { type Policy, strictPolicy } from "../h1/policy.ts";

export interface H2Options {
  /** What fields may look like, and how many there may be: as for HTTP/1. */
  readonly policy: Policy;
  /** Most bytes of one name or value, and of all of them; above: the request is refused, or (of a loose policy) the connection ends. */
  readonly fieldLimit: number;
  readonly fieldsLimit: number;
  /** The Server field of responses that name no other; "": none. */
  readonly server: string;
  /** http2_max_concurrent_streams */
  readonly maxStreams: number;
  /** http2_chunk_size: most bytes of a DATA frame. */
  readonly chunkSize: number;
  /** http2_body_preread_size: what a client may send of a body that nobody reads yet. */
  readonly prereadSize: number;
  /** … and of one that is read: enough for fast lines, few enough to be held for a slow reader. */
  readonly bodyWindow: number;
  /** A graceful end is announced before it is decided (RFC 9113 6.8), so that no request is on its way that will be refused. */
  readonly announcesEnd: boolean;
  /** RFC 8441: CONNECT with `:protocol`. */
  readonly extendedConnect: boolean;
}

/** Nginx's values, where it has them. */
export const defaultH2Options: H2Options = {
  policy: strictPolicy,
  fieldLimit: 8192,
  fieldsLimit: 4 * 8192,
  server: "alicorn",
  maxStreams: 128,
  chunkSize: 8192,
  prereadSize: 65536,
  bodyWindow: 256 * 1024,
  announcesEnd: true,
  extendedConnect: false,
};

/** What a client may send of all bodies together before we have taken it. */
export const connectionWindow = 1024 * 1024;
/** Above so many bytes that lie here because nobody reads them, no more are asked for. */
export const maxHeld = 1024 * 1024;
/** Frames that one header block may be split into: CVE-2024-27316. */
export const maxContinuations = 128;
