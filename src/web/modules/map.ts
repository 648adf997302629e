/** ngx_http_map_module: variables whose value another one decides. */
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import { regexWithVariables } from "../core/http.ts";
import { accepted, context, type Directive, type Parsing } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { ServerNames } from "../server_names.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";

/** A value that is always the same is text. */
type Value = string | Template;
type Regex = ReturnType<typeof regexWithVariables>;

/** A `map` as written. Its keys are found without regard to case, as Nginx finds them. */
class Table {
  readonly #names = new ServerNames<Value>();
  readonly #regexes: (readonly [Regex, Value])[] = [];
  /** Names of hosts: wildcards at either end, a dot at the end means nothing. */
  hostnames = false;
  volatile = false;
  fallback: Value | undefined;

  /** False: it has this key already. */
  add(key: string, value: Value, at: Place): boolean {
    const name = lowered(key);
    if (!this.hostnames) return this.#names.add({ kind: "exact", name }, value);
    const bad = new ConfigError(`invalid hostname or wildcard "${key}"`, at);
    if (name.split("*").length > 2 || name.includes("..") || name.includes("\0")) throw bad;
    if (name.length > 1 && name.startsWith("."))
      return (
        this.#names.add({ kind: "exact", name: name.slice(1) }, value) &&
        this.#names.add({ kind: "head", suffix: name }, value)
      );
    if (name.length > 2 && name.startsWith("*."))
      return this.#names.add({ kind: "head", suffix: name.slice(1) }, value);
    if (name.length > 2 && name.endsWith(".*"))
      return this.#names.add({ kind: "tail", prefix: name.slice(0, -1) }, value);
    if (name.includes("*")) throw bad;
    return this.#names.add({ kind: "exact", name }, value);
  }

  addRegex(regex: Regex, value: Value): void {
    this.#regexes.push([regex, value]);
  }

  find(exchange: Exchange, text: string): Value | undefined {
    const subject = this.hostnames && text.endsWith(".") ? text.slice(0, -1) : text;
    const named = this.#names.find(lowered(subject), noRegex);
    if (named !== undefined) return named;
    if (subject !== "")
      for (const [regex, value] of this.#regexes) {
        const found = regex.pattern.exec(subject);
        if (found === undefined) continue;
        // Without groups, what `$1` means stays as it was.
        if (regex.pattern.groupCount > 0) regex.captured(exchange, found);
        return value;
      }
    return this.fallback;
  }
}

const noRegex = (): void => {};

/** Letters of ASCII alone: other bytes are no letters here. */
const lowered = (text: string): string =>
  /[\x80-\xff]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text.toLowerCase();

const map: Directive<undefined> = {
  summary: "A variable whose value depends on others: the first line that fits decides.",
  syntax: "string $variable { [default value;] [hostnames;] [volatile;] [include file;] key value; … }",
  contexts: context.http,
  args: 2,
  initial: undefined,
  ownBlock: true,
  parse({ args, at, block = [] }, _, parsing) {
    const [source = "", name = ""] = args;
    const { setup } = parsing;
    const subject = setup.template(source, at);
    const table = new Table();
    if (!/^\$./s.test(name)) throw new ConfigError(`invalid variable name "${name}"`, at);
    for (const statement of block) read(table, statement, parsing);
    setup.variables.define(name.slice(1), variableOf(name.slice(1), subject, table), at);
    return undefined;
  },
};

function read(table: Table, statement: Statement, parsing: Parsing): void {
  const { name: key, args, at, block } = statement;
  if (block !== undefined) throw new ConfigError('unexpected "{"', at);
  if (args.length === 0 && key === "hostnames") table.hostnames = true;
  else if (args.length === 0 && key === "volatile") table.volatile = true;
  else if (args.length !== 1) throw new ConfigError("invalid number of the map parameters", at);
  else addLine(table, key, mapped(args[0] ?? "", at, parsing.setup), { at, parsing });
}

function addLine(table: Table, key: string, value: Value, { at, parsing }: { at: Place; parsing: Parsing }): void {
  if (key === "default") {
    if (table.fallback !== undefined) throw new ConfigError("duplicate default map parameter", at);
    table.fallback = value;
  } else if (key.startsWith("~")) {
    const caseless = key.startsWith("~*");
    table.addRegex(regexWithVariables(key.slice(caseless ? 2 : 1), caseless, parsing, at), value);
  } else {
    const plain = key.startsWith("\\") ? key.slice(1) : key;
    if (!table.add(plain, value, at)) throw new ConfigError(`conflicting parameter "${plain}"`, at);
  }
}

function mapped(text: string, at: Place, setup: Setup): Value {
  const template = setup.template(text, at);
  return template.constant ?? template;
}

/** Maps may use each other's variables: a circle ends here. */
const deepest = 100;
let depth = 0;

function variableOf(name: string, subject: Template, table: Table) {
  return {
    summary: "What a `map` of the configuration says.",
    cached: !table.volatile,
    get(exchange: Exchange): string | undefined {
      if (depth >= deepest) {
        exchange.log("error", `cycle while evaluating variable "${name}"`);
        return undefined;
      }
      depth++;
      try {
        const found = table.find(exchange, subject.value(exchange)) ?? "";
        return typeof found === "string" ? found : found.value(exchange);
      } finally {
        depth--;
      }
    },
  };
}

const size = accepted({
  contexts: context.http,
  args: 1,
  syntax: "size",
  deviation: "tables have the size that they need",
});

export const mapModule = defineModule({
  name: "map",
  directives: { map, map_hash_max_size: size, map_hash_bucket_size: size },
});
