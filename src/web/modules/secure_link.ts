/** ngx_http_secure_link_module: links that only who knows a secret can make, perhaps for some time. */
import { createHash, timingSafeEqual } from "node:crypto";
import { ConfigError, type Statement } from "../../config/statement.ts";
import { type Directive, duplicate, everywhere, type Parsing } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import type { Template } from "../template.ts";

/** Either a secret and links of the form /prefix/hash/link, or an expression for the hash and another for what is hashed. */
interface SecureLink {
  readonly secret?: string | undefined;
  readonly link?: Template | undefined;
  readonly md5?: Template | undefined;
}

/** Three directives, one value: the two ways exclude each other. */
function row(
  about: Pick<Directive<SecureLink>, "summary" | "syntax">,
  part: keyof SecureLink,
  value: (statement: Statement, parsing: Parsing) => SecureLink,
): Directive<SecureLink> {
  return {
    ...about,
    contexts: everywhere,
    args: 1,
    initial: {},
    slot: "secure_link",
    parse(statement, before = {}, parsing) {
      if (before[part] !== undefined) throw duplicate(statement);
      const made = { ...before, ...value(statement, parsing) };
      if (made.secret !== undefined && (made.link !== undefined || made.md5 !== undefined))
        throw new ConfigError(
          '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"',
          statement.at,
        );
      return made;
    },
    merge(outer, inner = {}) {
      if (inner.secret !== undefined) return inner;
      const [link, md5] = [inner.link ?? outer.link, inner.md5 ?? outer.md5];
      return link === undefined && md5 === undefined ? { secret: outer.secret } : { link, md5 };
    },
  };
}

const expression = ({ args, at }: Statement, { setup }: Parsing): Template => setup.template(args[0] ?? "", at);

const directives = {
  secure_link: row(
    { summary: "Where a link has its hash, and behind a comma until when it is good.", syntax: "expression" },
    "link",
    (statement, parsing) => ({ link: expression(statement, parsing) }),
  ),
  secure_link_md5: row(
    { summary: "What the hash is of: the secret, and all that it must be good for.", syntax: "expression" },
    "md5",
    (statement, parsing) => ({ md5: expression(statement, parsing) }),
  ),
  secure_link_secret: row(
    { summary: "The secret of links of the form /prefix/hash/link.", syntax: "word" },
    "secret",
    ({ args }) => ({ secret: args[0] ?? "" }),
  ),
};

const confKey = Symbol("secure_link");
const expiresKey = Symbol("secure_link: when it expires");

const md5Of = (text: string): Buffer => createHash("md5").update(Buffer.from(text, "latin1")).digest();

/** "1": good. "0": expired. undefined: it is not ours. */
function judge(exchange: Exchange, linkOf: Template, md5Source: Template): string | undefined {
  const value = linkOf.value(exchange);
  const comma = value.indexOf(",");
  const hash = comma < 0 ? value : value.slice(0, comma);
  let expires: number | undefined;
  if (comma >= 0) {
    const text = value.slice(comma + 1);
    if (!/^\d{1,15}$/.test(text) || Number(text) === 0) return undefined;
    expires = Number(text);
    exchange.setNote(expiresKey, text);
  }
  const digits = /^[A-Za-z0-9_-]{22}(?=$|=)/.exec(hash)?.[0];
  if (digits === undefined || hash.length > 24) return undefined;
  const given = Buffer.from(digits, "base64url");
  if (!timingSafeEqual(given, md5Of(md5Source.value(exchange)))) return undefined;
  return expires !== undefined && expires < Math.floor(Date.now() / 1000) ? "0" : "1";
}

/** The link of a URI of the form /prefix/hash/link, if the hash is right: of the link and the secret. */
function linkWithin(uri: string, secret: string): string | undefined {
  const [, hash, link] = /^.[^/]*\/([^/]*)\/(.+)$/s.exec(uri) ?? [];
  if (hash === undefined || link === undefined || !/^[\da-f]{32}$/i.test(hash)) return undefined;
  return timingSafeEqual(Buffer.from(hash, "hex"), md5Of(link + secret)) ? link : undefined;
}

export const secureLinkModule = defineModule({
  name: "secure_link",
  directives,
  variables: {
    secure_link: {
      summary: '"1" for a good link (with `secure_link_secret`: the link itself), "0" for an expired one, else empty.',
      cached: true,
      get(exchange) {
        const conf = exchange.location.facts?.get(confKey) as SecureLink | undefined;
        if (conf === undefined) return undefined;
        const { secret, link, md5 } = conf;
        if (secret !== undefined) return linkWithin(exchange.request.uri, secret);
        return link === undefined || md5 === undefined ? undefined : judge(exchange, link, md5);
      },
    },
    secure_link_expires: {
      summary: "Until when the link is good, as it says itself; known when $secure_link has been asked for.",
      get: (exchange) => exchange.note<string>(expiresKey),
    },
  },
  compile({ secure_link: conf }) {
    return Object.values(conf).every((part) => part === undefined) ? {} : { facts: [confKey, conf] };
  },
});
