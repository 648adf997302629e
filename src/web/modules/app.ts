/** Our own: Python applications. `app NAME { … }` says which and how they are run, `app_pass NAME` gives requests to one. */
import { Call } from "../../app/call.ts";
import type { Dispatcher } from "../../app/dispatch.ts";
import { writeEnviron } from "../../app/environ.ts";
import { pathEncoded } from "../../app/frames.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import type { Reply } from "../../http/message.ts";
import { context, type Directive, duplicate, flag, number, text, words } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { forwardedScheme } from "../forwarded.ts";
import { defineModule } from "../module.ts";
import { decodePath } from "../path.ts";
import type { Handler } from "../pipeline.ts";
import type { BufferedBody } from "../request_body.ts";
import { connectionOf } from "./realip.ts";

const { http, location, locationIf, limitExcept, app } = context;

/** RFC 9110 9.2.1 */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);

/** `app_pass`: the application answers. */
export function appPass(dispatcher: Dispatcher): Handler {
  return (exchange) => {
    const scheme = forwardedScheme(exchange.request, connectionOf(exchange));
    if (scheme === undefined) return errorReply(400);
    if (exchange.body === undefined) return call(dispatcher, exchange, scheme, undefined);
    return exchange.body.read(exchange.location.limits).then((body) => call(dispatcher, exchange, scheme, body));
  };
}

function call(
  dispatcher: Dispatcher,
  exchange: Exchange,
  scheme: "http" | "https",
  body: BufferedBody | undefined,
): Promise<Reply> {
  const { request, client, uri } = exchange;
  // The application sees the path as sent, decoded but not normalised: as it does behind Nginx. What was rewritten, it sees so.
  const decoded = exchange.internal || uri === request.path ? uri : (decodePath(request.path) ?? uri);
  const encoded = decoded.includes("\n");
  const facts = {
    method: exchange.method,
    path: encoded ? request.path : decoded,
    query: exchange.args,
    scheme,
    bodyLength: body === undefined ? 0 : lengthOf(body),
  };
  const safe = body === undefined && safeMethods.has(exchange.method);
  const made = new Call(
    request,
    safe,
    (to) => writeEnviron(to, request, client, facts),
    contentOf(body),
    encoded ? pathEncoded : 0,
  );
  exchange.onGone = () => made.cancel();
  dispatcher.submit(made);
  return made.reply;
}

const lengthOf = (body: BufferedBody): number => (body.kind === "bytes" ? body.bytes.length : body.length);

/** Inline, or a path under which the worker can open the file that has no name. */
function contentOf(body: BufferedBody | undefined): Uint8Array | string | undefined {
  if (body === undefined) return undefined;
  return body.kind === "bytes" ? body.bytes : `/proc/${process.pid}/fd/${body.fd}`;
}

const appBlock: Directive<ReadonlyMap<string, Place>> = {
  summary: "A Python application and how it is run: the directives inside are Gunicorn's settings.",
  syntax: "name { … }",
  contexts: http,
  args: 1,
  initial: new Map(),
  opens: app,
  parse({ args, at }, before = new Map()) {
    const [name = ""] = args;
    if (before.has(name)) throw new ConfigError(`duplicate app "${name}"`, at);
    return new Map([...before, [name, at]]);
  },
};

const passTo: Directive<string | undefined> = {
  summary: "The Python application that answers.",
  syntax: "name",
  contexts: location | locationIf | limitExcept,
  args: 1,
  initial: undefined,
  inherit: "unnamed",
  parse(statement, before, { setup, block }) {
    if (before !== undefined) throw duplicate(statement);
    const [name = ""] = statement.args;
    setup.afterwards(() => {
      if (!block.conf({ app: appBlock }).app.has(name))
        throw new ConfigError(`there is no app "${name}"`, statement.at);
    });
    return name;
  },
};

/** Gunicorn's settings, as directives of an `app` block. Times in seconds, as there. */
export const appDirectives = {
  module: text({
    contexts: app,
    initial: undefined,
    summary: "MODULE[:VARIABLE] or MODULE:factory(): where the application is.",
    syntax: "module",
  }),
  python: text({
    contexts: app,
    initial: undefined,
    summary: "The interpreter; without it the one of the virtual environment in `chdir` or around.",
    syntax: "path",
  }),
  chdir: text({
    contexts: app,
    initial: undefined,
    summary: "The application's working directory, first in its import path.",
    syntax: "directory",
  }),
  "env@app": words({
    slot: "env@app",
    contexts: app,
    initial: [],
    summary: "Environment variables of the application.",
    syntax: "KEY=VALUE …",
  }),
  workers: number({
    contexts: app,
    initial: undefined,
    summary: "Worker processes; without it one for each core, up to four.",
  }),
  threads: number({ contexts: app, initial: 1, summary: "Threads of a worker." }),
  timeout: number({
    contexts: app,
    initial: 30,
    summary: "How long a worker may take for a request, s; 0: without bound.",
  }),
  graceful_timeout: number({
    contexts: app,
    initial: 30,
    summary: "How long a worker may take to finish at a stop or reload, s.",
  }),
  max_requests: number({
    contexts: app,
    initial: 0,
    summary: "After how many requests a worker is replaced; 0: never.",
  }),
  max_requests_jitter: number({ contexts: app, initial: 0, summary: "Up to how many more, by chance." }),
  preload: flag({
    contexts: app,
    initial: false,
    summary: "Whether the application is loaded before its workers are forked.",
  }),
  reload: flag({ contexts: app, initial: false, summary: "Whether it is loaded anew when its files change." }),
};

const directives = { app: appBlock, app_pass: passTo, ...appDirectives };

export const appModule = defineModule({
  name: "app",
  directives,
  prepare(block) {
    for (const each of block.childrenOf(app))
      if (each.own("module") === undefined) throw new ConfigError('no "module" in this app', each.at);
  },
  compile({ app_pass }, { runtime, block }) {
    if (app_pass === undefined) return {};
    return { content: appPass(runtime.app(app_pass)), addsSlash: true, isDynamic: block.own("files") === undefined };
  },
});
