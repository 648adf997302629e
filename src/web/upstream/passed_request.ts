/** One request as it is passed to an upstream: what its tries have in common. */
import { formatAddress } from "../../base/address.ts";
import type { Timers } from "../../base/timers.ts";
import type { ClientEngine, ClientHead, ClientLimits, ReceivedHead } from "../../http/client_engine.ts";
import type { Source } from "../../http/message.ts";
import type { ConnectOptions } from "../../net/connect.ts";
import type { Wanted } from "../cache/origin.ts";
import type { Exchange } from "../exchange.ts";
import type { AttemptOptions, NextPolicy, UpstreamTarget } from "./attempts.ts";
import { bound } from "./bind.ts";
import type { UpstreamRequest } from "./conversation.ts";
import { acceptedHints } from "./hints.ts";
import type { Protocol, Whither } from "./passing.ts";
import { nextPolicy, type PassingConf } from "./passing_rows.ts";
import type { BodyLength } from "./proxied.ts";
import type { SecureWay } from "./security.ts";

/** A request's body as it is sent. */
export interface Sent {
  readonly length: BodyLength;
  readonly content: () => Uint8Array | Source | undefined;
  /** It is passed on as it comes, and part of it has been. */
  readonly isGone: () => boolean;
}

/** What the requests of a location have in common; made once. */
export class PassingPlan<D extends Whither> {
  readonly protocol: Protocol<D>;
  readonly conf: PassingConf;
  readonly timers: Timers;
  readonly next: NextPolicy;
  readonly timeouts: UpstreamRequest<ClientHead>["timeouts"];
  readonly limits: ClientLimits;
  /** The same for requests that ask for another protocol. */
  readonly upgradeLimits: ClientLimits;
  readonly connect: ConnectOptions;
  /** Tells its connections from other locations', where those do not share theirs. */
  readonly number = ++lastNumber;
  /** Of connections without an address of ours and without TLS: shared with other locations, and not. */
  readonly sharedKind: string;
  readonly ownKind: string;

  constructor(protocol: Protocol<D>, conf: PassingConf, timers: Timers) {
    this.protocol = protocol;
    this.conf = conf;
    this.timers = timers;
    this.next = nextPolicy(conf);
    this.timeouts = { connect: conf.connect_timeout, send: conf.send_timeout, read: conf.read_timeout };
    this.limits = { headLimit: conf.buffer_size, bareResponses: true, mayUpgrade: false };
    this.upgradeLimits = { ...this.limits, mayUpgrade: true };
    this.connect = { noDelay: true, keepAlive: conf.socket_keepalive };
    this.sharedKind = protocol.connectionKind ?? protocol.name;
    this.ownKind = `${this.sharedKind} ${this.number}`;
  }
}

let lastNumber = 0;

/** What is known of a request before its connection is. */
export interface Asking<D> {
  readonly to: D;
  readonly sent: Sent;
  readonly wanted: Wanted;
  readonly head: ClientHead;
  /** undefined: plainly. */
  readonly way: SecureWay | undefined;
}

export class PassedRequest<D extends Whither> implements AttemptOptions {
  readonly #exchange: Exchange;
  readonly #plan: PassingPlan<D>;
  readonly #asking: Asking<D>;
  readonly connect: ConnectOptions;
  readonly connectionKey: string;

  constructor(exchange: Exchange, plan: PassingPlan<D>, asking: Asking<D>) {
    this.#exchange = exchange;
    this.#plan = plan;
    this.#asking = asking;
    const { way } = asking;
    const { bind } = plan.conf;
    const isOwn = this.target.kept?.local === true;
    if (bind === undefined || bind === "off") this.connect = plan.connect;
    else this.connect = { ...plan.connect, ...bound(exchange, bind) };
    this.connectionKey = isOwn ? plan.ownKind : plan.sharedKind;
    if (this.connect.bind !== undefined) this.connectionKey += ` ${boundTo(this.connect)}`;
    if (way !== undefined) this.connectionKey += ` ${way.key}`;
  }

  get target(): UpstreamTarget {
    return this.#asking.to.target;
  }

  get next(): NextPolicy {
    return this.#plan.next;
  }

  get timers(): Timers {
    return this.#plan.timers;
  }

  get dial(): AttemptOptions["dial"] {
    return this.#asking.way?.dial;
  }

  get bodyIsGone(): boolean {
    return this.#asking.sent.isGone();
  }

  get ignoresAbort(): boolean {
    const { conf } = this.#plan;
    return conf.ignore_client_abort || conf.store !== false || this.#asking.wanted.forCache;
  }

  engine(): ClientEngine {
    return this.#plan.protocol.engine();
  }

  label(name: string): string {
    return this.#plan.protocol.label(name, this.#asking.to);
  }

  request(): UpstreamRequest<ClientHead> {
    const { timeouts, limits, upgradeLimits } = this.#plan;
    const { head, sent } = this.#asking;
    const mayUpgrade = this.#exchange.request.headers.has("upgrade");
    return { head, body: sent.content(), timeouts, limits: mayUpgrade ? upgradeLimits : limits };
  }

  onInterim(head: ReceivedHead): void {
    acceptedHints(this.#exchange, head, this.#plan.protocol.hidden);
  }
}

function boundTo({ bind, transparent }: ConnectOptions): string {
  if (bind === undefined) return "";
  return `${formatAddress(bind)}${transparent === true ? " transparent" : ""}`;
}
