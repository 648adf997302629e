/** ngx_http_limit_req_module: how many requests of a kind there may be per second, over all web workers (a leaky bucket). */
import type { ErrorLevel } from "../../base/error_log.ts";
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import type { Zone } from "../../shm/zone.ts";
import { type Conf, context, type Directive, everywhere, flag, invalidParameter } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import {
  bucketRate,
  excessWithOneMore,
  firstRequest,
  isIdle,
  type LetIn,
  longestDelay,
  withOneMore,
} from "../limit_req_bucket.ts";
import { limitedKey, refusalLevel, refusalStatus } from "../limiting.ts";
import { defineModule, type Runtime } from "../module.ts";
import type { Answer, Handler } from "../pipeline.ts";
import { sharedNow, sharedZone, zoneParameter } from "../shared_zone.ts";
import type { Template } from "../template.ts";

interface ZoneConf {
  readonly key: Template;
  /** Thousandths of a request per second. */
  readonly rate: number;
}

const zoneRow: Directive<ReadonlyMap<string, ZoneConf>> = {
  summary: "Shared memory for the requests of each value of a key, and how many of them there may be.",
  syntax: "key zone=name:size rate=rate [sync]",
  contexts: context.http,
  args: [3, 4],
  initial: new Map(),
  deviation: "`sync`, of Nginx's commercial edition, is accepted: there are no other machines to agree with.",
  parse(statement, before = new Map(), { setup }) {
    const { args, at } = statement;
    const [keyText = "", ...words] = args;
    const key = setup.template(keyText, at);
    let zone: ReturnType<typeof zoneParameter> | undefined;
    let rate = bucketRate(1, "second");
    for (const word of words) {
      if (word.startsWith("zone=")) zone = zoneParameter(word, at);
      else if (word.startsWith("rate=")) rate = rateOf(word, at);
      else if (word !== "sync") throw invalidParameter(statement, word);
    }
    if (zone === undefined || zone.name === "") throw withoutZone(statement);
    const known = before.get(zone.name);
    if (known !== undefined)
      throw new ConfigError(`limit_req_zone "${zone.name}" is already bound to key "${known.key.text}"`, at);
    setup.zone({ ...zone, kind: kindOf(keyText) }, at);
    return new Map([...before, [zone.name, { key, rate }]]);
  },
};

const kindOf = (key: string): string => `limit_req ${key}`;

function rateOf(word: string, at: Place): number {
  const [, digits, per] = /^rate=(\d{1,9})(r\/s|r\/m)?$/.exec(word) ?? [];
  if (digits === undefined || Number(digits) === 0) throw new ConfigError(`invalid rate "${word}"`, at);
  return bucketRate(Number(digits), per === "r/m" ? "minute" : "second");
}

const withoutZone = ({ name, at }: Statement): ConfigError =>
  new ConfigError(`"${name}" must have "zone" parameter`, at);

interface LimitConf {
  readonly zone: string;
  /** Thousandths of a request: above the rate, and of these without delay. */
  readonly burst: number;
  readonly delay: number;
}

const limitRow: Directive<readonly LimitConf[]> = {
  summary: "Limits requests by a zone: those above the rate wait, those above the burst are refused.",
  syntax: "zone=name [burst=number] [nodelay | delay=number]",
  contexts: everywhere,
  args: [1, 3],
  initial: [],
  parse(statement, before = [], { setup, block }) {
    const { args, at, name } = statement;
    let zone: string | undefined;
    let [burst, delay] = [0, 0];
    for (const word of args) {
      if (word.startsWith("zone=")) zone = word.slice("zone=".length);
      else if (word.startsWith("burst=")) burst = requests(word, "burst", at);
      else if (word.startsWith("delay=")) delay = requests(word, "delay", at);
      else if (word === "nodelay") delay = Number.POSITIVE_INFINITY;
      else throw invalidParameter(statement, word);
    }
    if (zone === undefined) throw withoutZone(statement);
    if (before.some((each) => each.zone === zone)) throw new ConfigError(`"${name}" directive is duplicate`, at);
    const wanted = zone;
    setup.afterwards(() => {
      if (!block.conf(directives).limit_req_zone.has(wanted))
        throw new ConfigError(`zero size shared memory zone "${wanted}"`, at);
    });
    return [...before, { zone, burst, delay }];
  },
};

function requests(word: string, what: string, at: Place): number {
  const digits = /^[a-z]+=(\d{1,9})$/.exec(word)?.[1];
  if (digits === undefined || Number(digits) === 0) throw new ConfigError(`invalid ${what} value "${word}"`, at);
  return Number(digits) * 1000;
}

const directives = {
  limit_req_zone: zoneRow,
  limit_req: limitRow,
  limit_req_status: refusalStatus,
  limit_req_log_level: refusalLevel("The level at which refusals are logged; delays are logged one below."),
  limit_req_dry_run: flag({
    contexts: everywhere,
    initial: false,
    summary: "Requests are counted, but neither delayed nor refused.",
  }),
};

const below = { error: "warn", warn: "notice", notice: "info", info: "info" } as const;
const fields = { excess: "f64", last: "f64" } as const;

/** One `limit_req` of a location. */
interface Limit extends LimitConf {
  readonly key: Template;
  readonly rate: number;
  readonly memory: Zone<typeof fields>;
}

function limitOf(conf: LimitConf, { key, rate }: ZoneConf, runtime: Runtime): Limit {
  return { ...conf, key, rate, memory: sharedZone(runtime, { name: conf.zone, kind: kindOf(key.text), fields }) };
}

/** A key's bucket in a zone; a new one is empty. undefined: there is no room. Call it under the zone's lock. */
function recordOf({ memory: { table }, rate }: Limit, key: string, now: number) {
  const known = table.lookup(key);
  if (known !== undefined) {
    table.touch(known);
    return {
      node: known,
      bucket: { excess: table.get(known, "excess"), last: table.get(known, "last") },
      isNew: false,
    };
  }
  // One request pays for two records that are of no use any more; whoever was away longest makes room if need be.
  table.evict(2, (node) => isIdle({ excess: table.get(node, "excess"), last: table.get(node, "last") }, rate, now));
  const node = table.insert(key, () => true);
  return node === undefined ? undefined : { node, bucket: { excess: 0, last: 0 }, isNew: true };
}

/** undefined: there is no room for the key. More than `burst`: it is not let in. Nothing is counted. */
function look(limit: Limit, key: string, now: number): number | undefined {
  return limit.memory.locked(() => {
    const found = recordOf(limit, key, now);
    if (found === undefined) return undefined;
    return found.isNew ? 0 : excessWithOneMore(found.bucket, limit.rate, now);
  });
}

/** The same, and counts the request if it is let in. `always`: it has been let in already. */
function count(limit: Limit, key: string, now: number, always: boolean): number | undefined {
  const { memory, rate, burst } = limit;
  return memory.locked(() => {
    const found = recordOf(limit, key, now);
    if (found === undefined) return undefined;
    const { node, bucket, isNew } = found;
    const next = isNew ? firstRequest(now) : withOneMore(bucket, rate, now);
    if (next.excess <= burst || always) {
      memory.table.set(node, "excess", next.excess);
      memory.table.set(node, "last", next.last);
    }
    return next.excess;
  });
}

/** As many as Nginx takes. */
const mostKeyBytes = 65535;

type Status = "PASSED" | "DELAYED" | "REJECTED" | "DELAYED_DRY_RUN" | "REJECTED_DRY_RUN";
const statusKey = Symbol("limit_req status");

/** What holds in a location besides the limits. */
type Manner = Pick<Conf<typeof directives>, "limit_req_status" | "limit_req_log_level" | "limit_req_dry_run">;

function limitRequests(limits: readonly Limit[], manner: Manner): Handler {
  return (exchange) => {
    if (exchange.main.note(statusKey) !== undefined) return undefined;
    const keyed: [Limit, string][] = [];
    for (const limit of limits) {
      const key = limitedKey(exchange, limit.key, mostKeyBytes);
      if (key !== "") keyed.push([limit, key]);
    }
    if (keyed.length === 0) return undefined;
    const now = sharedNow();
    // Each limit is asked, and only when all have let the request in it counts for all: the last one counts at once.
    for (const [i, [limit, key]] of keyed.entries()) {
      const isLast = i === keyed.length - 1;
      const excess = isLast ? count(limit, key, now, false) : look(limit, key, now);
      if (excess === undefined || excess > limit.burst) return refused(exchange, limit, excess, manner);
      if (isLast) return letIn(exchange, keyed, excess, manner);
    }
    return undefined;
  };
}

/** 1.500 requests */
const inRequests = (excess: number): string => (excess / 1000).toFixed(3);

function refused(exchange: Exchange, { zone }: Limit, excess: number | undefined, manner: Manner): Answer {
  const { limit_req_dry_run: dry, limit_req_log_level: level, limit_req_status: status } = manner;
  if (excess === undefined) exchange.log("alert", `could not allocate node in limit_req zone "${zone}"`);
  else
    exchange.log(level, `limiting requests${dry ? ", dry run" : ""}, excess: ${inRequests(excess)} by zone "${zone}"`);
  setStatus(exchange, dry ? "REJECTED_DRY_RUN" : "REJECTED");
  return dry ? undefined : errorReply(status);
}

function letIn(exchange: Exchange, keyed: readonly [Limit, string][], last: number, manner: Manner): Answer {
  const before = keyed.slice(0, -1).map(([limit, key]) => count(limit, key, sharedNow(), true) ?? 0);
  const states = [...before, last].map((excess, i): LetIn => {
    const { delay = 0, rate = 1 } = keyed[i]?.[0] ?? {};
    return { excess, delay, rate };
  });
  const { delayMs, limit } = longestDelay(states);
  if (delayMs === 0) {
    setStatus(exchange, "PASSED");
    return undefined;
  }
  const { limit_req_dry_run: dry, limit_req_log_level } = manner;
  const level: ErrorLevel = below[limit_req_log_level];
  const excess = inRequests(states[limit]?.excess ?? 0);
  const zone = keyed[limit]?.[0].zone;
  exchange.log(level, `delaying request${dry ? ", dry run" : ""}, excess: ${excess}, by zone "${zone}"`);
  setStatus(exchange, dry ? "DELAYED_DRY_RUN" : "DELAYED");
  if (dry) return undefined;
  return held(exchange, delayMs);
}

/** A client that has given up is not waited for. */
function held(exchange: Exchange, delayMs: number): Promise<undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      exchange.onGone = undefined;
      exchange.endsWithClient = false;
      resolve(undefined);
    }, delayMs);
    exchange.onGone = () => clearTimeout(timer);
    exchange.endsWithClient = true;
  });
}

const setStatus = (exchange: Exchange, status: Status): void => exchange.main.setNote(statusKey, status);

export const limitReqModule = defineModule({
  name: "limit_req",
  directives,
  variables: {
    limit_req_status: {
      summary: "What became of the request: PASSED, DELAYED, REJECTED, DELAYED_DRY_RUN, REJECTED_DRY_RUN.",
      plain: true,
      get: ({ main }) => main.note<Status>(statusKey),
    },
  },
  compile(conf, { runtime }) {
    const limits: Limit[] = [];
    for (const each of conf.limit_req) {
      const zone = conf.limit_req_zone.get(each.zone);
      if (zone !== undefined) limits.push(limitOf(each, zone, runtime));
    }
    return limits.length === 0 ? {} : { preaccess: limitRequests(limits, conf) };
  },
});
