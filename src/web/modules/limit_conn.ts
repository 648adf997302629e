/** ngx_http_limit_conn_module: how many requests of a kind there may be at a time, over all web workers. */
import { ConfigError } from "../../config/statement.ts";
import { type Conf, context, type Directive, everywhere, flag, invalidParameter } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { limitedKey, refusalLevel, refusalStatus } from "../limiting.ts";
import { defineModule, type Runtime } from "../module.ts";
import type { Answer, Handler } from "../pipeline.ts";
import { countFields, SharedCounts } from "../shared_counts.ts";
import { sharedZone, zoneParameter } from "../shared_zone.ts";
import type { Template } from "../template.ts";

const zoneRow: Directive<ReadonlyMap<string, Template>> = {
  summary: "Shared memory for the number of requests in progress of each value of a key.",
  syntax: "key zone=name:size",
  contexts: context.http,
  args: 2,
  initial: new Map(),
  parse(statement, before = new Map(), { setup }) {
    const { args, at } = statement;
    const [keyText = "", word = ""] = args;
    const key = setup.template(keyText, at);
    if (!word.startsWith("zone=")) throw invalidParameter(statement, word);
    const zone = zoneParameter(word, at);
    if (zone.name === "") throw new ConfigError('"limit_conn_zone" must have "zone" parameter', at);
    const known = before.get(zone.name);
    if (known !== undefined)
      throw new ConfigError(`limit_conn_zone "${zone.name}" is already bound to key "${known.text}"`, at);
    setup.zone({ ...zone, kind: kindOf(keyText) }, at);
    return new Map([...before, [zone.name, key]]);
  },
};

const kindOf = (key: string): string => `limit_conn_zone ${key}`;

interface LimitConf {
  readonly zone: string;
  readonly most: number;
}

const limitRow: Directive<readonly LimitConf[]> = {
  summary: "How many requests may be in progress for each value of a zone's key; further ones are refused.",
  syntax: "zone number",
  contexts: everywhere,
  args: 2,
  initial: [],
  parse({ args, at, name }, before = [], { setup, block }) {
    const [zone = "", digits = ""] = args;
    if (before.some((each) => each.zone === zone)) throw new ConfigError(`"${name}" directive is duplicate`, at);
    if (!/^\d{1,15}$/.test(digits) || Number(digits) === 0)
      throw new ConfigError(`invalid number of connections "${digits}"`, at);
    if (Number(digits) > 65535) throw new ConfigError("connection limit must be less 65536", at);
    setup.afterwards(() => {
      if (!block.conf(directives).limit_conn_zone.has(zone))
        throw new ConfigError(`zero size shared memory zone "${zone}"`, at);
    });
    return [...before, { zone, most: Number(digits) }];
  },
};

const directives = {
  limit_conn_zone: zoneRow,
  limit_conn: limitRow,
  limit_conn_status: refusalStatus,
  limit_conn_log_level: refusalLevel("The level at which refusals are logged."),
  limit_conn_dry_run: flag({
    contexts: everywhere,
    initial: false,
    summary: "Requests are counted, but not refused.",
  }),
};

/** One `limit_conn` of a location. */
interface Limit extends LimitConf {
  readonly key: Template;
  readonly counts: SharedCounts;
}

const counted = new WeakMap<Runtime, Map<string, SharedCounts>>();

function countsOf(zone: string, key: Template, runtime: Runtime): SharedCounts {
  const all = counted.get(runtime) ?? new Map<string, SharedCounts>();
  counted.set(runtime, all);
  const known = all.get(zone);
  if (known !== undefined) return known;
  const memory = sharedZone(runtime, { name: zone, kind: kindOf(key.text), fields: countFields });
  const made = new SharedCounts(memory, runtime.counters, runtime.lane);
  all.set(zone, made);
  return made;
}

/** As many as Nginx takes. */
const mostKeyBytes = 255;

type Status = "PASSED" | "REJECTED" | "REJECTED_DRY_RUN";
const statusKey = Symbol("limit_conn status");

/** What holds in a location besides the limits. */
type Manner = Pick<Conf<typeof directives>, "limit_conn_status" | "limit_conn_log_level" | "limit_conn_dry_run">;

function limitConnections(limits: readonly Limit[], manner: Manner): Handler {
  return (exchange) => {
    const { main } = exchange;
    if (main.note(statusKey) !== undefined) return undefined;
    const taken: (() => void)[] = [];
    for (const limit of limits) {
      const key = limitedKey(exchange, limit.key, mostKeyBytes);
      if (key === "") continue;
      const added = limit.counts.add(key, limit.most);
      if (added !== true) {
        for (const giveBack of taken) giveBack();
        return refused(exchange, limit, added, manner);
      }
      taken.push(() => limit.counts.remove(key));
      main.setNote(statusKey, "PASSED" satisfies Status);
    }
    for (const giveBack of taken) main.atEnd(giveBack);
    return undefined;
  };
}

function refused(exchange: Exchange, { zone }: Limit, added: false | undefined, manner: Manner): Answer {
  const { limit_conn_dry_run: dry, limit_conn_log_level: level, limit_conn_status: status } = manner;
  if (added === undefined) exchange.log("crit", `could not allocate node in limit_conn_zone "${zone}"`);
  else exchange.log(level, `limiting connections${dry ? ", dry run," : ""} by zone "${zone}"`);
  exchange.main.setNote(statusKey, (dry ? "REJECTED_DRY_RUN" : "REJECTED") satisfies Status);
  return dry ? undefined : errorReply(status);
}

export const limitConnModule = defineModule({
  name: "limit_conn",
  directives,
  variables: {
    limit_conn_status: {
      summary: "What became of the request: PASSED, REJECTED, REJECTED_DRY_RUN.",
      plain: true,
      get: ({ main }) => main.note<Status>(statusKey),
    },
  },
  compile(conf, { runtime }) {
    const limits: Limit[] = [];
    for (const each of conf.limit_conn) {
      const key = conf.limit_conn_zone.get(each.zone);
      if (key !== undefined) limits.push({ ...each, key, counts: countsOf(each.zone, key, runtime) });
    }
    return limits.length === 0 ? {} : { preaccess: limitConnections(limits, conf) };
  },
});
