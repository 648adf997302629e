/** The structure of the http block: servers, their addresses and names, locations, and who answers in them (ngx_http_core_module). */
import { hostname } from "node:os";
import { compileRegex } from "../../config/regex.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import { parseSize } from "../../config/values.ts";
import {
  accepted,
  choice,
  context,
  type Directive,
  duplicate,
  everywhere,
  flag,
  number,
  type Parsing,
  size,
  time,
} from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { ServerName } from "../server_names.ts";
import { type ListenConf, parseListen } from "./listen.ts";

const { http, server, location, limitExcept } = context;

/** What `location` says before its block. */
export type LocationMatch =
  | { readonly kind: "exact" | "prefix"; readonly path: string; readonly beforeRegex: boolean }
  | Extract<ServerName, { kind: "regex" }>
  | { readonly kind: "named"; readonly name: string };

/** A regular expression whose named groups are variables. Throws ConfigError. */
export function regexWithVariables(
  text: string,
  caseless: boolean,
  { setup }: Parsing,
  at: Place,
): Extract<ServerName, { kind: "regex" }> {
  const pattern = compileRegex(text, caseless);
  if (typeof pattern === "string") throw new ConfigError(pattern, at);
  const sets = pattern.names.map(([name, group]) => [setup.variables.settable(name, at), group] as const);
  return {
    kind: "regex",
    pattern,
    captured(exchange: Exchange, found: readonly (string | undefined)[]) {
      exchange.captures = found;
      for (const [set, group] of sets) set(exchange, found[group] ?? "");
    },
  };
}

const opening = (opens: number, contexts: number, summary: string): Directive<undefined> => ({
  summary,
  syntax: "{ … }",
  contexts,
  args: 0,
  initial: undefined,
  opens,
  parse: () => undefined,
});

const locationRow: Directive<undefined> = {
  summary: "What holds for some paths.",
  syntax: "[ = | ~ | ~* | ^~ ] uri { … }  or  @name { … }",
  contexts: server | location,
  args: [1, 2],
  initial: undefined,
  opens: location,
  parse(statement, _, at) {
    const match = locationMatch(statement.args, statement.at, at);
    at.opened?.set("location match", match);
    const outer = at.block.own("location match") as LocationMatch | undefined;
    if (outer !== undefined) checkNesting(match, outer, statement.args, statement.at);
    checkDuplicate(match, at, statement.args, statement.at);
    return undefined;
  },
};

function locationMatch(args: readonly string[], at: Place, parsing: Parsing): LocationMatch {
  const [first = "", second] = args;
  const [modifier, path] = second === undefined ? splitModifier(first) : [first, second];
  switch (modifier) {
    case "=":
      return { kind: "exact", path, beforeRegex: true };
    case "^~":
      return { kind: "prefix", path, beforeRegex: true };
    case "~":
      return regexWithVariables(path, false, parsing, at);
    case "~*":
      return regexWithVariables(path, true, parsing, at);
    case "":
      return path.startsWith("@")
        ? { kind: "named", name: path.slice(1) }
        : { kind: "prefix", path, beforeRegex: false };
    default:
      throw new ConfigError(`invalid location modifier "${modifier}"`, at);
  }
}

/** `location =/x` is written without a space sometimes. */
function splitModifier(word: string): readonly [modifier: string, path: string] {
  const found = /^(=|\^~|~\*|~)(.*)$/s.exec(word);
  return found === null ? ["", word] : [found[1] ?? "", found[2] ?? ""];
}

function checkNesting(match: LocationMatch, outer: LocationMatch, args: readonly string[], at: Place): void {
  const name = args.at(-1) ?? "";
  const outerName =
    outer.kind === "named" ? `@${outer.name}` : outer.kind === "regex" ? outer.pattern.source : outer.path;
  if (outer.kind === "exact")
    throw new ConfigError(`location "${name}" cannot be inside the exact location "${outerName}"`, at);
  if (outer.kind === "named")
    throw new ConfigError(`location "${name}" cannot be inside the named location "${outerName}"`, at);
  if (match.kind === "named") throw new ConfigError(`named location "${name}" can be on the server level only`, at);
  if (match.kind !== "regex" && outer.kind !== "regex" && !match.path.startsWith(outer.path))
    throw new ConfigError(`location "${name}" is outside location "${outerName}"`, at);
}

function checkDuplicate(match: LocationMatch, { block, opened }: Parsing, args: readonly string[], at: Place): void {
  if (match.kind === "regex") return;
  for (const other of block.childrenOf(location)) {
    if (other === opened) continue;
    const known = other.own("location match") as LocationMatch | undefined;
    if (known?.kind !== match.kind) continue;
    const same =
      known.kind === "named"
        ? match.kind === "named" && known.name === match.name
        : match.kind !== "named" && known.path === match.path;
    if (same) throw new ConfigError(`duplicate location "${args.at(-1)}"`, at);
  }
}

const listen: Directive<readonly ListenConf[]> = {
  summary: "Where the server listens.",
  syntax:
    "address[:port] [default_server] [ssl] [http2] [proxy_protocol] [backlog=number] [reuseport] [ipv6only=on|off] …",
  contexts: server,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  initialText: "*:80 | *:8000",
  parse: (statement, before = []) => [...before, ...parseListen(statement, before)],
};

export interface NamedServer {
  readonly text: string;
  readonly name: ServerName;
}

const serverName: Directive<readonly NamedServer[]> = {
  summary: "The server's names: exact, with a wildcard at either end, or regular expressions.",
  syntax: "name …",
  contexts: server,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  initialText: '""',
  parse: ({ args, at }, before = [], parsing) => [...before, ...args.flatMap((text) => namesOf(text, at, parsing))],
};

function namesOf(text: string, at: Place, parsing: Parsing): readonly NamedServer[] {
  if (text.startsWith("~")) {
    if (text === "~") throw new ConfigError(`empty regex in server name "~"`, at);
    return [{ text, name: regexWithVariables(text.slice(1), true, parsing, at) }];
  }
  if (text.includes("/")) parsing.setup.warn(`server name "${text}" has suspicious symbols`, at);
  const name = text.toLowerCase();
  if (name.startsWith("*.") || name.startsWith(".")) {
    const suffix = name.startsWith("*") ? name.slice(1) : name;
    if (suffix.includes("*") || suffix.length < 2)
      throw new ConfigError(`invalid server name or wildcard "${text}" on server level`, at);
    const wildcard: NamedServer = { text, name: { kind: "head", suffix } };
    return name.startsWith("*")
      ? [wildcard]
      : [{ text: text.slice(1), name: { kind: "exact", name: suffix.slice(1) } }, wildcard];
  }
  if (name.endsWith(".*")) {
    const prefix = name.slice(0, -1);
    if (prefix.includes("*") || prefix.length < 2)
      throw new ConfigError(`invalid server name or wildcard "${text}" on server level`, at);
    return [{ text, name: { kind: "tail", prefix } }];
  }
  if (name.includes("*")) throw new ConfigError(`invalid server name or wildcard "${text}" on server level`, at);
  return [
    {
      text: text === "$hostname" ? hostname() : text,
      name: { kind: "exact", name: text === "$hostname" ? hostname().toLowerCase() : name },
    },
  ];
}

/** Methods that are not excepted. HEAD goes with GET. */
const limitExceptRow: Directive<{ readonly methods: ReadonlySet<string> } | undefined> = {
  summary: "What holds for all methods but these.",
  syntax: "method … { … }",
  contexts: location,
  args: [1, Number.POSITIVE_INFINITY],
  initial: undefined,
  inherit: "never",
  opens: limitExcept,
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const methods = new Set<string>();
    for (const each of statement.args) {
      const method = each.toUpperCase();
      if (!knownMethods.has(method)) throw new ConfigError(`invalid method "${each}"`, statement.at);
      methods.add(method);
      if (method === "GET") methods.add("HEAD");
    }
    return { methods };
  },
};

const knownMethods = new Set(
  "GET HEAD POST PUT DELETE MKCOL COPY MOVE OPTIONS PROPFIND PROPPATCH LOCK UNLOCK PATCH".split(" "),
);

const marker = (contexts: number, summary: string): Directive<boolean> => ({
  summary,
  syntax: "",
  contexts,
  args: 0,
  initial: false,
  inherit: "never",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    return true;
  },
});

/** Nginx's leniency, that of the zero-configuration mode (everything ambiguous is refused), or Gunicorn's (core/gunicorn.ts). */
const requestParsing = choice(["nginx", "strict", "gunicorn"], {
  contexts: http | server,
  initial: "nginx",
  summary: "How heads of requests are read: as Nginx reads them, refusing everything ambiguous, or as Gunicorn does.",
});

const largeBuffers: Directive<{ readonly count: number; readonly size: number }> = {
  summary: "How many buffers, of which size, a request's head may fill.",
  syntax: "number size",
  contexts: http | server,
  args: 2,
  initial: { count: 4, size: 8192 },
  initialText: "4 8k",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const count = Number(/^\d{1,6}$/.exec(statement.args[0] ?? "")?.[0]);
    const bytes = parseSize(statement.args[1] ?? "");
    if (!(count > 0) || bytes === undefined || bytes === 0)
      throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return { count, size: bytes };
  },
};

const table = "tables are sized by the runtime";

export const httpDirectives = {
  server: opening(server, http, "A server: its addresses, names and locations."),
  location: locationRow,
  limit_except: limitExceptRow,
  listen,
  server_name: serverName,
  internal: marker(location, "Only internal redirects and inner requests come here; others get 404."),
  merge_slashes: flag({
    contexts: http | server,
    initial: true,
    summary: "Whether adjacent slashes of a path count as one.",
  }),
  server_names_hash_bucket_size: accepted({ contexts: http, args: 1, syntax: "size", deviation: table }),
  server_names_hash_max_size: accepted({ contexts: http, args: 1, syntax: "size", deviation: table }),
  variables_hash_bucket_size: accepted({ contexts: http, args: 1, syntax: "size", deviation: table }),
  variables_hash_max_size: accepted({ contexts: http, args: 1, syntax: "size", deviation: table }),
  types_hash_bucket_size: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: table }),
  types_hash_max_size: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: table }),
  connection_pool_size: accepted({
    contexts: http | server,
    args: 1,
    syntax: "size",
    deviation: "memory is the runtime's matter",
  }),
  request_pool_size: accepted({
    contexts: http | server,
    args: 1,
    syntax: "size",
    deviation: "memory is the runtime's matter",
  }),
  request_parsing: requestParsing,
  client_header_buffer_size: size({
    contexts: http | server,
    initial: 1024,
    initialText: "1k",
    summary: "The first buffer for a request's head.",
  }),
  large_client_header_buffers: largeBuffers,
  client_header_timeout: time({
    contexts: http | server,
    initial: 60_000,
    initialText: "60s",
    summary: "How long a request's head may take.",
  }),
  ignore_invalid_headers: flag({
    contexts: http | server,
    initial: true,
    summary: "Whether fields with invalid names are ignored; else they are refused.",
  }),
  underscores_in_headers: flag({
    contexts: http | server,
    initial: false,
    summary: "Whether fields may have underscores in their names.",
  }),
  max_headers: number({
    contexts: http | server,
    initial: 1000,
    initialText: "1000",
    summary: "How many fields a request may have.",
  }),
};
