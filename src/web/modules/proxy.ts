/** ngx_http_proxy_module: requests are passed to another HTTP server. */
import { formatAddress } from "../../base/address.ts";
import { parseSize } from "../../config/values.ts";
import { type Body, ownHeaders, type Reply, type Source } from "../../http/message.ts";
import type { ConnectOptions } from "../../net/connect.ts";
import { sourceOf } from "../body_change.ts";
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
import { counted, finishing, Paced, Untouched } from "../upstream/sources.ts";
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

function requestPlan(conf: Conf<typeof proxyDirectives>): RequestPlan & { readonly setsLength: boolean } {
  const fields = conf.proxy_set_header;
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

/** A request's body as it is sent. */
interface Sent {
  readonly length: BodyLength;
  readonly content: () => Uint8Array | Source | undefined;
  readonly isUnbuffered: boolean;
}

class ProxyPass {
  /** Tells it from other locations'. */
  readonly #number = ++lastNumber;
  readonly #conf: Conf<typeof proxyDirectives>;
  readonly #runtime: Runtime;
  readonly #find: (
    exchange: Exchange,
  ) => Destination | { readonly status: number } | Promise<Destination | { readonly status: number }>;
  readonly #request: ReturnType<typeof requestPlan>;
  readonly #reply: ReplyPlan;

  constructor(conf: Conf<typeof proxyDirectives>, at: Compiling) {
    this.#conf = conf;
    this.#runtime = at.runtime;
    this.#find = destinations(conf, at);
    this.#request = requestPlan(conf);
    this.#reply = replyPlan(conf, at);
  }

  readonly handle: Handler = (exchange) => {
    const found = this.#find(exchange);
    if (found instanceof Promise) return found.then((later) => this.#withDestination(exchange, later));
    return this.#withDestination(exchange, found);
  };

  #withDestination(exchange: Exchange, to: Destination | { readonly status: number }): Promise<Reply | Jump> | Reply {
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

  #ask(exchange: Exchange, to: Destination, body: BufferedBody | undefined): Promise<Reply | Jump> {
    const { proxy_set_body, proxy_pass_request_body } = this.#conf;
    if (proxy_set_body !== undefined) {
      const bytes = Buffer.from(proxy_set_body.value(exchange), "latin1");
      return this.#attempt(exchange, to, { length: bytes.length, content: () => bytes, isUnbuffered: false });
    }
    if (!proxy_pass_request_body || body === undefined)
      return this.#attempt(exchange, to, { length: undefined, content: () => undefined, isUnbuffered: false });
    const length = body.kind === "bytes" ? body.bytes.length : body.length;
    const content = () =>
      body.kind === "bytes"
        ? body.bytes
        : fileSource({ file: { fd: body.fd, release() {} }, offset: 0, length: body.length });
    return this.#attempt(exchange, to, { length, content, isUnbuffered: false });
  }

  #askStreaming(exchange: Exchange, to: Destination, source: Source): Promise<Reply | Jump> {
    const body = new Untouched(source);
    const sent = { length: exchange.request.bodyLength, content: () => body, isUnbuffered: true };
    return this.#attempt(exchange, to, sent).finally(() => body.drop("nobody wants it"));
  }

  #attempt(exchange: Exchange, to: Destination, { length, content, isUnbuffered }: Sent): Promise<Reply | Jump> {
    const conf = this.#conf;
    exchange.setNote(internalLength, length);
    const method = conf.proxy_method?.value(exchange) ?? exchange.method;
    const written = this.#request.setsLength && content() === undefined ? undefined : length;
    const head = proxiedHead(exchange, this.#request, { method, uri: to.uri, host: to.hostHeader }, written);
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
      ignoresAbort: conf.proxy_ignore_client_abort || conf.proxy_store !== false,
      onInterim: (interim) => acceptedHints(exchange, interim, this.#reply.hidden),
    };
    return attempt(exchange, options).then((answer) => {
      const made = "head" in answer ? this.#answer(exchange, to, answer) : errorReply(answer.status);
      const cookie = to.target.sticky === undefined ? undefined : stickyCookie(exchange);
      if (cookie !== undefined && "head" in made) ownHeaders(made.head).add("Set-Cookie", cookie);
      return made;
    });
  }

  #connectionKey({ target }: Destination, { bind, transparent }: ConnectOptions): string {
    const from = bind === undefined ? "" : `${formatAddress(bind)}${transparent === true ? " transparent" : ""}`;
    return target.kept?.local === true ? `${from} ${this.#number}` : from;
  }

  #answer(exchange: Exchange, to: Destination, answer: UpstreamAnswer): Reply | Jump {
    const { head, body, tunnel, received } = answer;
    setUpstreamTrailers(exchange, () => received?.trailers);
    const made = proxiedReply(exchange, this.#reply, to, head);
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

  #body(exchange: Exchange, { head, body, state }: UpstreamAnswer): Body {
    const conf = this.#conf;
    const buffers =
      this.#reply.ignored.has("x-accel-buffering") || !/^(yes|no)$/i.test(head.headers.get("x-accel-buffering") ?? "")
        ? conf.proxy_buffering
        : head.headers.get("x-accel-buffering")?.toLowerCase() === "yes";
    const rate = buffers ? rateOf(exchange, conf.proxy_limit_rate) : 0;
    const store = head.status === 200 && conf.proxy_store !== false;
    if (body.kind !== "stream" && rate === 0 && !store) return body;
    let source = sourceOf(body);
    if (body.kind === "stream") source = counted(source, (bytes) => (state.length += bytes));
    if (rate > 0) source = new Paced(source, rate);
    if (store) source = stored(source, this.#storeOptions(exchange, head));
    if (conf.proxy_ignore_client_abort || store) source = finishing(source);
    if (buffers && body.kind === "stream") source = this.#readAhead(exchange, source);
    // What is passed on as it comes goes at the upstream's pace, whatever `limit_rate` says.
    if (!buffers) exchange.rate = 0;
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
  prepare: checkProxyPass,
  compile(conf, at) {
    if (conf.proxy_pass === undefined) return {};
    return { content: new ProxyPass(conf, at).handle, addsSlash: true };
  },
});
