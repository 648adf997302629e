/** A content handler's cache: which requests it is for, which entries they mean, what they remove. */
import { Headers } from "../../http/headers.ts";
import { emptyBody, ownHeaders, type Reply } from "../../http/message.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { normalizePath } from "../path.ts";
import type { Jump } from "../pipeline.ts";
import { purgeMatching } from "./caretaker.ts";
import { otherUri } from "./clone.ts";
import { keyHash } from "./key.ts";
import type { Origin, OriginAnswer } from "./origin.ts";
import type { CacheConf } from "./rows.ts";
import type { CacheStore, Entry } from "./store.ts";
import { addAge, originHead } from "./stored_head.ts";
import { type Surroundings, secondsNow, Visit } from "./visit.ts";

export interface CacheOptions {
  readonly conf: CacheConf;
  /** Lower-case names of fields that are not obeyed. */
  readonly ignored: ReadonlySet<string>;
  /** By the names of their zones. */
  readonly stores: ReadonlyMap<string, CacheStore>;
}

/** RFC 9110 9.2.1: they change nothing. */
const safe = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PRI"]);

const isTrue = (text: string): boolean => text !== "" && text !== "0";

/** Answers a location's requests from its cache, and asks `origin` for what is not there. */
export class Cached<A extends OriginAnswer> implements Surroundings<A> {
  readonly options: CacheOptions;
  readonly origin: Origin<A>;
  readonly #methods: ReadonlySet<string>;

  constructor(options: CacheOptions, origin: Origin<A>) {
    this.options = options;
    this.origin = origin;
    this.#methods = new Set(["GET", "HEAD", ...options.conf.cache_methods]);
  }

  handle(exchange: Exchange): Reply | Jump | Promise<Reply | Jump> {
    const store = this.#choose(exchange);
    if (store === "unknown") return errorReply(500);
    if (store === undefined) return this.#ask(exchange);
    const { method } = exchange;
    if (this.options.conf.cache_purge.some((each) => isTrue(each.value(exchange)))) return this.#purge(exchange, store);
    if (!this.#methods.has(method)) return safe.has(method) ? this.#ask(exchange) : this.#change(exchange, store);
    const key = this.#key(exchange);
    if (key === undefined) return this.#ask(exchange);
    return new Visit(this, exchange, store, key).begin();
  }

  /** undefined: none. */
  #choose(exchange: Exchange): CacheStore | "unknown" | undefined {
    const { conf, stores } = this.options;
    if (conf.cache === "off") return undefined;
    const name = conf.cache.zone.value(exchange);
    if (name === "" || name === "off") return undefined;
    const found = stores.get(name);
    if (found === undefined) exchange.log("error", `cache "${name}" not found`);
    return found ?? "unknown";
  }

  #key(exchange: Exchange): string | undefined {
    const { cache_key } = this.options.conf;
    return cache_key === undefined ? this.origin.key(exchange) : cache_key.value(exchange);
  }

  /** The key of the GET request for the same. */
  #keyOfGet(exchange: Exchange): string | undefined {
    const { method } = exchange;
    exchange.method = "GET";
    try {
      return this.#key(exchange);
    } finally {
      exchange.method = method;
    }
  }

  /** As if there were no cache. */
  async #ask(exchange: Exchange): Promise<Reply | Jump> {
    const answer = await this.origin.ask(exchange, { forCache: false, method: undefined });
    return "failed" in answer ? errorReply(answer.status) : this.origin.pass(exchange, answer);
  }

  // What is removed.

  #purge(exchange: Exchange, store: CacheStore): Reply | Promise<Reply> {
    const key = this.#keyOfGet(exchange) ?? "";
    if (key.endsWith("*")) return purgeMatching(store, key.slice(0, -1)).then(() => purged());
    return store.purge(keyHash(key)) ? purged() : errorReply(404);
  }

  /** RFC 9111 4.4: what a request has changed is not known any more. */
  async #change(exchange: Exchange, store: CacheStore): Promise<Reply | Jump> {
    const key = this.#keyOfGet(exchange);
    const answer = await this.origin.ask(exchange, { forCache: false, method: undefined });
    if ("failed" in answer) return errorReply(answer.status);
    const { status, headers } = answer.head;
    if (status >= 200 && status < 400) {
      if (key !== undefined) store.purge(keyHash(key));
      for (const name of ["location", "content-location"]) this.#forget(exchange, store, headers.get(name));
    }
    return this.origin.pass(exchange, answer);
  }

  /** Another URI of the same origin that the answer names. */
  #forget(exchange: Exchange, store: CacheStore, reference: string | undefined): void {
    if (reference === undefined) return;
    const { request, client } = exchange;
    const base = `${client.scheme}://${request.authority}${request.uri}`;
    if (!URL.canParse(reference, base)) return;
    const { host, pathname, search } = new URL(reference, base);
    const path = normalizePath(pathname);
    if (host !== new URL(base).host || path === undefined) return;
    const key = this.#key(otherUri(exchange, path, pathname + search));
    if (key !== undefined) store.purge(keyHash(key));
  }

  // What is sent.

  show(exchange: Exchange, entry: Entry): Reply | Jump {
    const { head } = entry;
    const { status, reason } = head;
    const now = secondsNow();
    const second = Math.floor(now);
    const { memo } = entry;
    if (memo?.by === this && memo.second === second) {
      const headers = memo.value as Headers;
      return { head: { status, headers, ...(reason === "" ? {} : { reason }) }, body: entry.body(), isJudged: false };
    }
    const made = this.origin.show(exchange, originHead(head), entry.body(), lengthOf(entry));
    if (!("head" in made)) return made;
    const headers = ownHeaders(made.head);
    addAge(headers, head, now);
    made.isJudged = false;
    if (looksAlike(entry) && made.isPage !== true) {
      headers.shared = true;
      entry.memo = { by: this, second, value: headers };
    }
    return made;
  }
}

/** Content-Length: of what answered HEAD its own counts. */
const lengthOf = ({ head, open }: Entry): number => (head.isHead ? -1 : open.bodyLength);

/** Is it shown to everybody in the same way? */
function looksAlike({ head: { fields } }: Entry): boolean {
  return fields.every(([name]) => !/^(location|refresh|set-cookie|x-accel-.*)$/i.test(name));
}

const purged = (): Reply => ({ head: { status: 204, headers: new Headers() }, body: emptyBody });
