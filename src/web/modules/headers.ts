/** ngx_http_headers_module: fields and trailers of the configuration's choice, and how long a response may be kept. */
import { ConfigError, type Statement } from "../../config/statement.ts";
import { isTokenText } from "../../http/h1/classes.ts";
import { Headers } from "../../http/headers.ts";
import { ownHeaders, type Reply } from "../../http/message.ts";
import { sourceOf } from "../body_change.ts";
import { choice, type Directive, duplicate, everywhereIf, invalidParameter } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { type Expires, expiresFields, noExpires, parseExpires } from "../expires.ts";
import { defineModule } from "../module.ts";
import type { Filter } from "../pipeline.ts";
import type { Template } from "../template.ts";

interface Field {
  readonly name: string;
  readonly value: Template;
  readonly always: boolean;
  /** How it gets into the fields: beside others of its name, or in their place (an empty value removes them). */
  readonly how: "add" | "replace";
}

/** What becomes of the outer block's fields where a block has its own: they go, they stay too; "off": they never come down. */
type Inheritance = "on" | "off" | "merge";

interface Fields {
  /** undefined: none here. */
  readonly fields: readonly Field[] | undefined;
  readonly inherit: Inheritance | undefined;
}

const none: Fields = { fields: undefined, inherit: undefined };

function mergeFields(outer: Fields, inner: Fields = none): Fields {
  const inherit = inner.inherit ?? outer.inherit;
  if (inherit === "off" || outer.fields === undefined) return { fields: inner.fields, inherit };
  if (inner.fields === undefined) return { fields: outer.fields, inherit };
  return { fields: inherit === "merge" ? [...inner.fields, ...outer.fields] : inner.fields, inherit };
}

// The engines write these: what a body is framed with, and what holds for one connection only (RFC 9110 7.6.1, 8.6).
const ownedByEngine = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

// There is one of each, so another value takes the place of the first.
const unique = new Set(["last-modified", "etag"]);

const fieldRow = (slot: string, summary: string): Directive<Fields> => ({
  summary,
  syntax: "name value [always]",
  contexts: everywhereIf,
  args: [2, 3],
  initial: none,
  slot,
  deviation:
    "names that are no names of fields, and fields that say how a body is sent (Content-Length, Connection …), are left out",
  merge: mergeFields,
  parse({ args, at }, before = none, { setup }) {
    const [name = "", text = "", last] = args;
    if (last !== undefined && last !== "always") throw invalidParameter({ at }, last);
    const lower = name.toLowerCase();
    if (!isTokenText(name) || ownedByEngine.has(lower)) {
      setup.warn(`the field "${name}" cannot be sent, it is left out`, at);
      return { ...before, fields: before.fields ?? [] };
    }
    const value = setup.template(text, at);
    const how = slot === "add_header" && unique.has(lower) ? "replace" : "add";
    return { ...before, fields: [...(before.fields ?? []), { name, value, always: last !== undefined, how }] };
  },
});

const inheritRow = (slot: string, summary: string): Directive<Fields> => {
  const { parse, ...row } = choice(["on", "off", "merge"], { contexts: everywhereIf, initial: "on", summary });
  return {
    ...row,
    initial: none,
    slot,
    merge: mergeFields,
    parse: (statement, before = none, at) => ({ ...before, inherit: parse(statement, before.inherit, at) }),
  };
};

/** A rule, or how a request's variables name one. */
type ExpiresConf = Expires | { readonly kind: "variable"; readonly text: Template; readonly modified: boolean };

const expiresRow: Directive<ExpiresConf> = {
  summary: "How long a response may be kept: sets Expires and Cache-Control.",
  syntax: "[modified] time | @time | epoch | max | off",
  contexts: everywhereIf,
  args: [1, 2],
  initial: noExpires,
  initialText: "off",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at } = statement;
    const modified = args.length === 2;
    if (modified && args[0] !== "modified") throw expiresError(statement, "invalid value");
    const text = setup.template(args.at(-1) ?? "", at);
    if (text.constant === undefined) return { kind: "variable", text, modified };
    const rule = parseExpires(text.constant, modified);
    if (typeof rule === "string") throw expiresError(statement, rule);
    return rule;
  },
};

const expiresError = ({ name, at }: Statement, problem: string): ConfigError =>
  new ConfigError(`"${name}" directive ${problem}`, at);

// A page that says what went wrong is not what these fields are about, unless they say `always`.
const goodStatuses = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308]);

function setExpires(exchange: Exchange, { head }: Reply, conf: ExpiresConf): void {
  const rule = conf.kind === "variable" ? parseExpires(conf.text.value(exchange), conf.modified) : conf;
  if (typeof rule === "string") return;
  const fields = expiresFields(rule, head.headers.get("last-modified"), Math.floor(Date.now() / 1000));
  if (fields === undefined) return;
  const headers = ownHeaders(head);
  headers.set("Expires", fields.expires);
  headers.set("Cache-Control", fields.cacheControl);
}

// A value that is made of the client's words must not end the field (RFC 9110 5.5).
const fieldSafe = (text: string): string => text.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, encodeURIComponent);

function addFields(exchange: Exchange, headers: Headers, fields: readonly Field[], isGood: boolean): void {
  for (const { name, value, always, how } of fields) {
    if (!isGood && !always) continue;
    const text = fieldSafe(value.value(exchange));
    if (how === "add" && text !== "") headers.add(name, text);
    else if (how === "replace" && text === "") headers.delete(name.toLowerCase());
    else if (how === "replace") headers.set(name, text);
  }
}

/** Constant fields are put into fields that many replies share once, not for each of them. */
class ConstantFields {
  readonly #fields: readonly Field[];
  readonly #good = new WeakMap<Headers, Headers>();
  readonly #bad = new WeakMap<Headers, Headers>();

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
  }

  /** The list `shared` with the fields added, to be shared in its turn. */
  with(exchange: Exchange, shared: Headers, isGood: boolean): Headers {
    const known = isGood ? this.#good : this.#bad;
    let made = known.get(shared);
    if (made === undefined) {
      made = shared.copy();
      addFields(exchange, made, this.#fields, isGood);
      made.shared = true;
      known.set(shared, made);
    }
    return made;
  }
}

function addTrailers(exchange: Exchange, reply: Reply, fields: readonly Field[]): void {
  const isGood = goodStatuses.has(reply.head.status);
  if (exchange.request.version < 11 || !fields.some(({ always }) => isGood || always)) return;
  const before = reply.trailers;
  reply.head.chunked = true;
  // What has no body at all has no end either, where trailers could stand.
  if (reply.body.kind === "empty") reply.body = { kind: "stream", source: sourceOf(reply.body) };
  reply.trailers = () => {
    const headers = before?.()?.copy() ?? new Headers();
    // One trailer may tell what another says.
    exchange.sentTrailers = headers;
    addFields(exchange, headers, fields, goodStatuses.has(reply.head.status));
    return headers.size === 0 ? undefined : headers;
  };
}

export const headersModule = defineModule({
  name: "headers",
  directives: {
    add_header: fieldRow("add_header", "A field of responses; with `always`, of error pages too."),
    add_header_inherit: inheritRow("add_header", "Whether a block with fields of its own has the outer block's too."),
    add_trailer: fieldRow("add_trailer", "A field behind the response's body."),
    add_trailer_inherit: inheritRow(
      "add_trailer",
      "Whether a block with trailers of its own has the outer block's too.",
    ),
    expires: expiresRow,
  },
  compile(conf) {
    const { expires } = conf;
    const { fields = [] } = conf.add_header;
    const { fields: trailers = [] } = conf.add_trailer;
    if (expires.kind === "off" && fields.length === 0 && trailers.length === 0) return {};
    const constants = fields.every(({ value }) => value.constant !== undefined)
      ? new ConstantFields(fields)
      : undefined;
    const filter: Filter = (exchange, reply) => {
      if (exchange.parent !== undefined) return;
      const { head } = reply;
      const isGood = goodStatuses.has(head.status);
      if (isGood && expires.kind !== "off") setExpires(exchange, reply, expires);
      if (constants !== undefined && head.headers.shared) head.headers = constants.with(exchange, head.headers, isGood);
      else if (fields.length > 0) addFields(exchange, ownHeaders(head), fields, isGood);
      if (trailers.length > 0) addTrailers(exchange, reply, trailers);
    };
    return { filter };
  },
});
