/** ngx_http_addition_module: other responses before and behind a reply. */
import type { Body } from "../../http/message.ts";
import { type BodyPart, strung } from "../body_change.ts";
import { dropLength, weakenTag } from "../content_change.ts";
import { everywhere, text } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { isOfType, mimeTypes } from "../mime_types.ts";
import { defineModule } from "../module.ts";
import { subrequest } from "../subrequest.ts";

const directives = {
  add_before_body: text({
    contexts: everywhere,
    initial: "",
    summary: "The URI whose response goes before the reply.",
    syntax: "uri",
  }),
  add_after_body: text({
    contexts: everywhere,
    initial: "",
    summary: "The URI whose response goes behind the reply.",
    syntax: "uri",
  }),
  addition_types: mimeTypes({ summary: "The media types of replies to which others are added, besides HTML." }),
};

/** The reply gets additions. */
const added = Symbol("addition");

export const additionModule = defineModule({
  name: "addition",
  directives,
  compile({ add_before_body, add_after_body, addition_types }) {
    if (add_before_body === "" && add_after_body === "") return {};
    return {
      filter(exchange, reply) {
        if (exchange.parent !== undefined || reply.head.status !== 200) return;
        if (!isOfType(addition_types, reply.head.headers)) return;
        weakenTag(dropLength(reply));
        exchange.setNote(added, true);
      },
    };
  },
});

/** ngx_http_postpone_filter_module, as far as additions go: behind the filters that change content, which do not see what is added. */
export const additionBodyModule = defineModule({
  name: "postpone",
  directives: {},
  compile(_, { block }) {
    const { add_before_body: before, add_after_body: after } = block.conf(directives);
    if (before === "" && after === "") return {};
    return {
      filter(exchange, reply) {
        if (exchange.note(added) !== true) return;
        const parts: BodyPart[] = [reply.body];
        if (before !== "") parts.unshift(() => part(exchange, before));
        if (after !== "") parts.push(() => part(exchange, after));
        reply.body = strung(parts);
      },
    };
  },
});

async function part(exchange: Exchange, uri: string): Promise<Body> {
  return (await subrequest(exchange, uri, "").reply).body;
}
