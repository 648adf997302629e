/** ngx_http_upstream_hc_module: servers of an upstream are checked while requests are served. */
import { ConfigError, type Statement } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import type { Block } from "../build.ts";
import { type Conf, context, type Directive, invalidParameter } from "../directive.ts";
import { type Compiling, defineModule } from "../module.ts";
import { targetOf, upstreamDirectives, upstreamsOf } from "../upstream/groups.ts";
import { type HealthCheck, type HealthOptions, keepChecking } from "../upstream/health.ts";
import { matchRow, usualMatch } from "../upstream/health_match.ts";
import { hasPassed } from "../upstream/peer_state.ts";
import { proxyDirectives } from "../upstream/proxy_rows.ts";

/** A check as it was written. */
interface CheckConf extends Omit<HealthCheck, "match" | "matchName"> {
  readonly matchName: string | undefined;
  /** Until a server has passed it gets no request. */
  readonly mandatory: boolean;
  /** … unless it has before a reload. */
  readonly persistent: boolean;
  readonly at: Statement["at"];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function readParameter(conf: Mutable<CheckConf>, word: string, statement: Statement): void {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  const value = equals < 0 ? "" : word.slice(equals + 1);
  const count = /^[1-9]\d{0,8}$/.test(value) ? Number(value) : undefined;
  const ms = parseTime(value, "ms");
  if (name === "interval" && ms !== undefined && ms > 0) conf.intervalMs = ms;
  else if (name === "jitter" && ms !== undefined) conf.jitterMs = ms;
  else if (name === "fails" && count !== undefined) conf.fails = count;
  else if (name === "passes" && count !== undefined) conf.passes = count;
  else if (name === "uri" && value.startsWith("/")) conf.uri = value;
  else if (name === "match" && value !== "") conf.matchName = value;
  else if (name === "port" && count !== undefined && count < 65536) conf.port = count;
  else if (word === "mandatory") conf.mandatory = true;
  else if (word === "persistent" && conf.mandatory) conf.persistent = true;
  else throw invalidParameter(statement, word);
}

const healthCheck: Directive<readonly CheckConf[]> = {
  summary: "The servers of the upstream that is passed to are checked now and then, and left alone while they fail.",
  syntax:
    "[interval=time] [jitter=time] [fails=number] [passes=number] [uri=uri] [mandatory [persistent]] [match=name] [port=number]",
  contexts: context.location,
  args: [0, Number.POSITIVE_INFINITY],
  initial: [],
  inherit: "never",
  deviation: "gRPC (`type=`) is not spoken, and each check has a connection of its own (`keepalive_time=`)",
  parse(statement, before = []) {
    const conf: Mutable<CheckConf> = {
      intervalMs: 5000,
      jitterMs: 0,
      fails: 1,
      passes: 1,
      uri: "/",
      port: undefined,
      matchName: undefined,
      mandatory: false,
      persistent: false,
      at: statement.at,
    };
    for (const word of statement.args) readParameter(conf, word, statement);
    return [...before, conf];
  },
};

const hcDirectives = { health_check: healthCheck, match: matchRow };

/** The group that a location passes to; undefined: none that is known now. */
function groupOf(block: Block): readonly [name: string, group: Block] | undefined {
  const pass = block.conf(proxyDirectives).proxy_pass;
  const name = pass === undefined || pass.template !== undefined ? "" : (pass.text.split(/[/?]/)[0] ?? "");
  const group = upstreamsOf(block).get(name.toLowerCase());
  return group === undefined ? undefined : [name, group];
}

function checkAll(block: Block): void {
  const { health_check, match } = block.conf(hcDirectives);
  for (const { at, matchName } of health_check) {
    const found = groupOf(block);
    if (found === undefined) throw new ConfigError('"health_check" needs a "proxy_pass" to an upstream', at);
    const [name, group] = found;
    if (group.conf(upstreamDirectives).zone === undefined)
      throw new ConfigError(`health checks require upstream "${name}" to be in shared memory`, at);
    if (matchName !== undefined && !match.has(matchName)) throw new ConfigError(`unknown match "${matchName}"`, at);
  }
  for (const child of block.children) checkAll(child);
}

const checksOf = new WeakMap<Block, number>();
/** Each has a bit of its own. */
const maxChecks = 30;

function begin({ health_check, match }: Conf<typeof hcDirectives>, { block, runtime }: Compiling): void {
  const found = groupOf(block);
  if (found === undefined) return;
  const [name, group] = found;
  const { peers } = targetOf(group, name, runtime);
  const proxy = block.conf(proxyDirectives);
  if (runtime.webWorker !== 0) return;
  for (const { matchName, mandatory, persistent, ...check } of health_check) {
    const bit = (checksOf.get(group) ?? 0) % maxChecks;
    checksOf.set(group, bit + 1);
    if (mandatory)
      for (const { state } of [...peers.primary, ...peers.backup])
        if (!persistent || (state.unhealthy & hasPassed) === 0) state.unhealthy |= 1 << bit;
    const options: HealthOptions = {
      check: {
        ...check,
        match: matchName === undefined ? usualMatch : (match.get(matchName) ?? usualMatch),
        matchName: matchName ?? "",
      },
      bit,
      group: name,
      fields: fieldsOf(proxy, name),
      timeouts: {
        connect: proxy.proxy_connect_timeout,
        send: proxy.proxy_send_timeout,
        read: proxy.proxy_read_timeout,
      },
      timers: runtime.timers,
      log: (level, message) => runtime.log.log(level, message),
    };
    keepChecking(peers, options);
  }
}

/** There is no request whose variables could be in them. */
function fieldsOf({ proxy_set_header }: Conf<typeof proxyDirectives>, group: string): [string, string][] {
  const fields = proxy_set_header.flatMap(({ name, value }): [string, string][] =>
    value.constant === undefined || value.constant === "" ? [] : [[name, value.constant]],
  );
  const has = (lower: string): boolean => fields.some(([name]) => name.toLowerCase() === lower);
  if (!has("host")) fields.unshift(["Host", group]);
  if (!has("connection")) fields.push(["Connection", "close"]);
  return fields;
}

export const upstreamHcModule = defineModule({
  name: "upstream_hc",
  directives: hcDirectives,
  prepare: checkAll,
  compile(conf, at) {
    if (conf.health_check.length > 0) begin(conf, at);
    return {};
  },
});
