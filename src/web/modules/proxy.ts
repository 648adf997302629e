/** ngx_http_proxy_module: requests are passed to another HTTP server. */
import type { ClientEngine, ClientHead } from "../../http/client_engine.ts";
import { H1Client } from "../../http/h1/client.ts";
import { H2Client } from "../../http/h2/client.ts";
import type { Reply } from "../../http/message.ts";
import type { OriginHead, Wanted } from "../cache/origin.ts";
import { checkCaches } from "../cache/rows.ts";
import { etagOf, lastModifiedOf } from "../cache/state.ts";
import { storesOf } from "../cache/stores.ts";
import type { Conf } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { type Compiling, defineModule } from "../module.ts";
import type { Jump } from "../pipeline.ts";
import { destinationOf, Passing, type Protocol, sentLength } from "../upstream/passing.ts";
import { type BodyLength, hopFields, proxiedH2Head, proxiedHead, type RequestPlan } from "../upstream/proxied.ts";
import { checkProxyPass, type Destination, destinations } from "../upstream/proxy_pass.ts";
import { proxiedReply, proxyReplyPlan, type ReplyPlan } from "../upstream/proxy_reply.ts";
import { proxyDirectives } from "../upstream/proxy_rows.ts";
import type { SecureWay, UpstreamSecurity } from "../upstream/security.ts";
import { checkUpstreamSecurity, upstreamSecurity } from "../upstream/security_of.ts";

const versions = { "1.0": 10, "1.1": 11, "2": 20 } as const;

function requestPlan(conf: Conf<typeof proxyDirectives>, own: RequestPlan["fields"] = []): RequestPlan {
  const given = new Set(conf.proxy_set_header.map(({ name }) => name.toLowerCase()));
  const fields = [...conf.proxy_set_header, ...own.filter(({ name }) => !given.has(name.toLowerCase()))];
  const set = new Set(fields.map(({ name }) => name.toLowerCase()));
  return {
    version: versions[conf.proxy_http_version],
    fields,
    hidden: new Set([...hopFields, ...set]),
    passesFields: conf.proxy_pass_request_headers,
    setsHost: set.has("host"),
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

class HttpProtocol implements Protocol<Destination> {
  readonly name = "proxy";
  readonly connectionKind: string;
  readonly hidden: ReadonlySet<string>;
  readonly passesTrailers: boolean;
  readonly find: Protocol<Destination>["find"];
  readonly #conf: Conf<typeof proxyDirectives>;
  readonly #request: RequestPlan;
  readonly #cacheRequest: RequestPlan;
  readonly #reply: ReplyPlan;
  readonly #security: UpstreamSecurity | undefined;
  /** Offered in a handshake (ALPN). */
  readonly #protocols: readonly string[];

  constructor(conf: Conf<typeof proxyDirectives>, at: Compiling) {
    this.#conf = conf;
    this.find = destinations(conf, at);
    this.#request = requestPlan(conf);
    const isH2 = this.#request.version === 20;
    this.#protocols = isH2 ? ["h2"] : [];
    this.connectionKind = isH2 ? "proxy h2" : "proxy";
    this.#cacheRequest = requestPlan(conf, cacheFields);
    this.#reply = proxyReplyPlan(conf, at);
    this.hidden = this.#reply.hidden;
    this.passesTrailers = conf.proxy_pass_trailers;
    this.#security = upstreamSecurity("proxy", conf, at.block, at.setup);
  }

  engine(): ClientEngine {
    return this.#request.version === 20 ? new H2Client() : new H1Client();
  }

  head(exchange: Exchange, to: Destination, wanted: Wanted, body: BodyLength): ClientHead {
    const method = wanted.method ?? this.#conf.proxy_method?.value(exchange) ?? exchange.method;
    const plan = wanted.forCache ? this.#cacheRequest : this.#request;
    const { scheme, uri, hostHeader } = to;
    const { version } = plan;
    if (version === 20)
      return proxiedH2Head(exchange, plan, { method, scheme, path: uri, authority: hostHeader }, body);
    return proxiedHead(exchange, { ...plan, version }, { method, uri, host: hostHeader }, body);
  }

  replacedBody(exchange: Exchange): Uint8Array | undefined {
    const text = this.#conf.proxy_set_body?.value(exchange);
    return text === undefined ? undefined : Buffer.from(text, "latin1");
  }

  /** HTTP/1.0 knows no body whose length is not known (RFC 9112 6.1): that one is read first. */
  streams(length: number): boolean {
    return this.#request.version !== 10 || length >= 0;
  }

  way(exchange: Exchange, { scheme, hostHeader }: Destination): SecureWay | undefined {
    return scheme === "https" ? this.#security?.way(exchange, hostHeader, this.#protocols) : undefined;
  }

  label(name: string, { scheme, uri }: Destination): string {
    return `${scheme}://${name}${uri}`;
  }

  reply(exchange: Exchange, to: Destination, head: OriginHead): Reply | Jump {
    return proxiedReply(exchange, this.#reply, to, head);
  }

  cacheKey({ scheme, hostHeader, uri }: Destination): string {
    return `${scheme}://${hostHeader}${uri}`;
  }
}

const destination = (exchange: Exchange): Destination | undefined => destinationOf<Destination>(exchange, "proxy");

export const proxyModule = defineModule({
  name: "proxy",
  directives: proxyDirectives,
  variables: {
    proxy_host: {
      summary: "The upstream's name and port, as proxy_pass has them.",
      get: (exchange) => destination(exchange)?.hostHeader,
    },
    proxy_port: { summary: "The upstream's port.", get: (exchange) => destination(exchange)?.port },
    proxy_add_x_forwarded_for: {
      summary: "X-Forwarded-For with the client's address added.",
      get({ request: { headers }, client }) {
        const before = headers.all("x-forwarded-for");
        const address = client.peerAddress === "" ? "unix:" : client.peerAddress;
        return [...before, address].join(", ");
      },
    },
    proxy_internal_body_length: {
      summary: "The length of the body that is passed on.",
      get: (exchange) => {
        const length = sentLength(exchange, "proxy");
        return length !== undefined && length >= 0 ? String(length) : undefined;
      },
    },
    proxy_internal_chunked: {
      summary: '"chunked" if the body is passed on so.',
      get: (exchange) => (sentLength(exchange, "proxy") === -1 ? "chunked" : undefined),
    },
  },
  prepare(http, setup) {
    checkProxyPass(http, setup);
    checkUpstreamSecurity("proxy", proxyDirectives, http, setup);
    checkCaches("proxy", http);
  },
  compile(conf, at) {
    // All caches are looked after, used or not.
    storesOf(at.runtime, conf.proxy_cache_path);
    if (conf.proxy_pass === undefined) return {};
    return { content: new Passing(new HttpProtocol(conf, at), conf, at.runtime).handle, addsSlash: true };
  },
});
