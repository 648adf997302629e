/** ngx_http_mirror_module: requests are sent to other places, too; nobody waits for what those answer. */
import { type Directive, duplicate, everywhere, flag } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import type { Handler } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import { subrequest } from "../subrequest.ts";

const mirror: Directive<readonly string[]> = {
  summary: "A URI of ours that gets the request, too; its answer is dropped.",
  syntax: "uri | off",
  contexts: everywhere,
  args: 1,
  initial: [],
  initialText: "off",
  parse(statement, before) {
    const [uri = ""] = statement.args;
    if (before !== undefined && (uri === "off" || before.length === 0)) throw duplicate(statement);
    return uri === "off" ? [] : [...(before ?? []), uri];
  },
};

const directives = {
  mirror,
  mirror_request_body: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether the body goes there, too: then it is read whole before anybody gets the request.",
  }),
};

function mirrorTo(uris: readonly string[], withBody: boolean): Handler {
  return (exchange) => {
    if (exchange.parent !== undefined) return undefined;
    const { body } = exchange;
    if (!withBody || body === undefined) {
      for (const uri of uris) send(exchange, uri, false);
      return undefined;
    }
    return body.read(exchange.location.limits).then(() => {
      for (const uri of uris) send(exchange, uri, true);
      return undefined;
    });
  };
}

/** Until it is answered the mirror may need the body, and whoever the client is, though both have gone meanwhile. */
function send(exchange: Exchange, uri: string, withBody: boolean): void {
  const { body, args, method, client } = exchange;
  void client.peerAddress;
  if (withBody) body?.hold();
  void subrequest(exchange, uri, args, { method, withBody }).reply.then((reply) => {
    dropBody(reply.body, "a mirror's answer");
    if (withBody) body?.release();
  });
}

export const mirrorModule = defineModule({
  name: "mirror",
  directives,
  compile({ mirror: uris, mirror_request_body: withBody }) {
    return uris.length === 0 ? {} : { precontent: mirrorTo(uris, withBody) };
  },
});
