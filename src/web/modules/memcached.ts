/** ngx_http_memcached_module: responses are values in memcached. */
import { ConfigError } from "../../config/statement.ts";
import { MemcachedClient, type MemcachedHead, memcachedKey } from "../../http/memcached/client.ts";
import { ownHeaders, type Reply } from "../../http/message.ts";
import type { OriginHead } from "../cache/origin.ts";
import { type Directive, duplicate, everywhere, number } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { type Compiling, defineModule } from "../module.ts";
import type { Jump } from "../pipeline.ts";
import {
  type AddressPass,
  addressFinder,
  addressLabel,
  addressPassRow,
  checkAddressPass,
} from "../upstream/address_pass.ts";
import type { NextReason } from "../upstream/attempts.ts";
import { Passing, type Protocol, type Whither } from "../upstream/passing.ts";
import { passingRows } from "../upstream/passing_rows.ts";

/** Nginx's words for what others call by HTTP's statuses. */
const nextReasons: Readonly<Record<string, NextReason>> = {
  error: "error",
  timeout: "timeout",
  invalid_response: "invalid_header",
  not_found: "http_404",
};

const nextRow: Directive<ReadonlySet<NextReason>> = {
  summary: "When a request is passed to the next server.",
  syntax: "error | timeout | invalid_response | not_found | off …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: new Set<NextReason>(["error", "timeout"]),
  initialText: "error timeout",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const reasons = new Set<NextReason>();
    for (const word of statement.args) {
      const reason = nextReasons[word];
      if (word !== "off" && reason === undefined) throw new ConfigError(`invalid value "${word}"`, statement.at);
      if (reason !== undefined) reasons.add(reason);
    }
    return statement.args.includes("off") ? new Set() : reasons;
  },
};

const common = passingRows("memcached");

const directives = {
  memcached_pass: addressPassRow(),
  memcached_bind: common.memcached_bind,
  memcached_socket_keepalive: common.memcached_socket_keepalive,
  memcached_connect_timeout: common.memcached_connect_timeout,
  memcached_send_timeout: common.memcached_send_timeout,
  memcached_read_timeout: common.memcached_read_timeout,
  memcached_buffer_size: common.memcached_buffer_size,
  memcached_next_upstream: nextRow,
  memcached_next_upstream_tries: common.memcached_next_upstream_tries,
  memcached_next_upstream_timeout: common.memcached_next_upstream_timeout,
  memcached_gzip_flag: number({
    contexts: everywhere,
    initial: 0,
    summary: "The bits of a value's flags that say that it is compressed with gzip.",
  }),
};

/** What other modules leave to their configurations. */
const fixed = { memcached_buffering: false, memcached_pass_request_body: false };

const keyNote = Symbol("memcached_key");

class MemcachedProtocol implements Protocol<Whither> {
  readonly name = "memcached";
  readonly hidden: ReadonlySet<string> = new Set();
  readonly find: Protocol<Whither>["find"];
  readonly #gzipFlag: number;

  constructor(pass: AddressPass, gzipFlag: number, at: Compiling) {
    this.find = addressFinder(pass, at);
    this.#gzipFlag = gzipFlag;
  }

  engine(): MemcachedClient {
    return new MemcachedClient();
  }

  head(exchange: Exchange): MemcachedHead {
    const key = memcachedKey(exchange.main.note<string>(keyNote) ?? "");
    return { method: exchange.method, bodyLength: undefined, key, gzipFlag: this.#gzipFlag };
  }

  streams(): boolean {
    return false;
  }

  label(name: string): string {
    return addressLabel(this.name, name);
  }

  reply(exchange: Exchange, _: Whither, { status, headers }: OriginHead): Reply | Jump {
    if (status === 404) return errorReply(404);
    const reply: Reply = { head: { status, headers }, body: { kind: "empty" }, isJudged: "conditions" };
    const own = ownHeaders(reply.head);
    own.delete("content-length");
    own.set("Content-Type", exchange.location.contentType(exchange.uri));
    own.set("Accept-Ranges", "bytes");
    return reply;
  }

  cacheKey(): string {
    return "";
  }
}

export const memcachedModule = defineModule({
  name: "memcached",
  directives,
  variables: {
    memcached_key: {
      summary: "The key of the value that is asked for; to be set.",
      get: ({ main }) => main.note<string>(keyNote),
      set: ({ main }, value) => main.setNote(keyNote, value),
    },
  },
  prepare: (http) => checkAddressPass("memcached_pass", http),
  compile(conf, at) {
    const pass = conf.memcached_pass;
    if (pass === undefined) return {};
    const protocol = new MemcachedProtocol(pass, conf.memcached_gzip_flag, at);
    const passing = new Passing(protocol, { ...conf, ...fixed }, at.runtime);
    const content = (exchange: Exchange) =>
      exchange.method === "GET" || exchange.method === "HEAD" ? passing.handle(exchange) : errorReply(405);
    return { content, addsSlash: true };
  },
});
