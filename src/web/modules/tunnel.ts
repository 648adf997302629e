/** ngx_http_tunnel_module: CONNECT makes the connection a tunnel to another server (RFC 9110 9.3.6). HTTP/1.1 only, as with Nginx. */
import type { ClientHead } from "../../http/client_engine.ts";
import { Headers } from "../../http/headers.ts";
import { emptyBody, type Reply } from "../../http/message.ts";
import { TunnelClient } from "../../http/tunnel_client.ts";
import type { Block } from "../build.ts";
import { accepted, context, type Directive, everywhere } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { type Compiling, defineModule } from "../module.ts";
import {
  type AddressFound,
  type AddressPass,
  addressFinder,
  addressPassRow,
  checkAddressPass,
} from "../upstream/address_pass.ts";
import { Passing, type Protocol } from "../upstream/passing.ts";
import { passingRows } from "../upstream/passing_rows.ts";

const common = passingRows("tunnel");
const addressRow = addressPassRow();

const passRow: Directive<AddressPass | undefined> = {
  ...addressRow,
  summary: "CONNECT is answered with a tunnel to this address.",
  syntax: "[address]",
  initialText: "$host:$request_port",
  contexts: context.server | context.location | context.locationIf,
  args: [0, 1],
  parse(statement, before, use) {
    const args = statement.args.length === 0 ? ["$host:$request_port"] : statement.args;
    return addressRow.parse({ ...statement, args }, before, use);
  },
};

const directives = {
  tunnel_pass: passRow,
  tunnel_bind: common.tunnel_bind,
  tunnel_buffer_size: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "size",
    deviation: "what has come is passed on at once",
  }),
  tunnel_connect_timeout: common.tunnel_connect_timeout,
  tunnel_next_upstream: common.tunnel_next_upstream,
  tunnel_next_upstream_tries: common.tunnel_next_upstream_tries,
  tunnel_next_upstream_timeout: common.tunnel_next_upstream_timeout,
  tunnel_read_timeout: { ...common.tunnel_read_timeout, summary: "How long nothing may come through a tunnel." },
  tunnel_send_timeout: common.tunnel_send_timeout,
  tunnel_socket_keepalive: common.tunnel_socket_keepalive,
  tunnel_socket_rcvbuf: common.tunnel_socket_rcvbuf,
  tunnel_socket_sndbuf: common.tunnel_socket_sndbuf,
  tunnel_send_lowat: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: "Linux has no use for it" }),
};

/** What other modules leave to their configurations. */
const fixed = { tunnel_buffering: false, tunnel_pass_request_body: false };

class TunnelProtocol implements Protocol<AddressFound> {
  readonly name = "tunnel";
  readonly hidden: ReadonlySet<string> = new Set();
  readonly find: Protocol<AddressFound>["find"];

  constructor(pass: AddressPass, at: Compiling) {
    this.find = addressFinder(pass, at);
  }

  engine(): TunnelClient {
    return new TunnelClient();
  }

  head(exchange: Exchange): ClientHead {
    return { method: exchange.method, bodyLength: undefined };
  }

  streams(): boolean {
    return false;
  }

  label(name: string): string {
    return name;
  }

  reply(): Reply {
    return { head: { status: 200, headers: new Headers(), tunnel: true }, body: emptyBody, isJudged: true };
  }

  /** Nothing is kept. */
  cacheKey(): string {
    return "";
  }
}

/** Is there a tunnel_pass in a server? Elsewhere CONNECT is refused before anybody is asked. */
export const mayTunnel = (block: Block): boolean =>
  block.own("tunnel_pass") !== undefined || block.children.some(mayTunnel);

export const tunnelModule = defineModule({
  name: "tunnel",
  directives,
  prepare: (http) => checkAddressPass("tunnel_pass", http),
  compile(conf, at) {
    const pass = conf.tunnel_pass;
    if (pass === undefined) return {};
    const { handle } = new Passing(new TunnelProtocol(pass, at), { ...conf, ...fixed }, at.runtime);
    return {
      content(exchange) {
        const { request, method } = exchange;
        return method === "CONNECT" && request.version === 11 ? handle(exchange) : errorReply(405);
      },
    };
  },
});
