/** One request's way through a cache: what is there, who asks the origin, what becomes of its answer. */
import type { Body, Reply } from "../../http/message.ts";
import { sourceOf } from "../body_change.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import type { Jump } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import type { Template } from "../template.ts";
import type { CacheOptions } from "./cached.ts";
import { clonedFor } from "./clone.ts";
import type { EntryHead } from "./entry.ts";
import { fill } from "./filling.ts";
import { type Freshness, freshness, validFor } from "./freshness.ts";
import { type Hash, keyHash, variantHash } from "./key.ts";
import type { Origin, OriginAnswer, OriginFailure, OriginHead } from "./origin.ts";
import type { Claim, Known, Removed } from "./records.ts";
import { type CacheState, setCacheState } from "./state.ts";
import type { CacheStore, Entry, Place } from "./store.ts";
import { entryHead, originHead, updatedFields } from "./stored_head.ts";

type Found = Reply | Jump | Promise<Reply | Jump>;

/** What a location's cache does for all its requests. */
export interface Surroundings<A extends OriginAnswer> {
  readonly options: CacheOptions;
  readonly origin: Origin<A>;
  /** An entry as the client gets it. The caller still has to drop it. */
  show(exchange: Exchange, entry: Entry): Reply | Jump;
}

/** In seconds since 1970, with fractions. */
export const secondsNow = (): number => Date.now() / 1000;

const isTrue = (text: string): boolean => text !== "" && text !== "0";

export class Visit<A extends OriginAnswer> {
  readonly #around: Surroundings<A>;
  readonly #exchange: Exchange;
  readonly #store: CacheStore;
  readonly #main: Hash;
  readonly #state: CacheState;
  /** The entry's name: the main one, or that of a variant. */
  #hash: Hash;
  /** Of the main entry that led to a variant. */
  #family = "";
  /** Too old, but better than nothing. */
  #stale: Entry | undefined;
  #claim: Claim | undefined;
  /** How often the entry had been purged when the origin was asked. */
  #purges = 0;
  /** How long it may still wait for others, ms. */
  #patience: number;

  constructor(around: Surroundings<A>, exchange: Exchange, store: CacheStore, key: string) {
    this.#around = around;
    this.#exchange = exchange;
    this.#store = store;
    this.#main = keyHash(key);
    this.#hash = this.#main;
    this.#state = { key, status: "MISS", found: undefined, revalidates: false };
    this.#patience = around.options.conf.cache_lock_timeout;
    setCacheState(exchange, this.#state);
  }

  begin(): Found {
    const { conf } = this.#around.options;
    if (!conf.cache_bypass.some((each) => isTrue(each.value(this.#exchange)))) return this.#lookUp();
    this.#state.status = "BYPASS";
    return this.#ask(true);
  }

  // What is there.

  #lookUp(): Found {
    const { conf } = this.#around.options;
    const gone: Removed[] = [];
    const known = this.#store.records.ask(this.#hash, conf.cache_min_uses, secondsNow(), gone);
    this.#store.discard(gone);
    if (known.is === "error") {
      this.#state.status = "HIT";
      return errorReply(known.status);
    }
    if (known.is !== "stored" && !known.mayExist) return this.#absent(known);
    const entry = this.#store.open(this.#hash, this.#state.key, known.is === "stored" ? known.version : 0);
    if (entry instanceof Promise) return entry.then((later) => this.#opened(known, later));
    return this.#opened(known, entry);
  }

  #opened(known: Known, entry: Entry | undefined): Found {
    if (entry === undefined) return this.#absent(known);
    const { vary, variant, family, validUntil } = entry.head;
    if (vary !== "") {
      const wanted = variantHash(this.#main, family, vary, this.#exchange.request.headers);
      if (wanted !== variant) {
        entry.drop();
        return this.#toVariant(known, wanted, family);
      }
    }
    this.#state.found = entry.head;
    if (secondsNow() >= validUntil) return this.#expired(entry);
    this.#state.status = "HIT";
    return this.#take(entry);
  }

  #toVariant(known: Known, wanted: Hash, family: string): Found {
    // A variant that is none of its main entry's: somebody has replaced that meanwhile.
    if (this.#hash !== this.#main) return this.#absent(known);
    this.#hash = wanted;
    this.#family = family;
    return this.#lookUp();
  }

  /** Sends an entry; it is not needed any more. */
  #take(entry: Entry): Reply | Jump {
    const reply = this.#around.show(this.#exchange, entry);
    entry.drop();
    return reply;
  }

  #absent(known: Known): Found {
    if (known.is === "scarce") return this.#ask(false);
    const { conf } = this.#around.options;
    if (!conf.cache_lock) return this.#ask(true);
    this.#claim = this.#store.records.claim(this.#hash, conf.cache_lock_age);
    if (this.#claim !== undefined) return this.#ask(true);
    return this.#patience > 0 ? this.#wait() : this.#ask(false);
  }

  /** Somebody fills it already. */
  #wait(): Promise<Reply | Jump> {
    const exchange = this.#exchange;
    const since = performance.now();
    return new Promise<"free" | "timeout" | "gone">((resolve) => {
      const stop = this.#store.waiting.wait(this.#hash, this.#patience, resolve);
      exchange.endsWithClient = true;
      exchange.onGone = () => {
        stop();
        resolve("gone");
      };
    }).then((outcome) => {
      exchange.onGone = undefined;
      exchange.endsWithClient = false;
      if (outcome === "gone") return errorReply(499);
      this.#patience -= performance.now() - since;
      if (outcome === "timeout") {
        this.#patience = 0;
        exchange.log("info", "cache lock timeout");
      }
      return this.#lookUp();
    });
  }

  #expired(entry: Entry): Found {
    const { conf } = this.#around.options;
    const { updatingUntil, mustRevalidate } = entry.head;
    this.#claim = this.#store.records.claim(this.#hash, 0);
    const mayBeOld = !mustRevalidate && (conf.cache_use_stale.has("updating") || secondsNow() <= updatingUntil);
    if (mayBeOld && this.#claim === undefined) {
      this.#state.status = "UPDATING";
      return this.#take(entry);
    }
    if (mayBeOld && conf.cache_background_update) {
      this.#renewBehind(entry.hold());
      this.#state.status = "STALE";
      return this.#take(entry);
    }
    return this.#renew(entry);
  }

  #renew(entry: Entry): Promise<Reply | Jump> {
    this.#stale = entry;
    this.#state.status = "EXPIRED";
    this.#state.revalidates = this.#around.options.conf.cache_revalidate;
    return this.#ask(true);
  }

  /** Renews it for those who come later; nobody waits for that. */
  #renewBehind(entry: Entry): void {
    const clone = clonedFor(this.#exchange);
    const inner = new Visit(this.#around, clone, this.#store, this.#state.key);
    inner.#hash = this.#hash;
    inner.#family = this.#family;
    inner.#claim = this.#claim;
    inner.#state.found = entry.head;
    this.#claim = undefined;
    inner
      .#renew(entry)
      .then(
        (reply) => "body" in reply && dropBody(reply.body, "nobody waits for it"),
        (error) => clone.log("error", error instanceof Error ? error.message : String(error)),
      )
      .finally(() => clone.end());
  }

  // The origin.

  #ask(mayKeep: boolean): Promise<Reply | Jump> {
    const { options, origin } = this.#around;
    const { conf } = options;
    const converts = this.#exchange.method === "HEAD" && conf.cache_convert_head;
    const forCache = mayKeep && !asksBehind(this.#exchange, conf.cache_max_range_offset);
    if (forCache) this.#purges = this.#store.records.purgesOf(this.#main);
    const asked = origin.ask(this.#exchange, { forCache, method: converts ? "GET" : undefined });
    return asked
      .then((answer) => ("failed" in answer ? this.#failed(answer, forCache) : this.#answered(answer, forCache)))
      .finally(() => {
        // Unless what is being filled still needs it.
        this.#release();
        this.#stale?.drop();
      });
  }

  #release(): void {
    const claim = this.#claim;
    if (claim === undefined) return;
    this.#claim = undefined;
    this.#store.records.release(claim);
    this.#store.waiting.wake(claim.hash);
  }

  #failed({ failed, status }: OriginFailure, forCache: boolean): Reply | Jump {
    const { conf } = this.#around.options;
    const stale = this.#stale;
    const isOverdue = stale !== undefined && secondsNow() > stale.head.errorUntil;
    if (stale !== undefined && !stale.head.mustRevalidate && (conf.cache_use_stale.has(failed) || !isOverdue))
      return this.#showStale(stale, "STALE");
    const seconds = status === 502 || status === 504 ? validFor(conf.cache_valid, status) : 0;
    if (forCache && seconds > 0) this.#store.records.failed(this.#hash, status, secondsNow() + seconds);
    return errorReply(status);
  }

  #showStale(entry: Entry, status: CacheState["status"]): Reply | Jump {
    this.#state.status = status;
    this.#state.found = entry.head;
    return this.#around.show(this.#exchange, entry);
  }

  #answered(answer: A, forCache: boolean): Reply | Jump {
    const { conf } = this.#around.options;
    const { status } = answer.head;
    const stale = this.#stale;
    if (stale !== undefined && !stale.head.mustRevalidate && conf.cache_use_stale.has(`http_${status}`)) {
      dropBody(answer.body, "what was kept is better");
      return this.#showStale(stale, "STALE");
    }
    if (stale !== undefined && forCache && status === 304 && this.#state.revalidates) {
      dropBody(answer.body, "not modified");
      return this.#revalidated(stale, answer.head);
    }
    const fresh = forCache && answer.isUnbuffered !== true ? this.#freshness(answer.head) : undefined;
    if (fresh !== undefined) return this.#keep(answer, fresh);
    this.#release();
    const reply = this.#around.origin.pass(this.#exchange, answer);
    if ("head" in reply) reply.isJudged = true;
    return reply;
  }

  /** undefined: not to be kept. */
  #freshness({ status, headers }: OriginHead): Freshness | undefined {
    const { conf, ignored } = this.#around.options;
    const exchange = this.#exchange;
    if (headers.has("x-accel-redirect") && !ignored.has("x-accel-redirect")) return undefined;
    if (conf.no_cache.some((each) => isTrue(each.value(exchange)))) return undefined;
    const isAuthorized = exchange.request.headers.has("authorization") && !tellsUsersApart(conf.cache_key);
    return freshness({ status, headers, isAuthorized, now: secondsNow() }, { ignored, valid: conf.cache_valid });
  }

  #revalidated(entry: Entry, came: OriginHead): Reply | Jump {
    const headers = updatedFields(entry.head, came);
    const head: OriginHead = { status: entry.head.status, reason: entry.head.reason, headers };
    const fresh = this.#freshness(head);
    // It may be shown now, but not again.
    if (fresh === undefined) return this.#showStale(entry, "REVALIDATED");
    const made = this.#head(head, fresh, entry.head.isHead);
    const updated = this.#store.update(this.#place(entry.hash), entry, {
      ...made,
      variant: entry.head.variant,
      family: entry.head.family,
    });
    this.#release();
    const reply = this.#showStale(updated, "REVALIDATED");
    updated.drop();
    return reply;
  }

  #head(head: OriginHead, fresh: Freshness, isHead: boolean): EntryHead {
    const { vary } = fresh;
    const now = secondsNow();
    if (vary === "") return entryHead(head, fresh, { key: this.#state.key, variant: "", family: "", isHead, now });
    // Variants of before stay known as long as they differ in the same fields.
    const before = this.#stale?.head.vary === vary ? this.#stale.head.family : this.#family;
    const family = before !== "" ? before : crypto.randomUUID();
    const variant = variantHash(this.#main, family, vary, this.#exchange.request.headers);
    return entryHead(head, fresh, { key: this.#state.key, variant, family, isHead, now });
  }

  #keep(answer: A, fresh: Freshness): Reply | Jump {
    const isHead = this.#exchange.method === "HEAD" && !this.#around.options.conf.cache_convert_head;
    const head = this.#head(answer.head, fresh, isHead);
    // What does not vary any more, or in another way, is the main entry from now on.
    const hash = head.variant === this.#hash ? this.#hash : this.#main;
    const { headers } = answer.head;
    const said = headers.has("transfer-encoding") ? undefined : headers.get("content-length");
    const body = this.#fill(hash, head, answer.body);
    const length = body.kind === "bytes" ? body.bytes.length : body.kind === "empty" ? 0 : Number(said ?? -1);
    const shown = originHead(head);
    const age = headers.get("age");
    if (age !== undefined) shown.headers.add("Age", age);
    const reply = this.#around.origin.show(this.#exchange, shown, body, isHead ? -1 : length);
    if ("head" in reply) reply.isJudged = false;
    return reply;
  }

  #place(hash: Hash): Place {
    return { hash, main: this.#main, purges: this.#purges };
  }

  #fill(hash: Hash, head: EntryHead, body: Body): Body {
    if (body.kind === "stream" || body.kind === "file") return this.#stream(hash, head, body);
    this.#store.write(this.#place(hash), head, body.kind === "bytes" ? body.bytes : new Uint8Array(0));
    this.#release();
    return body;
  }

  #stream(hash: Hash, head: EntryHead, body: Body): Body {
    const claim = this.#claim;
    this.#claim = undefined;
    const onEnd = (): void => {
      this.#claim = claim;
      this.#release();
    };
    return {
      kind: "stream",
      source: fill({ store: this.#store, place: this.#place(hash), head, source: sourceOf(body), onEnd }),
    };
  }
}

/** Has everybody entries of their own under such a key? */
const tellsUsersApart = (key: Template | undefined): boolean =>
  /\$\{?(?:http_authorization|remote_user)\b/.test(key?.text ?? "");

/** Is it a range whose beginning lies too far behind (`…_cache_max_range_offset`)? */
function asksBehind({ request: { headers } }: Exchange, most: number | undefined): boolean {
  const range = headers.get("range");
  if (range === undefined || most === undefined) return false;
  if (most === 0) return true;
  const found = /^bytes= *(?:(-)|(\d*))/i.exec(range);
  return found !== null && (found[1] !== undefined || Number(found[2]) >= most);
}
