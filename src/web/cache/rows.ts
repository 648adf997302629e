/** The directives of a cache, under the prefix of the module that has one: `proxy_cache`, `proxy_cache_key` … */
import { mkdirSync } from "node:fs";
import { ConfigError, type Place } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import { failureText } from "../../net/libc.ts";
import type { Block } from "../build.ts";
import {
  type Conf,
  type Directive,
  type Directives,
  duplicate,
  everywhere,
  flag,
  number,
  offset,
  template,
  time,
} from "../directive.ts";
import { systemPath } from "../files.ts";
import type { Template } from "../template.ts";
import type { ValidRule } from "./freshness.ts";
import { type CachePath, cachePathRow } from "./path_row.ts";

/** Which cache. "off": none. */
export type CacheChoice = { readonly zone: Template; readonly at: Place } | "off";

const cacheRow: Directive<CacheChoice> = {
  summary: "The cache that responses are kept in, by the name of its zone.",
  syntax: "zone | off",
  contexts: everywhere,
  args: 1,
  initial: "off",
  initialText: "off",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at } = statement;
    const [given = ""] = args;
    return given === "off" ? "off" : { zone: setup.template(given, at), at };
  },
};

/** Conditions: true if one of the strings is neither empty nor "0". */
const conditions = (summary: string): Directive<readonly Template[]> => ({
  summary,
  syntax: "string …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  parse: ({ args, at }, before = [], { setup }) => [...before, ...args.map((text) => setup.template(text, at))],
});

const usual = [200, 301, 302];

const validRow: Directive<readonly ValidRule[]> = {
  summary: "How long responses are kept that say nothing about it themselves.",
  syntax: "[code …] time",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  parse({ args, at }, before = []) {
    const text = args.at(-1) ?? "";
    const seconds = parseTime(text, "s");
    if (seconds === undefined) throw new ConfigError(`invalid time value "${text}"`, at);
    if (args.length === 1) return [...before, ...usual.map((status) => ({ status, seconds }))];
    const rules = args.slice(0, -1).map((word) => {
      if (word === "any") return { status: 0, seconds };
      if (!/^[1-5]\d\d$/.test(word)) throw new ConfigError(`invalid status "${word}"`, at);
      return { status: Number(word), seconds };
    });
    return [...before, ...rules];
  },
};

/** Words of a set. */
const wordSet = (
  words: readonly string[],
  row: { readonly summary: string; readonly initial: readonly string[]; readonly initialText: string },
): Directive<ReadonlySet<string>> => ({
  syntax: `${words.join(" | ")} …`,
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  ...row,
  initial: new Set(row.initial),
  parse({ args, at }, before = new Set(), { setup }) {
    const all = new Set(before);
    for (const word of args) {
      const known = words.find((each) => each.toLowerCase() === word.toLowerCase());
      if (known === undefined) throw new ConfigError(`invalid value "${word}"`, at);
      if (all.has(known)) setup.warn(`duplicate value "${word}"`, at);
      all.add(known);
    }
    return all.has("off") ? new Set() : all;
  },
});

const staleWords = [
  "error",
  "timeout",
  "invalid_header",
  "updating",
  "http_500",
  "http_502",
  "http_503",
  "http_504",
  "http_403",
  "http_404",
  "http_429",
  "off",
];

const rows = {
  cache: cacheRow,
  cache_path: cachePathRow,
  cache_key: template({
    contexts: everywhere,
    initial: undefined,
    initialText: "$scheme$proxy_host$request_uri",
    summary: "What tells responses apart.",
  }),
  cache_valid: validRow,
  cache_methods: wordSet(["GET", "HEAD", "POST"], {
    initial: ["GET", "HEAD"],
    initialText: "GET HEAD",
    summary: "Methods whose responses are kept; GET and HEAD always are.",
  }),
  cache_min_uses: number({
    contexts: everywhere,
    initial: 1,
    initialText: "1",
    summary: "How often a response must have been asked for before it is kept.",
  }),
  cache_bypass: conditions("When the response is not taken from the cache."),
  no_cache: conditions("When the response is not kept."),
  cache_purge: conditions("When a request removes what is kept under its key; a key that ends with * stands for many."),
  cache_use_stale: wordSet(staleWords, {
    initial: [],
    initialText: "off",
    summary: "When a response is used that is too old.",
  }),
  cache_background_update: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether what is too old is renewed in the background while clients get the old response.",
  }),
  cache_lock: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether of several requests for what is not there only one goes on to the origin.",
  }),
  cache_lock_age: time({
    contexts: everywhere,
    initial: 5000,
    initialText: "5s",
    summary: "After how long another one may.",
  }),
  cache_lock_timeout: time({
    contexts: everywhere,
    initial: 5000,
    initialText: "5s",
    summary: "How long the others wait; then they go on, and their responses are not kept.",
  }),
  cache_revalidate: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the origin is asked if what is too old is still good.",
  }),
  cache_max_range_offset: offset({
    contexts: everywhere,
    initial: undefined,
    summary: "A range that begins behind this is asked for as it is, and not kept.",
  }),
  cache_convert_head: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether the origin is asked with GET where a client asks with HEAD.",
  }),
};

type Rows = typeof rows;

/** The rows of a module. */
export type CacheRows<P extends string> = { readonly [Name in keyof Rows as `${P}_${Name}`]: Rows[Name] };

/** `prefix`: of the module's directives, "proxy". */
export function cacheRows<const P extends string>(prefix: P): CacheRows<P> {
  const named = Object.entries(rows).map(([name, row]) => [`${prefix}_${name}`, row]);
  return Object.fromEntries(named) as CacheRows<P>;
}

/** What they say in a location, without their prefix. */
export type CacheConf = Conf<Rows>;

export function cacheConf(prefix: string, conf: Conf<Directives>): CacheConf {
  const plain = Object.keys(rows).map((name) => [name, conf[`${prefix}_${name}`]]);
  return Object.fromEntries(plain) as CacheConf;
}

/** Makes the caches' directories, and checks that each cache that is named exists. Throws ConfigError. */
export function checkCaches(prefix: string, http: Block): void {
  const known = (http.own(`${prefix}_cache_path`) as readonly CachePath[] | undefined) ?? [];
  for (const { path, at } of known) makeDirectory(path, at);
  const walk = (block: Block): void => {
    const chosen = block.own(`${prefix}_cache`) as CacheChoice | undefined;
    if (chosen !== undefined && chosen !== "off") {
      const name = chosen.zone.constant;
      if (name !== undefined && !known.some((each) => each.name === name))
        throw new ConfigError(`"${prefix}_cache" zone "${name}" is unknown`, chosen.at);
    }
    for (const child of block.children) walk(child);
  };
  walk(http);
}

function makeDirectory(path: string, at: Place): void {
  try {
    mkdirSync(systemPath(path), 0o700);
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return;
    throw new ConfigError(`mkdir() "${path}" failed (${failureText(error)})`, at);
  }
}
