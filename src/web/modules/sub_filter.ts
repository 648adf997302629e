/** ngx_http_sub_module: replaces texts in replies. */
import { ConfigError, type Statement } from "../../config/statement.ts";
import { changed } from "../body_change.ts";
import { dropLength, dropValidators, isEmpty } from "../content_change.ts";
import { type Directive, everywhere, flag } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { isOfType, mimeTypes } from "../mime_types.ts";
import { defineModule } from "../module.ts";
import { Matcher, type Replacement, Replacer } from "../replacer.ts";
import type { Template } from "../template.ts";

interface Pair {
  readonly match: Template;
  readonly value: Template;
}

const maxPairs = 255;

const pairs: Directive<readonly Pair[]> = {
  summary: "A text to look for in replies, and what takes its place; several add up.",
  syntax: "string replacement",
  contexts: everywhere,
  args: 2,
  initial: [],
  parse({ args, at }: Statement, before = [], { setup }) {
    const [match = "", value = ""] = args;
    if (match === "") throw new ConfigError("empty search pattern", at);
    if (before.length === maxPairs) throw new ConfigError(`number of search patterns exceeds ${maxPairs}`, at);
    return [...before, { match: setup.template(match, at), value: setup.template(value, at) }];
  },
};

const replacements = (all: readonly Pair[], exchange: Exchange): Replacement[] =>
  all
    .map(({ match, value }) => ({ match: match.value(exchange), value: () => value.value(exchange) }))
    .filter(({ match }) => match !== "");

export const subFilterModule = defineModule({
  name: "sub",
  directives: {
    sub_filter: pairs,
    sub_filter_once: flag({
      contexts: everywhere,
      initial: true,
      summary: "Whether each text is replaced the first time only.",
    }),
    sub_filter_last_modified: flag({
      contexts: everywhere,
      initial: false,
      summary: "Whether changed replies keep their date.",
    }),
    sub_filter_types: mimeTypes({ summary: "The media types in which texts are replaced, besides HTML." }),
  },
  compile({ sub_filter, sub_filter_once, sub_filter_last_modified, sub_filter_types }) {
    if (sub_filter.length === 0) return {};
    const matcher = sub_filter.every(({ match }) => match.constant !== undefined)
      ? new Matcher(sub_filter.map(({ match }) => match.constant ?? ""))
      : undefined;
    return {
      filter(exchange, reply) {
        if (isEmpty(reply) || !isOfType(sub_filter_types, reply.head.headers)) return;
        const all = replacements(sub_filter, exchange);
        if (all.length === 0) return;
        const headers = dropLength(reply);
        if (exchange.parent === undefined) dropValidators(headers, sub_filter_last_modified);
        const replacer = new Replacer(all, sub_filter_once, matcher);
        reply.body = changed(reply.body, (bytes, last) => replacer.change(bytes, last));
      },
    };
  },
});
