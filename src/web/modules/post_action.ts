/** The directive `post_action` of Nginx's core: when a request has been answered, another place of ours is told of it. */
import { type Directive, duplicate, everywhere } from "../directive.ts";
import { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { type Jump, lead } from "../pipeline.ts";
import { dropBody } from "../reply.ts";

const postAction: Directive<string | undefined> = {
  summary:
    "A URI or a named location that each request is led to when it has been answered; what that answers is dropped.",
  syntax: "uri | @name | off",
  contexts: everywhere,
  args: 1,
  initial: undefined,
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    return statement.args[0];
  },
};

/** The same request once more, without its body and its way to the client, but knowing what was sent. */
function afterwards(answered: Exchange): Exchange {
  const { request, client, server, startedAt, uri, args } = answered;
  const exchange = new Exchange({ request, client, server, startedAt, body: undefined }, uri, args);
  exchange.location = answered.location;
  exchange.method = answered.method;
  exchange.captures = answered.captures;
  exchange.internal = true;
  exchange.values = answered.values === undefined ? undefined : [...answered.values];
  exchange.notes = answered.notes?.copy();
  exchange.reply = answered.reply;
  exchange.sentTrailers = answered.sentTrailers;
  exchange.bodyBytesSent = answered.bodyBytesSent;
  exchange.bytesSent = answered.bytesSent;
  return exchange;
}

async function act(exchange: Exchange, to: Jump): Promise<void> {
  try {
    const reply = await lead(exchange, to);
    dropBody(reply.body, "the answer to a post_action");
  } catch (error) {
    exchange.log("error", error instanceof Error ? error.message : String(error));
  } finally {
    exchange.end();
  }
}

export const postActionModule = defineModule({
  name: "post_action",
  directives: { post_action: postAction },
  compile({ post_action: to }) {
    if (to === undefined || to === "off") return {};
    const jump: Jump = to.startsWith("/")
      ? { to: "uri", uri: to, args: "" }
      : { to: "named", name: to.replace("@", "") };
    return {
      log(exchange) {
        if (exchange.parent !== undefined) return;
        // Asked for now: a connection that is closed does not know its other end.
        void exchange.client.peerAddress;
        void act(afterwards(exchange), jump);
      },
    };
  },
});
