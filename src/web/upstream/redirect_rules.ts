/** proxy_redirect: the upstream's Location and Refresh as the client should see them. */
import type { Pattern } from "../../config/regex.ts";
import { ConfigError } from "../../config/statement.ts";
import { regexWithVariables } from "../core/http.ts";
import { type Directive, everywhere } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Template } from "../template.ts";

/** "default": from proxy_pass's URL to the location's path. */
export type RedirectRule =
  | "default"
  | {
      readonly from:
        | Template
        | { readonly pattern: Pattern; captured(exchange: Exchange, found: readonly (string | undefined)[]): void };
      readonly to: Template;
    };

export const redirectRow: Directive<readonly RedirectRule[] | "off" | undefined> = {
  summary: "How the upstream's redirects are changed.",
  syntax: "default | off | redirect replacement",
  contexts: everywhere,
  args: [1, 2],
  initial: undefined,
  initialText: "default",
  parse({ args, at, name }, before, parsing) {
    const [first = "", second] = args;
    if (before === "off") throw new ConfigError(`"${name}" directive is duplicate`, at);
    if (second === undefined) {
      if (first === "off" && before === undefined) return "off";
      if (first === "default") return [...(before ?? []), "default"];
      throw new ConfigError(`invalid parameter "${first}"`, at);
    }
    const to = parsing.setup.template(second, at);
    const caseless = first.startsWith("~*");
    const from = first.startsWith("~")
      ? regexWithVariables(first.slice(caseless ? 2 : 1), caseless, parsing, at)
      : parsing.setup.template(first, at);
    return [...(before ?? []), { from, to }];
  },
};

/** The changed value; undefined: no rule fits. `byDefault`: what "default" means in this location. */
export function changedRedirect(
  exchange: Exchange,
  rules: readonly RedirectRule[],
  byDefault: { readonly from: string; readonly to: string } | undefined,
  value: string,
): string | undefined {
  for (const rule of rules) {
    if (rule === "default") {
      if (byDefault !== undefined && value.startsWith(byDefault.from))
        return byDefault.to + value.slice(byDefault.from.length);
      continue;
    }
    if ("pattern" in rule.from) {
      const found = rule.from.pattern.exec(value);
      if (found === undefined) continue;
      rule.from.captured(exchange, found);
      return rule.to.value(exchange);
    }
    const from = rule.from.value(exchange);
    if (value.startsWith(from)) return rule.to.value(exchange) + value.slice(from.length);
  }
  return undefined;
}
