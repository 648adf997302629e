/** `fastcgi_param` and its like: what a gateway is told about a request. */
import { ConfigError } from "../../config/statement.ts";
import type { Params } from "../../http/cgi/params.ts";
import { etagOf, lastModifiedOf } from "../cache/state.ts";
import { type Directive, everywhere } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Compiling } from "../module.ts";
import type { Template } from "../template.ts";

interface Param {
  readonly name: string;
  readonly value: Pick<Template, "value">;
  /** Left out where its value is empty. */
  readonly ifNotEmpty: boolean;
}

export const paramRow: Directive<readonly (Param & { readonly value: Template })[]> = {
  summary: "One of the values that the application is given with a request.",
  syntax: "parameter value [if_not_empty]",
  contexts: everywhere,
  args: [2, 3],
  initial: [],
  parse({ args, at }, before = [], { setup }) {
    const [name = "", value = "", word] = args;
    if (word !== undefined && word !== "if_not_empty") throw new ConfigError(`invalid parameter "${word}"`, at);
    return [...before, { name, value: setup.template(value, at), ifNotEmpty: word !== undefined }];
  },
};

/** Fields of the client's become names with this in front (RFC 3875 4.1.18). */
const fieldPrefix = "HTTP_";

/** As a name of a param: `accept-language` is ACCEPT_LANGUAGE. */
const paramName = (lower: string): string => lower.toUpperCase().replaceAll("-", "_");

/** What a location tells its gateway. */
export class ParamPlan {
  readonly #params: readonly Param[];
  /** Names of fields, as params have them, that are told by params of the configuration instead. */
  readonly #replaced: ReadonlySet<string>;
  readonly #passesFields: boolean;

  constructor(conf: readonly (Param & { readonly value: Template })[], usual: readonly Param[], passesFields: boolean) {
    const given = new Set(conf.map(({ name }) => name.toUpperCase()));
    const all = [...conf, ...usual.filter(({ name }) => !given.has(name))];
    const fields = all.filter(({ name }) => name.length > fieldPrefix.length && name.startsWith(fieldPrefix));
    this.#replaced = new Set(fields.map(({ name }) => name.slice(fieldPrefix.length).toUpperCase()));
    // A field's param that is always empty only holds the client's back.
    const silent = new Set(fields.filter(({ value }) => "constant" in value && value.constant === ""));
    this.#params = all.filter((each) => !silent.has(each));
    this.#passesFields = passesFields;
  }

  make(exchange: Exchange): Params {
    const made: (readonly [string, string])[] = [];
    for (const { name, value, ifNotEmpty } of this.#params) {
      const text = value.value(exchange);
      if (text !== "" || !ifNotEmpty) made.push([name, text]);
    }
    if (this.#passesFields) this.#addFields(exchange, made);
    return made;
  }

  /** Those of the same name are one, as a list (RFC 9110 5.3). */
  #addFields({ request: { headers } }: Exchange, to: (readonly [string, string])[]): void {
    const { names, values } = headers;
    const places = new Map<string, number>();
    for (const [i, { lower }] of names.entries()) {
      const place = places.get(lower);
      const before = place === undefined ? undefined : to[place];
      if (place !== undefined && before !== undefined) {
        to[place] = [before[0], `${before[1]}${lower === "cookie" ? "; " : ", "}${values[i] ?? ""}`];
        continue;
      }
      const name = paramName(lower);
      if (this.#replaced.has(name)) continue;
      places.set(lower, to.length);
      to.push([fieldPrefix + name, values[i] ?? ""]);
    }
  }
}

const field = (name: string, value: (exchange: Exchange) => string): Param => ({
  name: fieldPrefix + name,
  value: { value },
  ifNotEmpty: true,
});
const never = (): string => "";

/** What is told unless the configuration tells it: the host that the request is for, whatever the client's field says. */
export function usualParams({ setup, block }: Compiling): readonly Param[] {
  const parts = ["host", "is_request_port", "request_port"].map((name) => setup.variables.reader(name, block.at));
  return [field("HOST", (exchange) => parts.map((get) => get(exchange) ?? "").join(""))];
}

/** … where the response may be kept: not the client's conditions and ranges, but the cache's. */
export const cacheParams = (at: Compiling): readonly Param[] => [
  ...usualParams(at),
  field("IF_MODIFIED_SINCE", (exchange) => lastModifiedOf(exchange) ?? ""),
  field("IF_UNMODIFIED_SINCE", never),
  field("IF_NONE_MATCH", (exchange) => etagOf(exchange) ?? ""),
  field("IF_MATCH", never),
  field("RANGE", never),
  field("IF_RANGE", never),
];
