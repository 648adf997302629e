/** What fastcgi, uwsgi and scgi have in common: params, an address, a response of CGI's kind. */
import type { GatewayHead } from "../../http/cgi/params.ts";
import type { ClientEngine } from "../../http/client_engine.ts";
import type { Reply } from "../../http/message.ts";
import type { Block } from "../build.ts";
import type { OriginHead, Wanted } from "../cache/origin.ts";
import { type CacheChoice, checkCaches } from "../cache/rows.ts";
import type { Conf, Directives } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Compiling } from "../module.ts";
import type { Jump } from "../pipeline.ts";
import type { Setup } from "../setup.ts";
import {
  type AddressFound,
  type AddressPass,
  addressFinder,
  addressLabel,
  checkAddressPass,
  type Schemes,
} from "./address_pass.ts";
import { cacheParams, ParamPlan, type paramRow, usualParams } from "./params.ts";
import type { Protocol, Whither } from "./passing.ts";
import { passingConf } from "./passing_rows.ts";
import type { BodyLength } from "./proxied.ts";
import { proxiedReply, type ReplyPlan, replyPlan } from "./proxy_reply.ts";
import type { SecureWay, UpstreamSecurity } from "./security.ts";

/** What a protocol adds. H: its requests' heads. */
export interface GatewayKind<H extends GatewayHead> {
  /** The directives' prefix, and the scheme of its URLs. */
  readonly name: string;
  engine(): ClientEngine<H>;
  /** Besides params and body. */
  readonly more: Omit<H, keyof GatewayHead>;
  /** Can a body be sent whose length is not known yet? */
  readonly streamsChunked: boolean;
  /** Of its addresses; absent: they have none. */
  readonly schemes?: Schemes;
  /** How it speaks TLS; absent: it does not. */
  readonly security?: UpstreamSecurity | undefined;
}

const nowhere = { redirectFrom: undefined };

export class GatewayProtocol<H extends GatewayHead> implements Protocol<AddressFound> {
  readonly name: string;
  readonly forgetsHeads = true;
  readonly hidden: ReadonlySet<string>;
  readonly find: Protocol<AddressFound>["find"];
  readonly #kind: GatewayKind<H>;
  readonly #params: ParamPlan;
  readonly #cacheParams: ParamPlan;
  readonly #reply: ReplyPlan;

  readonly #security: UpstreamSecurity | undefined;

  /** `conf`: of the module. */
  constructor(kind: GatewayKind<H>, pass: AddressPass, conf: Conf<Directives>, at: Compiling) {
    const { name } = kind;
    const passing = passingConf(name, conf);
    const params = conf[`${name}_param`] as (typeof paramRow)["initial"];
    this.name = name;
    this.find = addressFinder(pass, at, kind.schemes);
    this.#kind = kind;
    this.#security = kind.security;
    this.#params = new ParamPlan(params, usualParams(at), passing.pass_request_headers);
    this.#cacheParams = new ParamPlan(params, cacheParams(at), passing.pass_request_headers);
    this.#reply = replyPlan(passing, ["status"]);
    this.hidden = this.#reply.hidden;
  }

  engine(): ClientEngine<H> {
    return this.#kind.engine();
  }

  head(exchange: Exchange, _: Whither, wanted: Wanted, bodyLength: BodyLength): GatewayHead {
    const params = (wanted.forCache ? this.#cacheParams : this.#params).make(exchange);
    return { method: exchange.method, bodyLength, params, ...this.#kind.more };
  }

  way(exchange: Exchange, { authority, secure }: AddressFound): SecureWay | undefined {
    return secure ? this.#security?.way(exchange, authority) : undefined;
  }

  streams(length: number): boolean {
    return length >= 0 || this.#kind.streamsChunked;
  }

  label(name: string, { secure }: AddressFound): string {
    const { plain, secure: throughTls } = this.#kind.schemes ?? { plain: this.name, secure: this.name };
    return addressLabel(secure ? throughTls : plain, name);
  }

  reply(exchange: Exchange, _: Whither, head: OriginHead): Reply | Jump {
    return proxiedReply(exchange, this.#reply, nowhere, head);
  }

  /** All have the same: there is no usual one, and `checkGateway` has warned of that. */
  cacheKey(): string {
    return "";
  }
}

/** Checks a module's part of a configuration. Throws ConfigError. */
export function checkGateway(name: string, directives: Directives, http: Block, setup: Setup): void {
  checkAddressPass(`${name}_pass`, http);
  checkCaches(name, http);
  const walk = (block: Block): void => {
    const cache = block.own(`${name}_cache`) as CacheChoice | undefined;
    if (cache !== undefined && cache !== "off" && block.conf(directives)[`${name}_cache_key`] === undefined)
      setup.warn(`no "${name}_cache_key" for "${name}_cache"`, cache.at);
    for (const child of block.children) walk(child);
  };
  walk(http);
}
