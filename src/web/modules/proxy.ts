/** ngx_http_proxy_module: requests are passed to another HTTP server. */
import type { Reply, Source } from "../../http/message.ts";
import { ownHeaders } from "../../http/message.ts";
import type { Conf } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { fileSource } from "../file_source.ts";
import { type Compiling, defineModule, type Runtime } from "../module.ts";
import type { Handler, Jump } from "../pipeline.ts";
import type { BufferedBody } from "../request_body.ts";
import { type AttemptOptions, attempt, type UpstreamResponse } from "../upstream/attempts.ts";
import { readAhead } from "../upstream/buffering.ts";
import { acceptedHints } from "../upstream/hints.ts";
import { type BodyLength, proxiedHead, type RequestPlan } from "../upstream/proxied.ts";
import { checkProxyPass, type Destination, destinations } from "../upstream/proxy_pass.ts";
import { proxiedReply, type ReplyPlan, replyPlan } from "../upstream/proxy_reply.ts";
import { nextPolicy, proxyDirectives } from "../upstream/proxy_rows.ts";
import { setUpstreamTrailers } from "../upstream/state.ts";
import type { UpstreamRequest } from "../upstream/upstream_connection.ts";

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

class ProxyPass {
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
    if (streams && conf.proxy_pass_request_body && conf.proxy_set_body === undefined)
      return this.#askStreaming(exchange, to, body.stream(exchange.location.limits));
    return body.read(exchange.location.limits).then((whole) => this.#ask(exchange, to, whole));
  }

  #ask(exchange: Exchange, to: Destination, body: BufferedBody | undefined): Promise<Reply | Jump> {
    const { proxy_set_body, proxy_pass_request_body } = this.#conf;
    if (proxy_set_body !== undefined) {
      const bytes = Buffer.from(proxy_set_body.value(exchange), "latin1");
      return this.#attempt(exchange, to, bytes.length, () => bytes, false);
    }
    const sendsBody = proxy_pass_request_body && body !== undefined;
    const length = body === undefined ? undefined : body.kind === "bytes" ? body.bytes.length : body.length;
    const content = (): Uint8Array | Source | undefined => {
      if (!sendsBody) return undefined;
      if (body.kind === "bytes") return body.bytes;
      return fileSource({ file: { fd: body.fd, release() {} }, offset: 0, length: body.length });
    };
    return this.#attempt(exchange, to, length, content, false);
  }

  #askStreaming(exchange: Exchange, to: Destination, source: Source): Promise<Reply | Jump> {
    const { bodyLength } = exchange.request;
    return this.#attempt(exchange, to, bodyLength, () => source, true);
  }

  #attempt(
    exchange: Exchange,
    to: Destination,
    length: BodyLength,
    body: () => UpstreamRequest["body"],
    isUnbuffered: boolean,
  ): Promise<Reply | Jump> {
    const conf = this.#conf;
    exchange.setNote(internalLength, length);
    const method = conf.proxy_method?.value(exchange) ?? exchange.method;
    const written = this.#request.setsLength ? undefined : length;
    const head = proxiedHead(exchange, this.#request, { method, uri: to.uri, host: to.hostHeader }, written);
    const options: AttemptOptions = {
      target: to.target,
      next: nextPolicy(conf),
      headLimit: conf.proxy_buffer_size,
      timers: this.#runtime.timers,
      label: `http://${to.target.name}${to.uri}`,
      request: () => ({
        head,
        body: body(),
        timeouts: { connect: conf.proxy_connect_timeout, send: conf.proxy_send_timeout, read: conf.proxy_read_timeout },
      }),
      isUnbuffered,
      onInterim: (interim) => acceptedHints(exchange, interim),
      onTrailers: (trailers) => setUpstreamTrailers(exchange, trailers),
    };
    return attempt(exchange, options).then((response) => {
      if (!("head" in response)) return errorReply(response.status);
      return this.#answer(exchange, to, response);
    });
  }

  #answer(exchange: Exchange, to: Destination, response: UpstreamResponse): Reply | Jump {
    const { head, body, connection } = response;
    const made = proxiedReply(exchange, this.#reply, to, head);
    if ("to" in made) {
      body?.cancel("X-Accel-Redirect");
      return made;
    }
    if (head.status === 101) return this.#upgraded(made, response);
    const length = head.headers.get("content-length");
    if (length !== undefined) ownHeaders(made.head).add("Content-Length", length);
    if (body === undefined) return made;
    const whole = connection.takeWhole();
    if (whole !== undefined) {
      response.state.length = whole.length;
      if (length === undefined) ownHeaders(made.head).add("Content-Length", String(whole.length));
      made.body = { kind: "bytes", bytes: whole };
      return made;
    }
    const counted = counting(body, response);
    const buffers = this.#conf.proxy_buffering && head.headers.get("x-accel-buffering")?.toLowerCase() !== "no";
    made.body = { kind: "stream", source: buffers ? readAhead(counted) : counted };
    return made;
  }

  #upgraded(made: Reply, { connection }: UpstreamResponse): Reply {
    made.tunnel = {
      source: connection,
      sink: {
        push: (bytes, last) => {
          if (connection.tunnel(bytes, last)) made.tunnel?.onWanted?.();
        },
        fail: () => connection.close(),
      },
      onWanted: undefined,
    };
    connection.startTunnel(this.#conf.proxy_read_timeout, () => made.tunnel?.onWanted?.());
    return made;
  }
}

/** Counts what comes through, for $upstream_response_length. */
function counting(source: Source, { state }: UpstreamResponse): Source {
  return {
    pull: (to) =>
      source.pull({
        push: (bytes, last) => {
          state.length += bytes.length;
          to.push(bytes, last);
        },
        fail: (reason) => to.fail(reason),
      }),
    cancel: (reason) => source.cancel(reason),
  };
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
  prepare: checkProxyPass,
  compile(conf, at) {
    if (conf.proxy_pass === undefined) return {};
    return { content: new ProxyPass(conf, at).handle, addsSlash: true };
  },
});
