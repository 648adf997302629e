/** ngx_http_referer_module: from which pages links may lead here. It keeps honest browsers off, nobody else. */
import { compileRegex, type Pattern } from "../../config/regex.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import type { Block } from "../build.ts";
import { httpDirectives } from "../core/http.ts";
import { accepted, context, type Directive } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { type ServerName, ServerNames } from "../server_names.ts";

const contexts = context.server | context.location;

interface Referers {
  /** No Referer at all is fine; so is one without http:// or https:// (a firewall may have changed it). */
  readonly none: boolean;
  readonly blocked: boolean;
  /** The server's own names are. */
  readonly serverNames: boolean;
  /** Hosts, and how the path must begin there. */
  readonly hosts: readonly { readonly text: string; readonly path: string }[];
  /** For what follows the scheme. */
  readonly regexes: readonly Pattern[];
  readonly at: Place;
}

const nobody = { none: false, blocked: false, serverNames: false, hosts: [], regexes: [] };

const validReferers: Directive<Referers | undefined> = {
  summary: "Referers for which $invalid_referer stays empty.",
  syntax: "none | blocked | server_names | host[/path] | ~regex …",
  contexts,
  args: [1, Number.POSITIVE_INFINITY],
  initial: undefined,
  parse({ args, at }, before, { setup, block }) {
    let referers: Referers = { ...nobody, at, ...before };
    for (const word of args) referers = withWord(referers, word, at);
    // The server's names may stand further down.
    if (before === undefined) setup.afterwards(() => check(block));
    return referers;
  },
  // Expressions of the outer block hold where the inner one has names only.
  merge: (outer, inner) =>
    inner === undefined || inner.regexes.length > 0 ? (inner ?? outer) : { ...inner, regexes: outer?.regexes ?? [] },
};

function withWord(referers: Referers, word: string, at: Place): Referers {
  if (word === "") throw new ConfigError('invalid referer ""', at);
  if (word === "none") return { ...referers, none: true };
  if (word === "blocked") return { ...referers, blocked: true };
  if (word === "server_names") return { ...referers, serverNames: true };
  if (word.startsWith("~")) {
    if (word === "~") throw new ConfigError('empty regex in "~"', at);
    const pattern = compileRegex(word.slice(1), true);
    if (typeof pattern === "string") throw new ConfigError(pattern, at);
    return { ...referers, regexes: [...referers.regexes, pattern] };
  }
  const slash = word.indexOf("/");
  const host = slash < 0 ? { text: word, path: "" } : { text: word.slice(0, slash), path: word.slice(slash) };
  return { ...referers, hosts: [...referers.hosts, host] };
}

/** The names that a host of `valid_referers` stands for, with wildcards as in `server_name`. */
function namesOf(text: string, at: Place): readonly ServerName[] {
  const name = text.toLowerCase();
  const bad = new ConfigError(`invalid hostname or wildcard "${text}"`, at);
  if (name.split("*").length > 2 || name.includes("..") || name.includes("\0")) throw bad;
  if (name.length > 1 && name.startsWith("."))
    return [
      { kind: "exact", name: name.slice(1) },
      { kind: "head", suffix: name },
    ];
  if (name.length > 2 && name.startsWith("*.")) return [{ kind: "head", suffix: name.slice(1) }];
  if (name.length > 2 && name.endsWith(".*")) return [{ kind: "tail", prefix: name.slice(0, -1) }];
  if (name.includes("*")) throw bad;
  return [{ kind: "exact", name }];
}

/** Throws ConfigError for what cannot be. */
function tableOf(referers: Referers, block: Block): ServerNames<string> {
  const { hosts, serverNames, none, blocked, at } = referers;
  const table = new ServerNames<string>();
  const add = (name: ServerName, path: string, text: string): void => {
    if (!table.add(name, path)) throw new ConfigError(`conflicting parameter "${text}"`, at);
  };
  for (const { text, path } of hosts) for (const name of namesOf(text, at)) add(name, path, text);
  const own = serverNames ? block.conf(httpDirectives).server_name : [];
  for (const { name, text } of own) add(name, "", text);
  if ((none || blocked) && hosts.length === 0 && !serverNames)
    throw new ConfigError(
      'the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer',
      at,
    );
  return table;
}

function check(block: Block): void {
  const { valid_referers } = block.conf(directives);
  if (valid_referers !== undefined) tableOf(valid_referers, block);
}

const size = accepted({
  contexts,
  args: 1,
  syntax: "size",
  deviation: "tables have the size that they need",
});

const directives = { valid_referers: validReferers, referer_hash_max_size: size, referer_hash_bucket_size: size };

interface Judge {
  readonly referers: Referers;
  readonly table: ServerNames<string>;
}

const longestHost = 256;
/** "http://i.ru" */
const shortestUrl = 11;

function isValid(referer: string | undefined, { referers, table }: Judge): boolean {
  if (referer === undefined) return referers.none;
  const [, rest] = /^https?:\/\/(.*)$/is.exec(referer) ?? [];
  if (rest === undefined || referer.length < shortestUrl) return referers.blocked;
  const host = (/^[^/:]*/.exec(rest)?.[0] ?? "").toLowerCase();
  if (host.length > longestHost) return false;
  let byExpression = false;
  const path = table.find(host, () => {
    byExpression = true;
  });
  if (path !== undefined && !byExpression) {
    const slash = rest.indexOf("/");
    return (slash < 0 ? "" : rest.slice(slash)).startsWith(path);
  }
  return byExpression || referers.regexes.some((pattern) => pattern.exec(rest) !== undefined);
}

const judgeKey = Symbol("referer");
const setKey = Symbol("referer: $invalid_referer was set");

export const refererModule = defineModule({
  name: "referer",
  directives,
  variables: {
    invalid_referer: {
      summary: 'Empty if `valid_referers` allows the Referer, else "1".',
      set(exchange, value) {
        exchange.main.setNote(setKey, value);
      },
      get(exchange: Exchange) {
        const set = exchange.main.note<string>(setKey);
        if (set !== undefined) return set;
        const judge = exchange.location.facts?.get(judgeKey) as Judge | undefined;
        return judge === undefined || isValid(exchange.request.headers.get("referer"), judge) ? "" : "1";
      },
    },
  },
  compile({ valid_referers: referers }, { block }) {
    if (referers === undefined) return {};
    return { facts: [judgeKey, { referers, table: tableOf(referers, block) } satisfies Judge] };
  },
});
