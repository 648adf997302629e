/** Requests are passed to an upstream, whatever its protocol: bodies, tries, buffering, the cache, the copy of `store`. */
import { parseSize } from "../../config/values.ts";
import type { ClientEngine, ClientHead } from "../../http/client_engine.ts";
import type { Headers } from "../../http/headers.ts";
import { type Body, ownHeaders, type Reply, type Source } from "../../http/message.ts";
import { sourceOf } from "../body_change.ts";
import { Cached } from "../cache/cached.ts";
import type { Origin, OriginFailure, OriginHead, Wanted } from "../cache/origin.ts";
import { cacheConf } from "../cache/rows.ts";
import { storesOf } from "../cache/stores.ts";
import type { Conf, Directives } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { fileSource } from "../file_source.ts";
import type { Runtime } from "../module.ts";
import type { Handler, Jump } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import type { BufferedBody } from "../request_body.ts";
import type { Template } from "../template.ts";
import { CertificateError } from "../tls/certificates.ts";
import { attempt, type Outcome, type UpstreamAnswer, type UpstreamTarget } from "./attempts.ts";
import { ReadAhead } from "./buffering.ts";
import { passedTrailers } from "./hints.ts";
import { PassedRequest, PassingPlan, type Sent } from "./passed_request.ts";
import { type PassingConf, passingConf } from "./passing_rows.ts";
import type { BodyLength } from "./proxied.ts";
import type { SecureWay } from "./security.ts";
import { counted, finishing, Joined, Paced, Untouched } from "./sources.ts";
import { stickyCookie } from "./sticky.ts";
import { type StoreOptions, stored } from "./store.ts";

/** Where a request goes; protocols know more about it. */
export interface Whither {
  readonly target: UpstreamTarget;
}

/** What a protocol adds to the code that all of them share. D: what it knows about where a request goes. */
export interface Protocol<D extends Whither> {
  /** Its directives' prefix. */
  readonly name: string;
  /** What its connections are told by; absent: its name. */
  readonly connectionKind?: string;
  /** Where a request goes, or the status of the page that it gets instead. */
  find(exchange: Exchange): D | { readonly status: number } | Promise<D | { readonly status: number }>;
  engine(): ClientEngine;
  /** How connections are made; undefined: plainly. Throws CertificateError. */
  way?(exchange: Exchange, to: D): SecureWay | undefined;
  /** Throws if the request cannot be sent. */
  head(exchange: Exchange, to: D, wanted: Wanted, body: BodyLength): ClientHead;
  /** The body that is sent instead of the client's. */
  replacedBody?(exchange: Exchange): Uint8Array | undefined;
  /** Can a body be sent while it comes? `length`: -1: as long as it turns out to be. */
  streams(length: number): boolean;
  /** For the log: what `name` (a peer's or a group's) was asked for. */
  label(name: string, to: D): string;
  /** The reply without its body, or where X-Accel-Redirect leads. */
  reply(exchange: Exchange, to: D, head: OriginHead): Reply | Jump;
  /** Of a response in the cache, where no key is configured. */
  cacheKey(to: D): string;
  /** Lower-case names of fields that the client does not get. */
  readonly hidden: ReadonlySet<string>;
  readonly passesTrailers?: boolean;
  /** No cache keeps responses to HEAD: their keys may be those of GET. */
  readonly forgetsHeads?: boolean;
}

/** What a request is sent with; its cache asks when it is its turn. */
interface Prepared<D> {
  /** Of the protocol. */
  readonly name: string;
  readonly to: D;
  /** undefined: its body has not come yet. */
  sent: Sent | undefined;
}

const preparedKey = Symbol("prepared request");

function preparedOf<D>(exchange: Exchange): Prepared<D> {
  const found = exchange.note<Prepared<D>>(preparedKey);
  if (found === undefined) throw new Error("a request that was not prepared");
  return found;
}

/** Where the exchange's request went, if it went through this protocol. */
export function destinationOf<D extends Whither>(exchange: Exchange, name: string): D | undefined {
  const found = exchange.note<Prepared<D>>(preparedKey);
  return found?.name === name ? found.to : undefined;
}

/** How long the body is that it was sent with, if it was. */
export function sentLength(exchange: Exchange, name: string): BodyLength {
  const found = exchange.note<Prepared<Whither>>(preparedKey);
  return found?.name === name ? found.sent?.length : undefined;
}

/** "none": what a handshake would need is not there; the log says what. */
function wayOf<D extends Whither>(exchange: Exchange, protocol: Protocol<D>, to: D): SecureWay | "none" | undefined {
  try {
    return protocol.way?.(exchange, to);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    exchange.log("error", error.message);
    return "none";
  }
}

/** The content handler of a location. */
export class Passing<D extends Whither> implements Origin<UpstreamAnswer> {
  readonly #protocol: Protocol<D>;
  readonly #conf: PassingConf;
  readonly #plan: PassingPlan<D>;
  readonly #cache: Cached<UpstreamAnswer> | undefined;

  /** `conf`: of the module whose prefix is the protocol's name. */
  constructor(protocol: Protocol<D>, conf: Conf<Directives>, runtime: Runtime) {
    const { name } = protocol;
    this.#protocol = protocol;
    this.#conf = passingConf(name, conf);
    this.#plan = new PassingPlan(protocol, this.#conf, runtime.timers);
    const cache = cacheConf(name, conf);
    const stores = storesOf(runtime, cache.cache_path ?? []);
    const options = { conf: cache, ignored: this.#conf.ignore_headers, stores };
    const isCached = cache.cache !== undefined && cache.cache !== "off";
    this.#cache = isCached ? new Cached(options, this) : undefined;
  }

  readonly handle: Handler = (exchange) => {
    const found = this.#protocol.find(exchange);
    if (found instanceof Promise) return found.then((later) => this.#withDestination(exchange, later));
    return this.#withDestination(exchange, found);
  };

  #withDestination(exchange: Exchange, to: D | { readonly status: number }): Promise<Reply | Jump> | Reply | Jump {
    if ("status" in to) return errorReply(to.status);
    exchange.setNote(preparedKey, { name: this.#protocol.name, to, sent: undefined } satisfies Prepared<D>);
    const { body, main } = exchange;
    const conf = this.#conf;
    if (exchange.parent !== undefined) return this.#ask(exchange, to, main.body?.whole);
    if (body === undefined) return this.#ask(exchange, to, undefined);
    const replaced = this.#protocol.replacedBody?.(exchange);
    const streams = !conf.request_buffering && this.#protocol.streams(exchange.request.bodyLength);
    if (streams && conf.pass_request_body && replaced === undefined) {
      const source = body.stream(exchange.location.limits);
      // What came together with the head is a body that is there.
      return Promise.resolve().then(() =>
        body.whole === undefined ? this.#askStreaming(exchange, to, source) : this.#ask(exchange, to, body.whole),
      );
    }
    return body.read(exchange.location.limits).then((whole) => this.#ask(exchange, to, whole));
  }

  #ask(exchange: Exchange, to: D, body: BufferedBody | undefined): Promise<Reply | Jump> | Reply | Jump {
    const bytes = this.#protocol.replacedBody?.(exchange);
    if (bytes !== undefined)
      return this.#respond(exchange, to, { length: bytes.length, content: () => bytes, isGone: never });
    if (!this.#conf.pass_request_body || body === undefined) {
      // That there is none may be said (RFC 9110 8.6), and some servers want to hear it.
      const isSaid = this.#conf.pass_request_body && exchange.request.headers.get("content-length") === "0";
      const length = isSaid && exchange.parent === undefined ? 0 : undefined;
      return this.#respond(exchange, to, length === undefined ? nothingSent : emptySent);
    }
    const length = body.kind === "bytes" ? body.bytes.length : body.length;
    const content = () =>
      body.kind === "bytes"
        ? body.bytes
        : length === 0
          ? noBytes
          : fileSource({ file: { fd: body.fd, release() {} }, offset: 0, length: body.length });
    return this.#respond(exchange, to, { length, content, isGone: never });
  }

  #askStreaming(exchange: Exchange, to: D, source: Source): Promise<Reply | Jump> {
    const body = new Untouched(new Joined(source));
    const sent = { length: exchange.request.bodyLength, content: () => body, isGone: () => body.isTouched };
    return Promise.resolve(this.#respond(exchange, to, sent)).finally(() => body.drop("nobody wants it"));
  }

  #respond(exchange: Exchange, to: D, sent: Sent): Promise<Reply | Jump> | Reply | Jump {
    preparedOf<D>(exchange).sent = sent;
    if (this.#cache !== undefined) {
      const found = this.#cache.handle(exchange);
      return found instanceof Promise ? found.then((made) => withCookie(exchange, to, made)) : found;
    }
    return this.#attempt(exchange, uncached, (answer) => {
      const made = "head" in answer ? this.pass(exchange, answer) : errorReply(answer.status);
      return withCookie(exchange, to, made);
    });
  }

  /** Asks the upstream, and makes something of what has become of that. */
  #attempt<R>(exchange: Exchange, wanted: Wanted, make: (outcome: Outcome) => R): Promise<R> {
    const { to } = preparedOf<D>(exchange);
    const { peers, ready } = to.target;
    if (ready !== undefined && peers.tries === 0) return ready.then(() => this.#attemptNow(exchange, wanted, make));
    return this.#attemptNow(exchange, wanted, make);
  }

  #attemptNow<R>(exchange: Exchange, wanted: Wanted, make: (outcome: Outcome) => R): Promise<R> {
    const protocol = this.#protocol;
    const { to, sent = nothingSent } = preparedOf<D>(exchange);
    return new Promise((resolve, reject) => {
      const head = protocol.head(exchange, to, wanted, sent.length);
      const way = wayOf(exchange, protocol, to);
      if (way === "none") return resolve(make({ status: 500, reason: "error" }));
      attempt(exchange, new PassedRequest(exchange, this.#plan, { to, sent, wanted, head, way }), (outcome) => {
        try {
          resolve(make("head" in outcome ? this.#metered(exchange, outcome) : outcome));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Its body counted, and no faster than it may be. */
  #metered(exchange: Exchange, answer: UpstreamAnswer): UpstreamAnswer {
    const { body, state, head } = answer;
    const isForgotten = exchange.method === "HEAD" && this.#protocol.forgetsHeads === true;
    answer.isUnbuffered = isForgotten || !this.#buffers(head.headers);
    const rate = answer.isUnbuffered ? 0 : rateOf(exchange, this.#conf.limit_rate);
    if (body.kind !== "stream" && rate === 0) return answer;
    let source = sourceOf(body);
    if (body.kind === "stream") source = counted(source, (bytes) => (state.length += bytes));
    if (rate > 0) source = new Paced(source, rate);
    answer.body = { kind: "stream", source };
    return answer;
  }

  #buffers(headers: Headers): boolean {
    const told = headers.get("x-accel-buffering")?.toLowerCase();
    if (this.#conf.ignore_headers.has("x-accel-buffering") || (told !== "yes" && told !== "no"))
      return this.#conf.buffering;
    return told === "yes";
  }

  // For the cache.

  key(exchange: Exchange): string | undefined {
    const to = destinationOf<D>(exchange, this.#protocol.name) ?? this.#protocol.find(exchange);
    return to instanceof Promise || "status" in to ? undefined : this.#protocol.cacheKey(to);
  }

  ask(exchange: Exchange, wanted: Wanted): Promise<UpstreamAnswer | OriginFailure> {
    return this.#attempt<UpstreamAnswer | OriginFailure>(exchange, wanted, (outcome) =>
      "head" in outcome ? outcome : { failed: outcome.reason, status: outcome.status },
    );
  }

  show(exchange: Exchange, head: OriginHead, body: Body, length: number): Reply | Jump {
    const made = this.#protocol.reply(exchange, preparedOf<D>(exchange).to, head);
    if ("to" in made || made.body.kind !== "empty") {
      dropBody(body, "something else is sent");
      return made;
    }
    made.body = body;
    const said = exchange.method === "HEAD" ? head.headers.get("content-length") : undefined;
    const shown = length >= 0 ? String(length) : said;
    if (shown !== undefined && head.status !== 204) ownHeaders(made.head).add("Content-Length", shown);
    return made;
  }

  /** What the client gets of a response that no cache keeps. */
  pass(exchange: Exchange, answer: UpstreamAnswer): Reply | Jump {
    const { head, body, tunnel, received } = answer;
    const made = this.#protocol.reply(exchange, preparedOf<D>(exchange).to, head);
    if ("to" in made || made.body.kind !== "empty") {
      dropBody(body, "something else is sent");
      return made;
    }
    if (tunnel !== undefined) {
      made.tunnel = tunnel;
      return made;
    }
    const headers = ownHeaders(made.head);
    if (head.framing !== "none") {
      const length = body.kind === "bytes" ? body.bytes.length : head.bodyLength;
      if (length >= 0) headers.add("Content-Length", String(length));
      made.body = this.#body(exchange, answer);
    } else {
      const length = head.headers.get("content-length");
      if (length !== undefined) headers.add("Content-Length", length);
    }
    if (this.#protocol.passesTrailers === true) {
      made.trailers = () => passedTrailers(received?.trailers, this.#protocol.hidden);
      // Else nobody could see them.
      if (head.framing === "chunked") headers.delete("content-length");
    }
    return made;
  }

  #body(exchange: Exchange, { head, body, isUnbuffered }: UpstreamAnswer): Body {
    const conf = this.#conf;
    const store = head.status === 200 && conf.store !== false;
    if (body.kind !== "stream" && !store) return body;
    let source = sourceOf(body);
    if (store) source = stored(source, this.#storeOptions(exchange, head));
    if (conf.ignore_client_abort || store) source = finishing(source);
    if (isUnbuffered !== true && body.kind === "stream") source = this.#readAhead(exchange, source);
    // What is passed on as it comes goes at the upstream's pace, whatever `limit_rate` says.
    if (isUnbuffered === true) exchange.rate = 0;
    return { kind: "stream", source };
  }

  #readAhead(exchange: Exchange, source: Source): Source {
    const { buffers, buffer_size, max_temp_file_size } = this.#conf;
    return new ReadAhead(source, {
      memoryBytes: buffer_size + buffers.count * buffers.size,
      fileBytes: max_temp_file_size,
      onFile: () => exchange.log("warn", "an upstream response is buffered to a temporary file while reading upstream"),
    });
  }

  #storeOptions(exchange: Exchange, { headers, bodyLength }: UpstreamAnswer["head"]): StoreOptions {
    const { store, store_access } = this.#conf;
    return {
      path:
        typeof store === "object" ? store.value(exchange) : exchange.location.documents.path(exchange, exchange.uri),
      access: store_access,
      lastModified: headers.get("last-modified"),
      length: bodyLength,
      onError: (message) => exchange.log("crit", message),
    };
  }
}

function rateOf(exchange: Exchange, rate: Template | undefined): number {
  return rate === undefined ? 0 : (parseSize(rate.value(exchange)) ?? 0);
}

const uncached: Wanted = { forCache: false, method: undefined };

/** `sticky`: which peer the client is to ask again. */
function withCookie(exchange: Exchange, { target }: Whither, made: Reply | Jump): Reply | Jump {
  const cookie = target.sticky === undefined ? undefined : stickyCookie(exchange);
  if (cookie !== undefined && "head" in made) ownHeaders(made.head).add("Set-Cookie", cookie);
  return made;
}

const noBytes = new Uint8Array(0);
const nothing = (): undefined => undefined;
const never = (): boolean => false;
const nothingSent: Sent = { length: undefined, content: nothing, isGone: never };
const emptySent: Sent = { length: 0, content: nothing, isGone: never };
