/** ngx_http_auth_request_module: another location of ours decides who may come. */
import { ConfigError } from "../../config/statement.ts";
import type { Reply } from "../../http/message.ts";
import { type Directive, duplicate, everywhere } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import type { AccessHandler, Verdict } from "../pipeline.ts";
import { dropBody } from "../reply.ts";
import { subrequest } from "../subrequest.ts";
import type { Template } from "../template.ts";

interface Assignment {
  readonly set: (exchange: Exchange, value: string) => void;
  readonly value: Template;
}

const authRequest: Directive<string | undefined> = {
  summary: "The URI of ours that is asked: 2xx lets the request in, 401 and 403 refuse it.",
  syntax: "uri | off",
  contexts: everywhere,
  args: 1,
  initial: undefined,
  initialText: "off",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    return statement.args[0];
  },
};

const authRequestSet: Directive<readonly Assignment[]> = {
  summary:
    "Gives a variable a value when the answer has come; the value may have variables of that request ($upstream_http_…).",
  syntax: "$variable value",
  contexts: everywhere,
  args: 2,
  initial: [],
  parse({ args, at }, before = [], { setup }) {
    const [variable = "", value = ""] = args;
    if (!/^\$./s.test(variable)) throw new ConfigError(`invalid variable name "${variable}"`, at);
    return [...before, { set: setup.variables.settable(variable.slice(1), at), value: setup.template(value, at) }];
  },
};

const directives = { auth_request: authRequest, auth_request_set: authRequestSet };

function askLocation(uri: string, assignments: readonly Assignment[]): AccessHandler {
  return async (exchange) => {
    const { exchange: asked, reply: coming } = subrequest(exchange, uri, "");
    exchange.onGone = () => asked.onGone?.();
    exchange.endsWithClient = true;
    const reply = await coming;
    exchange.onGone = undefined;
    exchange.endsWithClient = false;
    dropBody(reply.body, "only its head counts");
    for (const { set, value } of assignments) set(exchange, value.value(asked));
    return verdictOf(exchange, reply);
  };
}

function verdictOf(exchange: Exchange, { head: { status, headers } }: Reply): Verdict {
  if (status >= 200 && status < 300) return "allow";
  if (status === 403) return errorReply(403);
  if (status === 401)
    return errorReply(401, ...headers.all("www-authenticate").map((value) => ["WWW-Authenticate", value] as const));
  exchange.log("error", `auth request unexpected status: ${status} while sending to client`);
  return errorReply(500);
}

export const authRequestModule = defineModule({
  name: "auth_request",
  directives,
  compile({ auth_request: uri, auth_request_set: assignments }) {
    if (uri === undefined || uri === "off" || uri === "") return {};
    return { access: askLocation(uri, assignments) };
  },
});
