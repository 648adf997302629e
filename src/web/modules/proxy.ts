/** ngx_http_proxy_module: requests are passed to another HTTP server. */
import { formatAddress } from "../../base/address.ts";
import { parseSize } from "../../config/values.ts";
import type { Headers } from "../../http/headers.ts";
import { type Body, ownHeaders, type Reply, type Source } from "../../http/message.ts";
import type { ConnectOptions } from "../../net/connect.ts";
import { sourceOf } from "../body_change.ts";
import { Cached } from "../cache/cached.ts";
import type { Origin, OriginFailure, OriginHead, Wanted } from "../cache/origin.ts";
import { cacheConf, checkCaches } from "../cache/rows.ts";
import { etagOf, lastModifiedOf } from "../cache/state.ts";
import { storesOf } from "../cache/stores.ts";
import type { Conf } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { fileSource } from "../file_source.ts";
import { type Compiling, defineModule, type Runtime } from "../module.ts";
import type { Handler, Jump } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import type { BufferedBody } from "../request_body.ts";
import type { Template } from "../template.ts";
import { type AttemptOptions, attempt, type UpstreamAnswer } from "../upstream/attempts.ts";
import { bound } from "../upstream/bind.ts";
import { ReadAhead } from "../upstream/buffering.ts";
import { acceptedHints, passedTrailers } from "../upstream/hints.ts";
import { type BodyLength, proxiedHead, type RequestPlan } from "../upstream/proxied.ts";
import { checkProxyPass, type Destination, destinations } from "../upstream/proxy_pass.ts";
import { proxiedReply, type ReplyPlan, replyPlan } from "../upstream/proxy_reply.ts";
import { nextPolicy, proxyDirectives } from "../upstream/proxy_rows.ts";
import { counted, finishing, Joined, Paced, Untouched } from "../upstream/sources.ts";
import { setUpstreamTrailers } from "../upstream/state.ts";
import { stickyCookie } from "../upstream/sticky.ts";
import { type StoreOptions, stored } from "../upstream/store.ts";

const destinationKey = Symbol("proxy destination");
const internalLength = Symbol("proxy body length");

/** Never passed on from the client: the hop's own fields (RFC 9110 7.6.1), and what we write ourselves. */
const hopFields = [
  "host",
  "connection",
  "proxy-connection",
  "content-length",
  "transfer-encoding",
  "te",
  "keep-alive",
  "expect",
  "upgrade",
];

function requestPlan(
  conf: Conf<typeof proxyDirectives>,
  own: RequestPlan["fields"] = [],
): RequestPlan & { readonly setsLength: boolean } {
  const given = new Set(conf.proxy_set_header.map(({ name }) => name.toLowerCase()));
  const fields = [...conf.proxy_set_header, ...own.filter(({ name }) => !given.has(name.toLowerCase()))];
  const set = new Set(fields.map(({ name }) => name.toLowerCase()));
  return {
    version: conf.proxy_http_version === "1.0" ? 10 : 11,
    fields,
    hidden: new Set([...hopFields, ...set]),
    passesFields: conf.proxy_pass_request_headers,
    setsHost: set.has("host"),
    setsLength: set.has("content-length"),
  };
}

const empty = { value: () => "" };

/** What a response that may be kept is asked for with: not the client's conditions and ranges, but the cache's. */
const cacheFields: RequestPlan["fields"] = [
  { name: "If-Modified-Since", value: { value: (exchange) => lastModifiedOf(exchange) ?? "" } },
  { name: "If-None-Match", value: { value: (exchange) => etagOf(exchange) ?? "" } },
  { name: "If-Unmodified-Since", value: empty },
  { name: "If-Match", value: empty },
  { name: "Range", value: empty },
  { name: "If-Range", value: empty },
];

/** A request's body as it is sent. */
interface Sent {
  readonly length: BodyLength;
  readonly content: () => Uint8Array | Source | undefined;
  readonly isUnbuffered: boolean;
}

/** What a request is sent with; its cache asks when it is its turn. */
interface Prepared {
  readonly to: Destination;
  readonly sent: Sent;
}

const preparedKey = Symbol("proxy request");

function preparedOf(exchange: Exchange): Prepared {
  const found = exchange.note<Prepared>(preparedKey);
  if (found === undefined) throw new Error("a request that was not prepared");
  return found;
}

class ProxyPass implements Origin<UpstreamAnswer> {
  /** Tells it from other locations'. */
  readonly #number = ++lastNumber;
  readonly #conf: Conf<typeof proxyDirectives>;
  readonly #runtime: Runtime;
  readonly #find: (
    exchange: Exchange,
  ) => Destination | { readonly status: number } | Promise<Destination | { readonly status: number }>;
  readonly #request: ReturnType<typeof requestPlan>;
  readonly #reply: ReplyPlan;
  readonly #cache: Cached<UpstreamAnswer> | undefined;
  readonly #cacheRequest: ReturnType<typeof requestPlan>;

  constructor(conf: Conf<typeof proxyDirectives>, at: Compiling) {
    this.#conf = conf;
    this.#runtime = at.runtime;
    this.#find = destinations(conf, at);
    this.#request = requestPlan(conf);
    this.#reply = replyPlan(conf, at);
    this.#cacheRequest = requestPlan(conf, cacheFields);
    const stores = storesOf(at.runtime, conf.proxy_cache_path);
    const options = { conf: cacheConf("proxy", conf), ignored: conf.proxy_ignore_headers, stores };
    this.#cache = conf.proxy_cache === "off" ? undefined : new Cached(options, this);
  }

  readonly handle: Handler = (exchange) => {
    const found = this.#find(exchange);
    if (found instanceof Promise) return found.then((later) => this.#withDestination(exchange, later));
    return this.#withDestination(exchange, found);
  };

  #withDestination(
    exchange: Exchange,
    to: Destination | { readonly status: number },
  ): Promise<Reply | Jump> | Reply | Jump {
    if ("status" in to) return errorReply(to.status);
    exchange.setNote(destinationKey, to);
    const { body, main } = exchange;
    const conf = this.#conf;
    if (exchange.parent !== undefined) return this.#ask(exchange, to, main.body?.whole);
    if (body === undefined) return this.#ask(exchange, to, undefined);
    // HTTP/1.0 knows no body whose length is not known (RFC 9112 6.1): that one is read first.
    const streams = !conf.proxy_request_buffering && (this.#request.version === 11 || exchange.request.bodyLength >= 0);
    if (streams && conf.proxy_pass_request_body && conf.proxy_set_body === undefined) {
      const source = body.stream(exchange.location.limits);
      // What came together with the head is a body that is there.
      return Promise.resolve().then(() =>
        body.whole === undefined ? this.#askStreaming(exchange, to, source) : this.#ask(exchange, to, body.whole),
      );
    }
    return body.read(exchange.location.limits).then((whole) => this.#ask(exchange, to, whole));
  }

  #ask(exchange: Exchange, to: Destination, body: BufferedBody | undefined): Promise<Reply | Jump> | Reply | Jump {
    const { proxy_set_body, proxy_pass_request_body } = this.#conf;
    if (proxy_set_body !== undefined) {
      const bytes = Buffer.from(proxy_set_body.value(exchange), "latin1");
      return this.#respond(exchange, to, { length: bytes.length, content: () => bytes, isUnbuffered: false });
    }
    if (!proxy_pass_request_body || body === undefined)
      return this.#respond(exchange, to, { length: undefined, content: () => undefined, isUnbuffered: false });
    const length = body.kind === "bytes" ? body.bytes.length : body.length;
    const content = () =>
      body.kind === "bytes"
        ? body.bytes
        : fileSource({ file: { fd: body.fd, release() {} }, offset: 0, length: body.length });
    return this.#respond(exchange, to, { length, content, isUnbuffered: false });
  }

  #askStreaming(exchange: Exchange, to: Destination, source: Source): Promise<Reply | Jump> {
    const body = new Untouched(new Joined(source));
    const sent = { length: exchange.request.bodyLength, content: () => body, isUnbuffered: true };
    return Promise.resolve(this.#respond(exchange, to, sent)).finally(() => body.drop("nobody wants it"));
  }

  #respond(exchange: Exchange, to: Destination, sent: Sent): Promise<Reply | Jump> | Reply | Jump {
    exchange.setNote(internalLength, sent.length);
    exchange.setNote(preparedKey, { to, sent } satisfies Prepared);
    if (this.#cache !== undefined) {
      const found = this.#cache.handle(exchange);
      return found instanceof Promise ? found.then((made) => withCookie(exchange, to, made)) : found;
    }
    return this.#attempt(exchange, to, sent, uncached).then((answer) => {
      const made = "head" in answer ? this.pass(exchange, answer) : errorReply(answer.status);
      return withCookie(exchange, to, made);
    });
  }

  #attempt(exchange: Exchange, to: Destination, { length, content, isUnbuffered }: Sent, wanted: Wanted) {
    const conf = this.#conf;
    const method = wanted.method ?? conf.proxy_method?.value(exchange) ?? exchange.method;
    const plan = wanted.forCache ? this.#cacheRequest : this.#request;
    const written = plan.setsLength && content() === undefined ? undefined : length;
    const head = proxiedHead(exchange, plan, { method, uri: to.uri, host: to.hostHeader }, written);
    const connect: ConnectOptions = {
      noDelay: true,
      keepAlive: conf.proxy_socket_keepalive,
      ...bound(exchange, conf.proxy_bind),
    };
    const options: AttemptOptions = {
      target: to.target,
      next: nextPolicy(conf),
      timers: this.#runtime.timers,
      connect,
      connectionKey: this.#connectionKey(to, connect),
      label: (name) => `http://${name}${to.uri}`,
      request: () => ({
        head,
        body: content(),
        timeouts: { connect: conf.proxy_connect_timeout, send: conf.proxy_send_timeout, read: conf.proxy_read_timeout },
        limits: {
          headLimit: conf.proxy_buffer_size,
          bareResponses: true,
          mayUpgrade: exchange.request.headers.has("upgrade"),
        },
      }),
      isUnbuffered,
      ignoresAbort: conf.proxy_ignore_client_abort || conf.proxy_store !== false || wanted.forCache,
      onInterim: (interim) => acceptedHints(exchange, interim, this.#reply.hidden),
    };
    return attempt(exchange, options).then((answer) => ("head" in answer ? this.#metered(exchange, answer) : answer));
  }

  /** Its body counted, and no faster than it may be. */
  #metered(exchange: Exchange, answer: UpstreamAnswer): UpstreamAnswer {
    const { body, state, head } = answer;
    const isUnbuffered = !this.#buffers(head.headers);
    const rate = isUnbuffered ? 0 : rateOf(exchange, this.#conf.proxy_limit_rate);
    if (body.kind !== "stream" && rate === 0) return { ...answer, isUnbuffered };
    let source = sourceOf(body);
    if (body.kind === "stream") source = counted(source, (bytes) => (state.length += bytes));
    if (rate > 0) source = new Paced(source, rate);
    return { ...answer, body: { kind: "stream", source }, isUnbuffered };
  }

  #buffers(headers: Headers): boolean {
    const told = headers.get("x-accel-buffering")?.toLowerCase();
    if (this.#reply.ignored.has("x-accel-buffering") || (told !== "yes" && told !== "no"))
      return this.#conf.proxy_buffering;
    return told === "yes";
  }

  // For the cache.

  key(exchange: Exchange): string | undefined {
    const to = destinationOf(exchange) ?? this.#find(exchange);
    return to instanceof Promise || "status" in to ? undefined : `http://${to.hostHeader}${to.uri}`;
  }

  async ask(exchange: Exchange, wanted: Wanted): Promise<UpstreamAnswer | OriginFailure> {
    const { to, sent } = preparedOf(exchange);
    const answer = await this.#attempt(exchange, to, sent, wanted);
    return "head" in answer ? answer : { failed: answer.reason, status: answer.status };
  }

  show(exchange: Exchange, head: OriginHead, body: Body, length: number): Reply | Jump {
    const made = proxiedReply(exchange, this.#reply, preparedOf(exchange).to, head);
    if ("to" in made) {
      dropBody(body, "X-Accel-Redirect");
      return made;
    }
    made.body = body;
    const said = exchange.method === "HEAD" ? head.headers.get("content-length") : undefined;
    const shown = length >= 0 ? String(length) : said;
    if (shown !== undefined && head.status !== 204) ownHeaders(made.head).add("Content-Length", shown);
    return made;
  }

  #connectionKey({ target }: Destination, { bind, transparent }: ConnectOptions): string {
    const from = bind === undefined ? "" : `${formatAddress(bind)}${transparent === true ? " transparent" : ""}`;
    return target.kept?.local === true ? `${from} ${this.#number}` : from;
  }

  /** What the client gets of a response that no cache keeps. */
  pass(exchange: Exchange, answer: UpstreamAnswer): Reply | Jump {
    const { head, body, tunnel, received } = answer;
    setUpstreamTrailers(exchange, () => received?.trailers);
    const made = proxiedReply(exchange, this.#reply, preparedOf(exchange).to, head);
    if ("to" in made) {
      dropBody(body, "X-Accel-Redirect");
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
    if (this.#conf.proxy_pass_trailers) {
      made.trailers = () => passedTrailers(received?.trailers, this.#reply.hidden);
      // Else nobody could see them.
      if (head.framing === "chunked") headers.delete("content-length");
    }
    return made;
  }

  #body(exchange: Exchange, { head, body, isUnbuffered }: UpstreamAnswer): Body {
    const conf = this.#conf;
    const store = head.status === 200 && conf.proxy_store !== false;
    if (body.kind !== "stream" && !store) return body;
    let source = sourceOf(body);
    if (store) source = stored(source, this.#storeOptions(exchange, head));
    if (conf.proxy_ignore_client_abort || store) source = finishing(source);
    if (isUnbuffered !== true && body.kind === "stream") source = this.#readAhead(exchange, source);
    // What is passed on as it comes goes at the upstream's pace, whatever `limit_rate` says.
    if (isUnbuffered === true) exchange.rate = 0;
    return { kind: "stream", source };
  }

  #readAhead(exchange: Exchange, source: Source): Source {
    const { proxy_buffers, proxy_buffer_size, proxy_max_temp_file_size } = this.#conf;
    return new ReadAhead(source, {
      memoryBytes: proxy_buffer_size + proxy_buffers.count * proxy_buffers.size,
      fileBytes: proxy_max_temp_file_size,
      onFile: () => exchange.log("warn", "an upstream response is buffered to a temporary file while reading upstream"),
    });
  }

  #storeOptions(exchange: Exchange, { headers, bodyLength }: UpstreamAnswer["head"]): StoreOptions {
    const { proxy_store, proxy_store_access } = this.#conf;
    return {
      path:
        typeof proxy_store === "object"
          ? proxy_store.value(exchange)
          : exchange.location.documents.path(exchange, exchange.uri),
      access: proxy_store_access,
      lastModified: headers.get("last-modified"),
      length: bodyLength,
      onError: (message) => exchange.log("crit", message),
    };
  }
}

function rateOf(exchange: Exchange, rate: Template | undefined): number {
  return rate === undefined ? 0 : (parseSize(rate.value(exchange)) ?? 0);
}

let lastNumber = 0;

const uncached: Wanted = { forCache: false, method: undefined };

/** `sticky`: which peer the client is to ask again. */
function withCookie(exchange: Exchange, { target }: Destination, made: Reply | Jump): Reply | Jump {
  const cookie = target.sticky === undefined ? undefined : stickyCookie(exchange);
  if (cookie !== undefined && "head" in made) ownHeaders(made.head).add("Set-Cookie", cookie);
  return made;
}

const destinationOf = (exchange: Exchange): Destination | undefined => exchange.note<Destination>(destinationKey);

export const proxyModule = defineModule({
  name: "proxy",
  directives: proxyDirectives,
  variables: {
    proxy_host: {
      summary: "The upstream's name and port, as proxy_pass has them.",
      get: (exchange) => destinationOf(exchange)?.hostHeader,
    },
    proxy_port: { summary: "The upstream's port.", get: (exchange) => destinationOf(exchange)?.port },
    proxy_add_x_forwarded_for: {
      summary: "X-Forwarded-For with the client's address added.",
      get({ request: { headers }, client }) {
        const before = headers.all("x-forwarded-for").join(", ");
        const address = client.peerAddress === "" ? "unix:" : client.peerAddress;
        return before === "" ? address : `${before}, ${address}`;
      },
    },
    proxy_internal_body_length: {
      summary: "The length of the body that is passed on.",
      get: (exchange) => {
        const length = exchange.note<BodyLength>(internalLength);
        return length !== undefined && length >= 0 ? String(length) : undefined;
      },
    },
    proxy_internal_chunked: {
      summary: '"chunked" if the body is passed on so.',
      get: (exchange) => (exchange.note<BodyLength>(internalLength) === -1 ? "chunked" : undefined),
    },
  },
  prepare(http, setup) {
    checkProxyPass(http, setup);
    checkCaches("proxy", http);
  },
  compile(conf, at) {
    // All caches are looked after, used or not.
    storesOf(at.runtime, conf.proxy_cache_path);
    if (conf.proxy_pass === undefined) return {};
    return { content: new ProxyPass(conf, at).handle, addsSlash: true };
  },
});
