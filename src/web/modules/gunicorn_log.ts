/** Our own: the access log in Gunicorn's form, a format of `%(atom)s` in place of variables. */

import { logTimeNow } from "../../base/local_time.ts";
import { hexEscape } from "../../base/log.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import { basicCredentials } from "../basic_credentials.ts";
import { context, type Directive, duplicate } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { decodeLoosely } from "./app_gunicorn.ts";

/** An atom's value; undefined is "-". */
type Atom = (exchange: Exchange) => string | number | undefined;

/** ms since the request's head was there. */
const took = (exchange: Exchange): number => Math.max(performance.now() - exchange.startedAt, 0);
/** Of HTTP/0.9 and of what was no request there is no version. */
const protocolOf = ({ request }: Exchange): string => (request.method === "" ? "" : request.protocol);

const atoms: Readonly<Record<string, Atom>> = {
  h: ({ client }) => client.peerAddress || undefined,
  l: () => undefined,
  u: ({ request }) => basicCredentials(request.headers.get("authorization"))?.user,
  t: () => `[${logTimeNow()}]`,
  r: (exchange) => {
    const { method, target } = exchange.request;
    return method === "" ? undefined : `${method} ${target} ${protocolOf(exchange)}`;
  },
  s: ({ reply }) => reply?.head.status,
  m: ({ request }) => request.method || undefined,
  U: ({ request }) => decodeLoosely(request.path),
  q: ({ request }) => request.query,
  H: (exchange) => protocolOf(exchange) || undefined,
  b: ({ bodyBytesSent }) => bodyBytesSent,
  B: ({ bodyBytesSent }) => bodyBytesSent,
  f: ({ request }) => request.headers.get("referer"),
  a: ({ request }) => request.headers.get("user-agent"),
  T: (exchange) => Math.floor(took(exchange) / 1000),
  M: (exchange) => Math.floor(took(exchange)),
  D: (exchange) => Math.floor(took(exchange) * 1000),
  L: (exchange) => (Math.floor(took(exchange) * 1000) / 1e6).toFixed(6),
  p: ({ answeredBy }) => `<${answeredBy?.pid ?? process.pid}>`,
};

/** `{name}i`, `{name}o`, `{name}e` */
function namedAtom(name: string, kind: string): Atom {
  const lower = name.toLowerCase();
  if (kind === "i") return ({ request }) => request.headers.get(lower);
  if (kind === "o") return ({ reply }) => reply?.head.headers.get(lower);
  return environAtoms[lower] ?? fieldOfKey(lower);
}

const environAtoms: Readonly<Record<string, Atom>> = {
  remote_addr: ({ client }) => client.peerAddress,
  remote_port: ({ client }) => client.peerPort || undefined,
  request_method: ({ request }) => request.method,
  query_string: ({ request }) => request.query,
  raw_uri: ({ request }) => request.target,
  server_protocol: protocolOf,
  "wsgi.url_scheme": ({ client }) => client.scheme,
};

function fieldOfKey(key: string): Atom {
  if (!key.startsWith("http_")) return () => undefined;
  const field = key.slice("http_".length).replaceAll("_", "-");
  return ({ request }) => request.headers.get(field);
}

const unsafe = /["\x00-\x1f\x7f]/;
/** No value ends its quotes, or the line. */
const escaped = (text: string): string =>
  unsafe.test(text) ? text.replace(/["\x00-\x1f\x7f]/g, (char) => (char === '"' ? '\\"' : hexEscape(char))) : text;

const padded = (text: string, flags: string, width: number): string => {
  if (text.length >= width) return text;
  return flags.includes("-") ? text.padEnd(width) : text.padStart(width, flags.includes("0") ? "0" : " ");
};

type Part = string | ((exchange: Exchange) => string);

/** Throws ConfigError. */
export function readGunicornFormat(format: string, at: Place): (exchange: Exchange) => string {
  const parts: Part[] = [];
  let from = 0;
  for (const found of format.matchAll(/%(?:%|\(([^)]*)\)([-0# +]*)(\d*)(?:\.\d+)?([sdr])|)/g)) {
    const [text, name, flags = "", width = ""] = found;
    parts.push(format.slice(from, found.index));
    from = found.index + text.length;
    if (text === "%%") parts.push("%");
    else if (name === undefined) throw new ConfigError(`invalid format "${format}"`, at);
    else parts.push(partOf(name, flags, Number(width)));
  }
  parts.push(format.slice(from));
  const all = parts.filter((part) => part !== "");
  return (exchange) => all.map((part) => (typeof part === "string" ? part : part(exchange))).join("");
}

function partOf(name: string, flags: string, width: number): (exchange: Exchange) => string {
  const [, inner, kind = ""] = /^\{(.*)\}([ioe])$/.exec(name) ?? [];
  const atom = inner === undefined ? atoms[name] : namedAtom(inner, kind);
  if (atom === undefined) return () => padded("-", flags, width);
  return (exchange) => padded(escaped(String(atom(exchange) ?? "-")), flags, width);
}

interface GunicornLog {
  readonly path: string;
  readonly format: (exchange: Exchange) => string;
}

const gunicornAccessLog: Directive<GunicornLog | undefined> = {
  summary: "The access log, and the form of its lines in Gunicorn's notation (access_log_format).",
  syntax: "path format",
  contexts: context.http | context.server,
  args: 2,
  initial: undefined,
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const [path = "", format = ""] = statement.args;
    const file = path.startsWith("/dev/std") ? path : setup.path(path);
    setup.logFiles.add(file);
    return { path: file, format: readGunicornFormat(format, statement.at) };
  },
};

export const gunicornLogModule = defineModule({
  name: "gunicorn_log",
  directives: { gunicorn_access_log: gunicornAccessLog },
  compile({ gunicorn_access_log: log }, { runtime }) {
    if (log === undefined) return {};
    const file = runtime.accessLog(log.path, undefined);
    const { format } = log;
    return {
      log(exchange) {
        if (exchange.parent === undefined) file.write(`${format(exchange)}\n`);
      },
    };
  },
});
