/** The directives that all modules have which pass requests to upstreams, under the prefix of each: `proxy_bind`, `fastcgi_bind` … */
import { ConfigError } from "../../config/statement.ts";
import { parseSize } from "../../config/values.ts";
import { type CacheRows, cacheRows } from "../cache/rows.ts";
import {
  accepted,
  type Conf,
  type Directive,
  type Directives,
  duplicate,
  everywhere,
  flag,
  number,
  size,
  time,
  words,
} from "../directive.ts";
import type { Template } from "../template.ts";
import type { NextPolicy, NextReason } from "./attempts.ts";
import { bindRow } from "./bind.ts";
import { storeAccessRow, storeRow } from "./store.ts";

const nextReasons = [
  "error",
  "timeout",
  "invalid_header",
  "http_500",
  "http_502",
  "http_503",
  "http_504",
  "http_403",
  "http_404",
  "http_429",
  "non_idempotent",
] as const satisfies readonly NextReason[];

const nextUpstream: Directive<ReadonlySet<NextReason>> = {
  summary: "When a request is passed to the next server.",
  syntax: `${nextReasons.join(" | ")} | off …`,
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: new Set<NextReason>(["error", "timeout"]),
  initialText: "error timeout",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const reasons = new Set<NextReason>();
    for (const each of statement.args) {
      if (each === "off" || each === "updating") continue;
      const known = nextReasons.find((reason) => reason === each);
      if (known === undefined) throw new ConfigError(`invalid value "${each}"`, statement.at);
      reasons.add(known);
    }
    return statement.args.includes("off") ? new Set() : reasons;
  },
};

/** Two numbers of which only their form matters here. */
const buffers: Directive<{ readonly count: number; readonly size: number }> = {
  summary: "How many buffers, of which size, a response may fill in memory.",
  syntax: "number size",
  contexts: everywhere,
  args: 2,
  initial: { count: 8, size: 4096 },
  initialText: "8 4k|8k",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [count = "", bytes = ""] = statement.args;
    const parsed = parseSize(bytes);
    if (!/^\d{1,6}$/.test(count) || parsed === undefined)
      throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return { count: Number(count), size: parsed };
  },
};

/** A list of fields, or of what is ignored. */
const fieldList = (summary: string, syntax = "field"): Directive<readonly string[]> =>
  words({ contexts: everywhere, initial: [], summary, syntax });

const ignorable = [
  "X-Accel-Redirect",
  "X-Accel-Expires",
  "X-Accel-Limit-Rate",
  "X-Accel-Buffering",
  "X-Accel-Charset",
  "Expires",
  "Cache-Control",
  "Set-Cookie",
  "Vary",
];

const ignoreHeaders: Directive<ReadonlySet<string>> = {
  summary: "Fields of the upstream that are not obeyed.",
  syntax: "field …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: new Set<string>(),
  parse({ args, at }, before = new Set()) {
    const all = new Set(before);
    for (const each of args) {
      const known = ignorable.find((name) => name.toLowerCase() === each.toLowerCase());
      if (known === undefined) throw new ConfigError(`invalid value "${each}"`, at);
      all.add(known.toLowerCase());
    }
    return all;
  },
};

/** Bytes per second, which may depend on the request. */
const limitRate: Directive<Template | undefined> = {
  summary: "How many bytes per second are read from the upstream; 0: all.",
  syntax: "rate",
  contexts: everywhere,
  args: 1,
  initial: undefined,
  initialText: "0",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { name, args, at } = statement;
    const value = setup.template(args[0] ?? "", at);
    if (value.constant !== undefined && parseSize(value.constant) === undefined)
      throw new ConfigError(`"${name}" directive invalid value`, at);
    return value;
  },
};

const socketMatter = "the system's own sizes hold";

const rows = {
  pass_request_headers: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether the client's fields are passed on.",
  }),
  pass_request_body: flag({ contexts: everywhere, initial: true, summary: "Whether the body is passed on." }),
  buffering: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether a response is read as fast as the upstream sends it.",
  }),
  request_buffering: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether a request's body is read whole before the upstream is asked.",
  }),
  buffer_size: size({
    contexts: everywhere,
    initial: 8192,
    initialText: "4k|8k",
    summary: "The most bytes of a response's head.",
  }),
  buffers: buffers,
  busy_buffers_size: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: "the client's connection says what is busy",
  }),
  max_temp_file_size: size({
    contexts: everywhere,
    initial: 1024 * 1024 * 1024,
    initialText: "1024m",
    summary: "How much of a response may wait in a file; 0: nothing, the upstream waits.",
  }),
  temp_file_write_size: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: "pieces are written as they come",
  }),
  temp_path: accepted({
    contexts: everywhere,
    args: [1, 4],
    syntax: "path [level1 [level2 [level3]]]",
    deviation: "temporary files have no name; they lie in the system's directory for them",
  }),
  connect_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long connecting may take.",
  }),
  send_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long the upstream may not read.",
  }),
  read_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long the upstream may be silent.",
  }),
  next_upstream: nextUpstream,
  next_upstream_tries: number({
    contexts: everywhere,
    initial: 0,
    initialText: "0",
    summary: "How many servers are tried at most; 0: all.",
  }),
  next_upstream_timeout: time({
    contexts: everywhere,
    initial: 0,
    initialText: "0",
    summary: "How long others are tried; 0: without bound.",
  }),
  intercept_errors: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether error_page replaces the upstream's errors.",
  }),
  ignore_client_abort: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the upstream's work goes on when the client has left.",
  }),
  hide_header: fieldList("A field of the upstream's that clients do not get."),
  pass_header: fieldList("A field that they get though it is usually held back."),
  ignore_headers: ignoreHeaders,
  force_ranges: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether ranges are made of responses that do not offer them.",
  }),
  limit_rate: limitRate,
  bind: bindRow,
  socket_keepalive: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the system checks that a silent upstream is still there (SO_KEEPALIVE).",
  }),
  store: storeRow,
  store_access: storeAccessRow,
  socket_rcvbuf: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: socketMatter,
  }),
  socket_sndbuf: size({
    contexts: everywhere,
    initial: undefined,
    summary: "Accepted.",
    deviation: socketMatter,
  }),
};

type Rows = typeof rows;

/** The rows of a module. */
export type PassingRows<P extends string> = {
  readonly [Name in keyof Rows as `${P}_${Name}`]: Rows[Name];
} & CacheRows<P>;

/** `prefix`: of the module's directives, "proxy". */
export function passingRows<const P extends string>(prefix: P): PassingRows<P> {
  const named = Object.entries(rows).map(([name, row]) => [`${prefix}_${name}`, row]);
  return { ...(Object.fromEntries(named) as PassingRows<P>), ...cacheRows(prefix) };
}

/** What they say in a location, without their prefix. */
export type PassingConf = Conf<Rows>;

export function passingConf(prefix: string, conf: Conf<Directives>): PassingConf {
  const plain = Object.entries(rows).map(([name, row]) => [name, conf[`${prefix}_${name}`] ?? row.initial]);
  return Object.fromEntries(plain) as PassingConf;
}

/** When another peer is tried. */
export const nextPolicy = (conf: PassingConf): NextPolicy => ({
  reasons: conf.next_upstream,
  tries: conf.next_upstream_tries,
  timeoutMs: conf.next_upstream_timeout,
});
