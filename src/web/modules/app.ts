/** Our own: Python applications. `app NAME { … }` says which and how they are run, `app_pass NAME` gives requests to one. */
import { Call, type Caller } from "../../app/call.ts";
import type { Dispatcher } from "../../app/dispatch.ts";
import { type EnvironFacts, type TextWriter, writeEnviron } from "../../app/environ.ts";
import { pathEncoded } from "../../app/frames.ts";
import { secondsText } from "../../base/local_time.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import type { Headers } from "../../http/headers.ts";
import type { Reply, RequestHead } from "../../http/message.ts";
import { forwardTrust, type GunicornConf, gunicornDirectives } from "../core/gunicorn.ts";
import { httpDirectives } from "../core/http.ts";
import { context, type Directive, duplicate, flag, number, offset, text, words } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { defaultTrust, forwardedScheme } from "../forwarded.ts";
import { defineModule } from "../module.ts";
import { decodePath } from "../path.ts";
import type { Handler } from "../pipeline.ts";
import type { BufferedBody } from "../request_body.ts";
import { obeyingAccel } from "./app_accel.ts";
import { decodeLoosely, mounting, writeProxyFacts } from "./app_gunicorn.ts";
import { connectionOf } from "./realip.ts";

const { http, server, location, locationIf, limitExcept, app } = context;

/** RFC 9110 9.2.1 */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);

type Give = (exchange: Exchange, scheme: "http" | "https", body: BufferedBody | undefined) => Reply | Promise<Reply>;

export interface AppPassing {
  /** How, where `request_parsing gunicorn` holds. */
  readonly gunicorn: GunicornConf | undefined;
  /** `app_request_start` */
  readonly tellsStart: boolean;
}

/** `app_pass`: the application answers. */
export function appPass(dispatcher: Dispatcher, { gunicorn, tellsStart }: AppPassing): Handler {
  const trust = gunicorn === undefined ? defaultTrust : forwardTrust(gunicorn);
  const start = tellsStart ? writeStart : undefined;
  const give = gunicorn === undefined ? givePlainly(dispatcher, start) : giveAsGunicorn(dispatcher, gunicorn, start);
  return (exchange) => {
    const scheme = forwardedScheme(exchange.request, connectionOf(exchange), trust);
    if (scheme === undefined) return errorReply(400);
    if (exchange.body === undefined) return give(exchange, scheme, undefined);
    return exchange.body.read(exchange.location.limits).then((body) => give(exchange, scheme, body));
  };
}

/** More for the environ. */
type Write = (to: TextWriter, exchange: Exchange) => void;

/** When the request arrived, in the form that monitoring tools read, unless a server in front has said it, who knows better. */
const writeStart: Write = (to, { request, startedAt }) => {
  if (request.headers.get("x-request-start") === undefined)
    to.text(`\nHTTP_X_REQUEST_START\nt=${secondsText(performance.timeOrigin + startedAt)}`);
};

/** The application sees the path as sent, decoded but not normalised: as it does behind Nginx. What was rewritten, it sees so. */
const givePlainly =
  (dispatcher: Dispatcher, start: Write | undefined): Give =>
  (exchange, scheme, body) => {
    const { request, uri } = exchange;
    const decoded = exchange.internal || uri === request.path ? uri : (decodePath(request.path) ?? uri);
    const more = start && ((to: TextWriter) => start(to, exchange));
    return send(dispatcher, exchange, { scheme, body, decoded }, more);
  };

function giveAsGunicorn(dispatcher: Dispatcher, conf: GunicornConf, start: Write | undefined): Give {
  const mounted = mounting(conf);
  return (exchange, scheme, body) => {
    const decoded = exchange.internal ? exchange.uri : decodeLoosely(exchange.request.path);
    const place = mounted?.(exchange, decoded);
    if (place === "elsewhere") {
      exchange.log("error", "the path is not below the SCRIPT_NAME that the proxy has sent");
      return errorReply(500);
    }
    return send(dispatcher, exchange, { scheme, body, decoded: place?.path ?? decoded }, (to) => {
      const { bodyLength } = exchange.request;
      // Of a body that ended early Gunicorn's applications see the length that was announced.
      if (bodyLength > 0 && body !== undefined && lengthOf(body) !== bodyLength)
        to.text(`\nCONTENT_LENGTH\n${bodyLength}`);
      if (place !== undefined) to.text(`\nSCRIPT_NAME\n${place.scriptName}`);
      if (exchange.client.proxy !== undefined) writeProxyFacts(to, exchange);
      start?.(to, exchange);
    });
  };
}

interface Sent {
  readonly scheme: "http" | "https";
  readonly body: BufferedBody | undefined;
  readonly decoded: string;
}

/** A request as it is given to the application. */
class AppRequest implements Caller, EnvironFacts {
  readonly request: RequestHead;
  readonly safe: boolean;
  readonly body: Uint8Array | string | undefined;
  readonly flags: number;
  readonly startedAt: number;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly scheme: "http" | "https";
  readonly bodyLength: number;
  readonly #exchange: Exchange;
  readonly #more: ((to: TextWriter) => void) | undefined;

  /** `more`: writes further keys behind the usual ones. */
  constructor(exchange: Exchange, { scheme, body, decoded }: Sent, more: ((to: TextWriter) => void) | undefined) {
    const { request, method } = exchange;
    const encoded = decoded.includes("\n");
    this.request = request;
    this.safe = body === undefined && safeMethods.has(method);
    this.body = contentOf(body);
    this.flags = encoded ? pathEncoded : 0;
    this.startedAt = exchange.startedAt;
    this.method = method;
    this.path = encoded ? request.path : decoded;
    this.query = exchange.args;
    this.scheme = scheme;
    this.bodyLength = body === undefined ? 0 : lengthOf(body);
    this.#exchange = exchange;
    this.#more = more;
  }

  writeEnviron(to: TextWriter): void {
    writeEnviron(to, this.request, this.#exchange.client, this);
    this.#more?.(to);
  }

  onHints(headers: Headers): void {
    const { wire, reply } = this.#exchange;
    // RFC 8297 2: an older client might take it for the response.
    if (reply === undefined && this.request.version >= 11) wire?.sendInterim({ status: 103, headers });
  }
}

function send(
  dispatcher: Dispatcher,
  exchange: Exchange,
  sent: Sent,
  more: ((to: TextWriter) => void) | undefined,
): Promise<Reply> {
  const made = new Call(new AppRequest(exchange, sent, more));
  exchange.onGone = () => made.cancel();
  exchange.answeredBy = made;
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

const accel = flag({
  contexts: http | server | location,
  initial: true,
  summary:
    "Whether the X-Accel-* fields of an application are for us, as with `proxy_pass`, or go to a proxy in front.",
});

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
  max_worker_memory: offset({
    contexts: app,
    initial: 0,
    initialText: "0",
    summary: "A worker with more resident memory is replaced; 0: none is.",
  }),
  max_worker_age: number({ contexts: app, initial: 0, summary: "After how long a worker is replaced, s; 0: never." }),
  max_request_time: number({
    contexts: app,
    initial: 0,
    summary: "With threads: after how long a request is stuck, and its worker is replaced, s; 0: never.",
  }),
  client_disconnected: flag({
    contexts: app,
    initial: false,
    summary: 'Whether the application can ask `environ["alicorn.client_disconnected"]()` if its client is gone.',
  }),
  preload: flag({
    contexts: app,
    initial: false,
    summary: "Whether the application is loaded before its workers are forked.",
  }),
  reload: flag({ contexts: app, initial: false, summary: "Whether it is loaded anew when its files change." }),
};

const requestStart = flag({
  contexts: http | server | location,
  initial: false,
  summary: "Whether applications find in X-Request-Start when the request arrived, if no server in front has said so.",
});

const directives = {
  app: appBlock,
  app_pass: passTo,
  app_accel: accel,
  app_request_start: requestStart,
  ...appDirectives,
};

export const appModule = defineModule({
  name: "app",
  directives,
  variables: {
    app_queue_time: {
      summary: "Seconds that the request has waited for a free worker of its application, to the millisecond.",
      get: ({ answeredBy }) => (answeredBy === undefined ? undefined : secondsText(answeredBy.waitedMs)),
    },
  },
  prepare(block) {
    for (const each of block.childrenOf(app))
      if (each.own("module") === undefined) throw new ConfigError('no "module" in this app', each.at);
  },
  compile({ app_pass, app_accel, app_request_start: tellsStart }, { runtime, block }) {
    if (app_pass === undefined) return {};
    const gunicorn =
      block.conf(httpDirectives).request_parsing === "gunicorn" ? block.conf(gunicornDirectives) : undefined;
    const handler = appPass(runtime.app(app_pass), { gunicorn, tellsStart });
    const content = app_accel ? obeyingAccel(handler) : handler;
    return { content, addsSlash: true, isDynamic: block.own("files") === undefined };
  },
});
