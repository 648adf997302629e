/** ngx_http_charset_module: names the character set of replies, and recodes them. */
import { readSync } from "node:fs";
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import { type Body, ownHeaders, type Reply } from "../../http/message.ts";
import { type Change, changed, sourceOf } from "../body_change.ts";
import type { Block } from "../build.ts";
import { sliceBody } from "../byteranges.ts";
import { byteMap, type CharsetMap, decode, type Recoder, utf8Map } from "../charset_map.ts";
import { charsetOverride } from "../charset_override.ts";
import { dropLength } from "../content_change.ts";
import { type Conf, context, type Directive, duplicate, everywhereIf, flag } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { isOfType, mimeTypes } from "../mime_types.ts";
import { defineModule } from "../module.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";

// All character sets that a configuration names, in lower case.
const named = new WeakMap<Setup, Set<string>>();

function name(setup: Setup, text: string): void {
  const known = named.get(setup) ?? new Set();
  known.add(text.toLowerCase());
  named.set(setup, known);
}

const charsetRow = (summary: string, mayBeOff: boolean): Directive<Template | undefined> => ({
  summary,
  syntax: mayBeOff ? "charset | off" : "charset",
  contexts: everywhereIf,
  args: 1,
  initial: undefined,
  ...(mayBeOff ? { initialText: "off" } : {}),
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const [text = ""] = statement.args;
    if (!text.startsWith("$") && !(mayBeOff && text === "off")) name(setup, text);
    return setup.template(text, statement.at);
  },
});

const charsetMap: Directive<readonly CharsetMap[]> = {
  summary: "How one character set is recoded into another, and back.",
  syntax: "charset1 charset2 { code1 code2; … }",
  contexts: context.http,
  args: 2,
  initial: [],
  ownBlock: true,
  parse({ args, at, block = [] }, before = [], { setup }) {
    const [first = "", second = ""] = args;
    const [from, to] = [first.toLowerCase(), second.toLowerCase()];
    if (from === to) throw new ConfigError(`"charset_map" between the same charsets "${first}" and "${second}"`, at);
    if (from === "utf-8")
      throw new ConfigError(`"charset_map" with "utf-8" charset should be given in the second column`, at);
    if (before.some((map) => (map.from === from && map.to === to) || (map.from === to && map.to === from)))
      throw new ConfigError(`duplicate "charset_map" between "${first}" and "${second}"`, at);
    name(setup, from);
    name(setup, to);
    const pairs = block.map(mapping);
    const made =
      to === "utf-8"
        ? utf8Map(
            from,
            pairs.map(({ byte, text, at: place }) => [byte, utf8(text, place)]),
          )
        : byteMap(
            from,
            to,
            pairs.map(({ byte, text, at: place }) => [byte, hexByte(text, place)]),
          );
    return [...before, made];
  },
};

function mapping(statement: Statement): { readonly byte: number; readonly text: string; readonly at: Place } {
  const { name: first, args, at } = statement;
  if (args.length !== 1) throw new ConfigError("invalid parameters number", at);
  return { byte: hexByte(first, at), text: args[0] ?? "", at };
}

function hexByte(text: string, at: Place): number {
  const value = /^[0-9a-f]+$/i.test(text) ? Number.parseInt(text, 16) : 256;
  if (value > 255) throw new ConfigError(`invalid value "${text}"`, at);
  return value;
}

/** The bytes of one character: two or three. */
function utf8(text: string, at: Place): Uint8Array {
  const bytes = /^(?:[0-9a-f]{2}){1,3}$/i.test(text) ? Buffer.from(text, "hex") : Buffer.alloc(1, 0xff);
  if (decode(bytes, 0) < 0) throw new ConfigError(`invalid value "${text}"`, at);
  return bytes;
}

const directives = {
  charset: charsetRow("The character set that replies name, and are recoded to.", true),
  source_charset: charsetRow("The character set that content is in which does not say so itself.", false),
  override_charset: flag({
    contexts: everywhereIf,
    initial: false,
    summary: "Whether replies that name a character set themselves are recoded, too.",
  }),
  charset_types: mimeTypes({
    summary: "The media types of replies that are given a character set, besides HTML.",
    initial: [
      "text/html",
      "text/xml",
      "text/plain",
      "text/vnd.wap.wml",
      "application/javascript",
      "application/rss+xml",
    ],
  }),
  charset_map: charsetMap,
};

/** A recoder between two character sets, in lower case. */
function recoderBetween(maps: readonly CharsetMap[], from: string, to: string): (() => Recoder) | undefined {
  for (const map of maps) {
    if (map.from === from && map.to === to) return map.forth;
    if (map.from === to && map.to === from) return map.back;
  }
  return undefined;
}

/** What is known beforehand must be possible. */
function check(block: Block): void {
  const { charset, source_charset, charset_map } = block.conf(directives);
  const [to, from] = [charset?.constant, source_charset?.constant];
  if (to !== undefined && to !== "off" && from !== undefined) {
    const [a, b] = [from.toLowerCase(), to.toLowerCase()];
    if (a !== b && recoderBetween(charset_map, a, b) === undefined)
      throw new ConfigError(`no "charset_map" between the charsets "${from}" and "${to}"`, undefined);
  }
  for (const child of block.children) if ((child.kind & (everywhereIf | context.serverIf)) !== 0) check(child);
}

const parameter = /;\s*charset=("[^"]*"?|[^;]*)/i;

/** The charset parameter of a Content-Type; undefined: it has none. */
export function charsetOf(type: string | undefined): string | undefined {
  const found = type === undefined ? undefined : parameter.exec(type)?.[1];
  return found?.replaceAll('"', "").trim() || undefined;
}

/** Not more than a source would hold of it. */
const maxReadBytes = 64 * 1024;

type CharsetConf = Conf<typeof directives>;

/** The character set that a reply should have; undefined: whatever it has. */
function destination(
  exchange: Exchange,
  reply: Reply,
  conf: CharsetConf,
  known: ReadonlySet<string>,
): string | undefined {
  if (exchange.parent !== undefined) return charsetOf(exchange.main.reply?.head.headers.get("content-type"));
  const type = reply.head.headers.get("content-type") ?? "";
  if (type === "") return undefined;
  const asked = exchange.note<string>(charsetOverride);
  if (asked !== undefined) {
    if (known.has(asked.toLowerCase())) return asked;
    exchange.log("error", `unknown charset "${asked}" to override`);
    return undefined;
  }
  if (conf.charset === undefined || conf.charset.constant === "off") return undefined;
  if (charsetOf(type) !== undefined ? !conf.override_charset : !isOfType(conf.charset_types, reply.head.headers))
    return undefined;
  return conf.charset.value(exchange) || undefined;
}

function apply(exchange: Exchange, reply: Reply, to: string, conf: CharsetConf): void {
  const from = charsetOf(reply.head.headers.get("content-type")) ?? (conf.source_charset?.value(exchange) || undefined);
  if (from === undefined || from.toLowerCase() === to.toLowerCase()) {
    declare(exchange, reply, to);
    return;
  }
  // What is compressed cannot be recoded.
  if (reply.head.headers.has("content-encoding")) return;
  const recoder = recoderBetween(conf.charset_map, from.toLowerCase(), to.toLowerCase());
  if (recoder === undefined) {
    exchange.log("error", `no "charset_map" between the charsets "${from}" and "${to}"`);
    return;
  }
  declare(exchange, reply, to);
  recode(reply, recoder);
}

/** Browsers of old took a redirect's character set for that of the next page. */
function declare(exchange: Exchange, { head }: Reply, charset: string): void {
  if (exchange.parent !== undefined) return;
  const headers = ownHeaders(head);
  const plain = (headers.get("content-type") ?? "").replace(parameter, "");
  headers.set("Content-Type", head.status === 301 || head.status === 302 ? plain : `${plain}; charset=${charset}`);
}

function recode(reply: Reply, make: () => Recoder): void {
  const recoder = make();
  if (!recoder.keepsLength) dropLength(reply);
  const body = reply.body.kind === "file" && reply.body.length <= maxReadBytes ? inMemory(reply.body) : reply.body;
  if (body.kind === "empty") return;
  if (body.kind === "bytes") {
    reply.body = { kind: "bytes", bytes: recoder.recode(body.bytes, true) };
    return;
  }
  const change: Change = (bytes, last) => recoder.recode(bytes, last);
  const source = sourceOf(changed(body, change));
  if (body.kind === "stream" || !recoder.keepsLength) reply.body = { kind: "stream", source };
  else {
    // Each byte for itself: a part can be had without what is before it.
    const part = (first: number, last: number) => sourceOf(changed(sliceBody(body, { first, last }), change));
    reply.body = { kind: "stream", source, part };
  }
}

/** A small file is read at once: of bytes at hand several parts can be had. */
function inMemory(body: Extract<Body, { kind: "file" }>): Body {
  const { file, offset, length } = body;
  const bytes = Buffer.allocUnsafe(length);
  if (readSync(file.fd, bytes, 0, length, offset) < length) return body;
  file.release();
  return { kind: "bytes", bytes };
}

export const charsetModule = defineModule({
  name: "charset",
  directives,
  prepare: (http) => check(http),
  compile(conf, { setup }) {
    const isOff = conf.charset === undefined || conf.charset.constant === "off";
    // Where replies can be recoded, an upstream server or the page around may ask for it.
    if (isOff && conf.charset_map.length === 0) return {};
    const known = named.get(setup) ?? new Set();
    return {
      filter(exchange, reply) {
        const to = destination(exchange, reply, conf, known);
        if (to !== undefined) apply(exchange, reply, to, conf);
      },
    };
  },
});
