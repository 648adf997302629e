/** Pages for old browsers (ngx_http_core_module): `msie_padding`, `msie_refresh`. */
import { Headers } from "../../http/headers.ts";
import { ownHeaders, type Reply } from "../../http/message.ts";
import { errorDirectives } from "../core/errors.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { replaceReply } from "../reply.ts";

const agentOf = ({ request }: Exchange): string => request.headers.get("user-agent") ?? "";
const isMsie = (agent: string): boolean => agent.includes("MSIE ") && !agent.includes("Opera");

/** Shorter pages were replaced by the browser's own. */
const leastBytes = 512;
const padded = new WeakMap<Uint8Array, Uint8Array>();

function pad(reply: Reply): void {
  const { body, head } = reply;
  if (body.kind !== "bytes" || body.bytes.length >= leastBytes) return;
  const { bytes } = body;
  let made = padded.get(bytes);
  if (made === undefined) {
    made = Buffer.concat([bytes, Buffer.from(`<!-- ${" ".repeat(leastBytes - bytes.length)} -->\n`)]);
    padded.set(bytes, made);
  }
  ownHeaders(head).set("Content-Length", String(made.length));
  reply.body = { kind: "bytes", bytes: made };
}

const escaped = (url: string): string =>
  url.replace(
    /[\x00-\x20"'<>\x7f-\xff]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );

/** A page that leads on, instead of a redirect. */
function refresh(reply: Reply, to: string): void {
  const bytes = Buffer.from(`<html><head><meta http-equiv="Refresh" content="0; URL=${escaped(to)}"></head></html>\n`);
  const headers = Headers.of(["Content-Type", "text/html"], ["Content-Length", String(bytes.length)]);
  replaceReply(reply, { head: { status: 200, headers }, body: { kind: "bytes", bytes } });
}

export const msieModule = defineModule({
  name: "msie",
  directives: {},
  compile(_, { block }) {
    const { msie_padding, msie_refresh } = block.conf(errorDirectives);
    if (!msie_padding && !msie_refresh) return {};
    return {
      filter(exchange, reply) {
        if (reply.isPage !== true) return;
        const { status, headers } = reply.head;
        if (msie_padding && status >= 400) {
          const agent = agentOf(exchange);
          if (isMsie(agent) || (agent.includes("Chrome/") && !agent.includes("Gecko/"))) pad(reply);
        } else if (msie_refresh && (status === 301 || status === 302) && isMsie(agentOf(exchange)))
          refresh(reply, headers.get("location") ?? "");
      },
    };
  },
});
