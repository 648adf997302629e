/** One request and all that is known about it. */
import type { ErrorLevel } from "../base/error_log.ts";
import type { Headers } from "../http/headers.ts";
import type { Ends, Reply, RequestHead, ResponseHead } from "../http/message.ts";
import { Notes } from "./notes.ts";
import type { Location, Server } from "./pipeline.ts";
import type { RequestBody } from "./request_body.ts";
import type { SecureSession } from "./tls/session.ts";

/** The client's connection, as far as requests want to know it. Made once per connection. */
export interface Client extends Ends {
  /** Counts the process's connections, from 1 ($connection, `*1` in the error log). */
  readonly number: number;
  /** Requests on it so far, this one included ($connection_requests). */
  requests: number;
  /** ms of `performance.now()` when it was accepted. */
  readonly acceptedAt: number;
  /** Its descriptor, to ask the kernel about it. */
  readonly fd?: number | undefined;
  /** The header of the PROXY protocol, where `listen … proxy_protocol` asks for it. */
  readonly proxy: ProxyHeader | undefined;
  /** What is known of its TLS; absent: it speaks none, or has not begun to. */
  readonly secure?: SecureSession | undefined;
  /** It speaks none where it should. */
  readonly missedTls?: boolean;
}

/** Why a request is answered with an error before anybody looks at it. */
export interface Refusal {
  readonly status: number;
  /** For the log. */
  readonly why: string;
}

/** What a load balancer says about the connection it forwards. */
export interface ProxyHeader {
  readonly source: { readonly address: string; readonly port: number } | undefined;
  readonly destination: { readonly address: string; readonly port: number } | undefined;
  /** Further facts, as they came (src/net/proxy_protocol.ts finds them). */
  readonly tlvs: Uint8Array;
}

/** Sends interim responses (100, 103). */
export interface Wire {
  sendInterim(head: ResponseHead): void;
}

/** An inner request is told from its parent's connection: it has none of its own. */
export interface Origin {
  readonly request: RequestHead;
  readonly client: Client;
  readonly body: RequestBody | undefined;
  readonly server: Server;
  /** ms of `performance.now()` at the head's arrival. */
  readonly startedAt: number;
  readonly parent?: Exchange;
}

/** Made when the first is remembered: many requests remember none. */
export function valuesOf(exchange: Exchange): (string | null | undefined)[] {
  exchange.values ??= [];
  return exchange.values;
}

// One class, so that all requests have the same shape.
export class Exchange {
  readonly request: RequestHead;
  /** Its two ends; a trusted proxy's word may replace them (realip). */
  client: Client;
  /** The body, if one follows; undefined: there is none. */
  readonly body: RequestBody | undefined;
  readonly startedAt: number;
  /** The request that this one is a part of (SSI, auth_request …); undefined: it is a client's. */
  readonly parent: Exchange | undefined;
  server: Server;
  location: Location;
  /** $request_method; an error page is always fetched with GET. */
  method: string;
  /** $uri: percent-decoded and normalised, what locations are matched with. latin-1 text of the bytes. */
  uri: string;
  /** $args: the query as it is now. */
  args: string;
  /** Remembered values of variables, by slot; null: known to have none. Parts of a request share their parent's. */
  values: (string | null | undefined)[] | undefined;
  /** The last regular expression's match: $0, $1 … */
  captures: readonly (string | undefined)[] | undefined = undefined;
  /** It has been led here by us (error_page, try_files, index …): `internal` locations answer it. */
  internal = false;
  /** Changes of the URI that are left before it counts as a cycle. */
  jumpsLeft = 10;
  /** The status that an `error_page` led here with; 0: none did. */
  errorStatus = 0;
  /** The status of a reply whose text is being made. */
  statusToCome = 0;
  /** Fields that the client gets whoever answers in the end: of the page that an error page replaces, of an X-Accel-Redirect. */
  carriedFields: readonly (readonly [name: string, value: string])[] | undefined = undefined;
  /** An error page is being made: its own errors lead to no other (`recursive_error_pages`). */
  inErrorPage = false;
  /** What is sent, once it is known; its head's status is $status. */
  reply: Reply | undefined = undefined;
  /** Fields that were sent behind the body. */
  sentTrailers: Headers | undefined = undefined;
  /** Bytes sent so far: of the body, and with the head. */
  bodyBytesSent = 0;
  bytesSent = 0;
  /** A script ended with `break` after it had changed the URI: it is not the one that the location was found for. */
  rewrittenInPlace = false;
  /** try_files found a file below the `alias` of a location with a regular expression: the URI is its name there. */
  addsUriToAlias = false;
  /** Nobody may answer it: its path is none, its connection is not what it has to be. */
  refusal: Refusal | undefined = undefined;
  /** limit_rate, bytes per second (0: as fast as the client reads; undefined: nobody has said), and from which byte of the body on. */
  rate: number | undefined = undefined;
  rateAfter = 0;
  /** Its way back to the client, for what comes before the response; undefined: a part of another request. */
  wire: Wire | undefined = undefined;
  /** It had begun to arrive before its predecessor was answered ($pipe). */
  isPipelined = false;
  /** No further request on this connection after this one. */
  closes = false;
  /** Set by a handler that waits: called if the client goes away before the reply. */
  onGone: (() => void) | undefined = undefined;
  /** … and a client that closes its half of the connection counts as gone (Nginx); else it may be waiting for the answer. */
  endsWithClient = false;
  /** Called once when all is over, whatever the end (limit_conn gives its place back). */
  cleanups: (() => void)[] | undefined = undefined;
  hasEnded = false;
  /** The application's worker that has answered, for the log (`%(p)s`). */
  answeredBy: { readonly pid: number; readonly waitedMs: number } | undefined = undefined;
  /** What modules remember about a request, by a key of their own. */
  notes: Notes | undefined = undefined;

  constructor(origin: Origin, uri: string, args: string) {
    const { request, client, body, server, startedAt, parent } = origin;
    this.request = request;
    this.client = client;
    this.body = body;
    this.startedAt = startedAt;
    this.parent = parent;
    this.server = server;
    this.location = server.root;
    this.method = request.method;
    this.uri = uri;
    this.args = args;
    this.values = parent === undefined ? undefined : valuesOf(parent);
  }

  /** The client's own request. */
  get main(): Exchange {
    return this.parent === undefined ? this : this.parent.main;
  }

  /** Parts of a request may outlive it (mirror): what they borrow after its end is given back at once. */
  atEnd(cleanup: () => void): void {
    if (this.hasEnded) return cleanup();
    this.cleanups ??= [];
    this.cleanups.push(cleanup);
  }

  /** All is over: what was borrowed for the request is given back. */
  end(): void {
    const { cleanups } = this;
    this.hasEnded = true;
    if (cleanups === undefined) return;
    this.cleanups = undefined;
    for (const cleanup of cleanups) cleanup();
  }

  note<V>(key: symbol): V | undefined {
    return this.notes?.get(key) as V | undefined;
  }

  setNote(key: symbol, value: unknown): void {
    this.notes ??= new Notes();
    this.notes.set(key, value);
  }

  /** A line in the location's error log, with what tells the request from others. */
  log(level: ErrorLevel, message: string): void {
    const { errorLog } = this.location;
    if (errorLog.wants(level)) errorLog.log(level, `*${this.client.number} ${message}${this.#label()}`);
  }

  /** The same about an upstream: `label` is its URL. */
  logUpstream(level: ErrorLevel, message: string, label: string): void {
    const { errorLog } = this.location;
    if (errorLog.wants(level))
      errorLog.log(level, `*${this.client.number} ${message}${this.#label(`, upstream: "${label}"`)}`);
  }

  #label(upstream = ""): string {
    const { request, client, server, parent } = this;
    const peer = client.peerAddress === "" ? "unix:" : client.peerAddress;
    let label = `, client: ${peer}, server: ${server.name}, request: "${request.requestLine}"`;
    if (parent !== undefined) label += `, subrequest: "${this.uri}"`;
    label += upstream;
    const host = request.headers.get("host");
    if (host !== undefined) label += `, host: "${host}"`;
    const referrer = request.headers.get("referer");
    return referrer === undefined ? label : `${label}, referrer: "${referrer}"`;
  }
}
