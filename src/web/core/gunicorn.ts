/** Gunicorn's settings of the HTTP side, as directives: they hold where `request_parsing gunicorn` does. */
import { binaryAddress, CidrSet, parseCidr } from "../../base/cidr.ts";
import { ConfigError } from "../../config/statement.ts";
import { gunicornPolicy, type Policy } from "../../http/h1/policy.ts";
import { type Conf, choice, context, type Directive, flag, number } from "../directive.ts";
import { defaultTrust, type ForwardTrust, makeTrust } from "../forwarded.ts";

const contexts = context.http | context.server;

/** Gunicorn's ceilings: what is above, or no limit at all, means these. */
const mostLine = 8190;
const mostFields = 32_768;
const usualFieldSize = 8190;

/** Peers by address or network; "*" is everybody. Those on Unix sockets always belong to them. */
export type Peers = (address: string) => boolean;

const peers = (initial: readonly string[], summary: string): Directive<Peers> => ({
  summary,
  syntax: "address | CIDR | * …",
  contexts,
  args: [0, Number.POSITIVE_INFINITY],
  initial: peersOf(initial) ?? (() => false),
  initialText: initial.join(" "),
  parse({ args, at, name }) {
    const found = peersOf(args);
    if (found === undefined) throw new ConfigError(`invalid address in "${name}"`, at);
    return found;
  },
});

function peersOf(texts: readonly string[]): Peers | undefined {
  if (texts.includes("*")) return () => true;
  const set = new CidrSet();
  for (const text of texts) {
    const parsed = parseCidr(text);
    if (parsed === undefined) return undefined;
    set.add(parsed.cidr);
  }
  return (address) => {
    if (address === "") return true;
    const bytes = binaryAddress(address);
    return bytes !== undefined && set.has(bytes);
  };
}

const schemeHeaders: Directive<ReadonlyMap<string, string>> = {
  summary: "Fields by which trusted peers say that their client came over HTTPS, and the values that say so.",
  syntax: "[field=value …]",
  contexts,
  args: [0, Number.POSITIVE_INFINITY],
  initial: defaultTrust.schemeFields,
  initialText: "X-Forwarded-Protocol=ssl X-Forwarded-Proto=https X-Forwarded-Ssl=on",
  parse({ args, at }) {
    const fields = new Map<string, string>();
    for (const each of args) {
      const [, name, value = ""] = /^([^=]+)=(.*)$/s.exec(each) ?? [];
      if (name === undefined) throw new ConfigError(`invalid parameter "${each}"`, at);
      fields.set(name.toLowerCase(), value);
    }
    return fields;
  },
};

const forwarderHeaders: Directive<readonly string[]> = {
  summary: "Fields with underscores in their names that trusted peers may send; * for all.",
  syntax: "field …",
  contexts,
  args: [0, Number.POSITIVE_INFINITY],
  initial: ["SCRIPT_NAME", "PATH_INFO"],
  initialText: "SCRIPT_NAME PATH_INFO",
  parse: ({ args }) => args,
};

export const gunicornDirectives = {
  limit_request_line: number({ contexts, initial: 4094, summary: "The most bytes of a request line; 0: 8190." }),
  limit_request_fields: number({ contexts, initial: 100, summary: "The most fields of a request." }),
  limit_request_field_size: number({ contexts, initial: 8190, summary: "The most bytes of a field; 0: 8190." }),
  permit_obsolete_folding: flag({
    contexts,
    initial: false,
    summary: "Whether fields may be folded over several lines.",
  }),
  strip_header_spaces: flag({
    contexts,
    initial: false,
    summary: "Whether spaces between a field's name and its colon are ignored.",
  }),
  permit_unconventional_http_method: flag({ contexts, initial: false, summary: "Whether any token is a method." }),
  permit_unconventional_http_version: flag({
    contexts,
    initial: false,
    summary: "Whether other versions than 1.x are accepted.",
  }),
  casefold_http_method: flag({ contexts, initial: false, summary: "Whether methods are put into upper case." }),
  header_map: choice(["drop", "refuse", "dangerous"], {
    contexts,
    initial: "drop",
    summary: "What happens to fields with underscores in their names.",
  }),
  forwarder_headers: forwarderHeaders,
  forwarded_allow_ips: peers(["127.0.0.1", "::1"], "Peers whose words about their clients are believed."),
  secure_scheme_headers: schemeHeaders,
  gunicorn_proxy_protocol: choice(["off", "v1", "v2", "auto"], {
    contexts,
    initial: "off",
    summary: "Whether connections may begin with the PROXY protocol's header.",
  }),
  proxy_allow_ips: peers(["127.0.0.1", "::1"], "Peers that may send such a header; others get 403."),
  wire_protocol: choice(["http", "uwsgi"], {
    contexts,
    initial: "http",
    summary: "What is spoken on the server's sockets.",
  }),
  uwsgi_allow_ips: peers(["127.0.0.1", "::1"], "Peers that may speak the uwsgi protocol; others get 403."),
};

export type GunicornConf = Conf<typeof gunicornDirectives>;

/** How heads are read, by a peer's trust. */
export function gunicornPolicies(conf: GunicornConf): { readonly usual: Policy; readonly trusted: Policy } {
  const { limit_request_line: line, limit_request_fields: fields, limit_request_field_size: size } = conf;
  const fieldCountLimit = fields > 0 && fields <= mostFields ? fields : mostFields;
  const fieldLimit = size > 0 ? size : usualFieldSize;
  const usual: Policy = {
    ...gunicornPolicy,
    requestLineLimit: line > 0 && line < mostLine ? line : mostLine,
    fieldCountLimit,
    fieldLimit,
    fieldsLimit: fieldCountLimit * (fieldLimit + 2) + 4,
    obsoleteFolding: conf.permit_obsolete_folding,
    spaceBeforeColon: conf.strip_header_spaces,
    unconventionalMethods: conf.permit_unconventional_http_method,
    unconventionalVersions: conf.permit_unconventional_http_version,
    foldMethodCase: conf.casefold_http_method,
    underscores: conf.header_map === "dangerous" ? "keep" : conf.header_map,
  };
  const names = conf.forwarder_headers.map((name) => name.toLowerCase());
  const trusted: Policy = names.includes("*")
    ? { ...usual, underscores: "keep" }
    : { ...usual, trustedNames: new Set(names) };
  return { usual, trusted };
}

/** Whose words about the scheme are believed. */
export const forwardTrust = (conf: GunicornConf): ForwardTrust =>
  makeTrust(conf.forwarded_allow_ips, conf.secure_scheme_headers);
