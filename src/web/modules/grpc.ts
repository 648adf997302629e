/** ngx_http_grpc_module: requests are passed to gRPC servers, which speak HTTP/2; both bodies are passed on as they come. */
import { H2Client, type H2RequestHead } from "../../http/h2/client.ts";
import type { Reply } from "../../http/message.ts";
import type { OriginHead, Wanted } from "../cache/origin.ts";
import type { Conf } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { type Compiling, defineModule } from "../module.ts";
import type { Jump } from "../pipeline.ts";
import {
  type AddressFound,
  type AddressPass,
  addressFinder,
  addressLabel,
  addressPassRow,
  checkAddressPass,
} from "../upstream/address_pass.ts";
import { Passing, type Protocol } from "../upstream/passing.ts";
import { passingConf, passingRows } from "../upstream/passing_rows.ts";
import { acceptsTrailers, type BodyLength, hopFields, proxiedH2Head, type RequestPlan } from "../upstream/proxied.ts";
import { hostHeaderOf, unchanged } from "../upstream/proxy_pass.ts";
import { proxiedReply, type ReplyPlan, replyPlan } from "../upstream/proxy_reply.ts";
import { setHeaderRow } from "../upstream/proxy_rows.ts";
import type { SecureWay, UpstreamSecurity } from "../upstream/security.ts";
import { checkUpstreamSecurity, upstreamSecurity } from "../upstream/security_of.ts";
import { upstreamTlsRows } from "../upstream/tls_rows.ts";

const schemes = { plain: "grpc", secure: "grpcs" };
const common = passingRows("grpc");

const directives = {
  grpc_pass: addressPassRow(schemes),
  grpc_bind: common.grpc_bind,
  grpc_buffer_size: common.grpc_buffer_size,
  grpc_connect_timeout: common.grpc_connect_timeout,
  grpc_send_timeout: common.grpc_send_timeout,
  grpc_read_timeout: common.grpc_read_timeout,
  grpc_hide_header: common.grpc_hide_header,
  grpc_pass_header: common.grpc_pass_header,
  grpc_ignore_headers: common.grpc_ignore_headers,
  grpc_intercept_errors: common.grpc_intercept_errors,
  grpc_next_upstream: common.grpc_next_upstream,
  grpc_next_upstream_tries: common.grpc_next_upstream_tries,
  grpc_next_upstream_timeout: common.grpc_next_upstream_timeout,
  grpc_socket_keepalive: common.grpc_socket_keepalive,
  grpc_socket_rcvbuf: common.grpc_socket_rcvbuf,
  grpc_socket_sndbuf: common.grpc_socket_sndbuf,
  grpc_set_header: setHeaderRow("Content-Length $content_length"),
  ...upstreamTlsRows("grpc"),
};

/** What other modules leave to their configurations. */
const fixed = { grpc_buffering: false, grpc_request_buffering: false };

function requestPlan({ grpc_set_header: given }: Conf<typeof directives>): RequestPlan {
  const set = new Set(given.map(({ name }) => name.toLowerCase()));
  return {
    version: 20,
    fields: set.has("te") ? given : [acceptsTrailers, ...given],
    hidden: new Set([...hopFields, ...set]),
    passesFields: true,
    setsHost: set.has("host"),
  };
}

const offered = ["h2"];
const nowhere = { redirectFrom: undefined };

class GrpcProtocol implements Protocol<AddressFound> {
  readonly name = "grpc";
  readonly passesTrailers = true;
  readonly hidden: ReadonlySet<string>;
  readonly find: Protocol<AddressFound>["find"];
  readonly #request: RequestPlan;
  readonly #reply: ReplyPlan;
  readonly #security: UpstreamSecurity | undefined;

  constructor(pass: AddressPass, conf: Conf<typeof directives>, at: Compiling) {
    this.find = addressFinder(pass, at, schemes);
    this.#request = requestPlan(conf);
    this.#reply = replyPlan(passingConf("grpc", conf), ["date", "server"]);
    this.hidden = this.#reply.hidden;
    this.#security = upstreamSecurity("grpc", conf, at.block, at.setup);
  }

  engine(): H2Client {
    return new H2Client();
  }

  head(exchange: Exchange, { authority, secure }: AddressFound, _: Wanted, body: BodyLength): H2RequestHead {
    const to = {
      method: exchange.method,
      scheme: secure ? "https" : "http",
      path: unchanged(exchange),
      authority: hostHeaderOf(authority),
    } as const;
    // A length that the client has not named is not named either: a call goes on until its end.
    const length =
      body === undefined || exchange.request.headers.has("content-length") ? body : body === 0 ? undefined : -1;
    return proxiedH2Head(exchange, this.#request, to, length);
  }

  streams(): boolean {
    return true;
  }

  way(exchange: Exchange, { authority, secure }: AddressFound): SecureWay | undefined {
    return secure ? this.#security?.way(exchange, hostHeaderOf(authority), offered) : undefined;
  }

  label(name: string, { secure }: AddressFound): string {
    return addressLabel(secure ? schemes.secure : schemes.plain, name);
  }

  reply(exchange: Exchange, _: AddressFound, head: OriginHead): Reply | Jump {
    return proxiedReply(exchange, this.#reply, nowhere, head);
  }

  /** Nothing is kept. */
  cacheKey(): string {
    return "";
  }
}

export const grpcModule = defineModule({
  name: "grpc",
  directives,
  prepare(http, setup) {
    checkAddressPass("grpc_pass", http);
    checkUpstreamSecurity("grpc", directives, http, setup);
  },
  compile(conf, at) {
    const pass = conf.grpc_pass;
    if (pass === undefined) return {};
    // Messages are passed on at once, whatever a server says of buffers.
    const grpc_ignore_headers = new Set([...conf.grpc_ignore_headers, "x-accel-buffering"]);
    const protocol = new GrpcProtocol(pass, conf, at);
    const handler = new Passing(protocol, { ...conf, ...fixed, grpc_ignore_headers }, at.runtime).handle;
    return { content: handler, addsSlash: true };
  },
});
