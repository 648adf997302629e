/** The configuration as one web worker serves it: from an address and a request's head to an Exchange in its server. */
import { formatAddress } from "../base/address.ts";
import type { Configuration } from "../config/configuration.ts";
import { ConfigError } from "../config/statement.ts";
import { headerLimits, nginxPolicy, type Policy, strictPolicy } from "../http/h1/policy.ts";
import { defaultH2Options, type H2Options } from "../http/h2/options.ts";
import type { RequestHead } from "../http/message.ts";
import type { ClientHello } from "../net/client_hello.ts";
import { type Block, build, Rows } from "./build.ts";
import { Compiler } from "./compile.ts";
import { accessDirectives } from "./core/access.ts";
import { documentDirectives } from "./core/documents.ts";
import { errorDirectives } from "./core/errors.ts";
import { type GunicornConf, gunicornDirectives, gunicornPolicies } from "./core/gunicorn.ts";
import { httpDirectives, type NamedServer } from "./core/http.ts";
import { limitDirectives } from "./core/limits.ts";
import { type ListenConf, listenPlan, type SocketOptions } from "./core/listen.ts";
import { mainDirectives } from "./core/main.ts";
import { openFileDirectives } from "./core/open_files.ts";
import { resolverDirectives } from "./core/resolver.ts";
import { typeDirectives } from "./core/types.ts";
import { type Conf, context, type Directives } from "./directive.ts";
import { type Client, Exchange, type Refusal } from "./exchange.ts";
import { gzipAcceptDirectives } from "./gzip_accept.ts";
import type { Runtime } from "./module.ts";
import { http2Directives } from "./modules/http2.ts";
import { mayTunnel } from "./modules/tunnel.ts";
import { modules } from "./order.ts";
import { normalizePath } from "./path.ts";
import type { Server } from "./pipeline.ts";
import type { ListenPlan } from "./plan.ts";
import type { RequestBody } from "./request_body.ts";
import { ServerNames } from "./server_names.ts";
import { Setup } from "./setup.ts";
import { type ClientInHandshake, checkSecurity, nothingAsked, refusalOf } from "./tls/admission.ts";
import { type Greeting, greet } from "./tls/greeting.ts";

/** The directives of the core, besides those of the modules. */
export const coreDirectives: readonly Directives[] = [
  mainDirectives,
  httpDirectives,
  limitDirectives,
  errorDirectives,
  documentDirectives,
  typeDirectives,
  accessDirectives,
  resolverDirectives,
  gzipAcceptDirectives,
  openFileDirectives,
  gunicornDirectives,
];

/** A configuration whose every statement has been understood. */
export interface Built {
  readonly main: Block;
  readonly setup: Setup;
  /** All servers, in order. */
  readonly servers: readonly Block[];
}

/** Understands a configuration. Throws ConfigError for the first thing that cannot be. */
export function buildConfiguration(configuration: Configuration): Built {
  const rows = new Rows();
  const setup = new Setup(configuration);
  for (const directives of coreDirectives) rows.add(directives);
  for (const { directives, variables = {}, families } of modules) {
    rows.add(directives);
    setup.variables.declare(variables, families);
  }
  const main = build(configuration.statements, rows, setup);
  const [http] = main.childrenOf(context.http);
  if (http !== undefined) for (const module of modules) module.prepare?.(http, setup);
  setup.finish();
  const servers = http?.childrenOf(context.server) ?? [];
  checkAddresses(servers, setup);
  return { main, setup, servers };
}

/** Where a server without `listen` is found: port 80 where that may be bound. */
const usual = (): ListenConf => {
  const port = process.getuid?.() === 0 ? 80 : 8000;
  const address = { kind: "tcp", family: 4, host: "0.0.0.0", port } as const;
  return {
    address,
    key: formatAddress(address),
    isDefault: false,
    ssl: false,
    http2: false,
    proxyProtocol: false,
    options: undefined,
    at: { file: "", line: 0 },
  };
};

const listensOf = (server: Block): readonly ListenConf[] => {
  const { listen } = server.conf(httpDirectives);
  return listen.length > 0 ? listen : [usual()];
};

interface AddressServers {
  readonly first: ListenConf;
  readonly servers: { readonly block: Block; readonly listen: ListenConf }[];
}

function byAddress(servers: readonly Block[]): Map<string, AddressServers> {
  const all = new Map<string, AddressServers>();
  for (const block of servers)
    for (const listen of listensOf(block)) {
      const known = all.get(listen.key);
      if (known === undefined) all.set(listen.key, { first: listen, servers: [{ block, listen }] });
      else known.servers.push({ block, listen });
    }
  return all;
}

const defaultOf = ({ servers }: AddressServers): Block => {
  const found = servers.find(({ listen }) => listen.isDefault) ?? servers[0];
  if (found === undefined) throw new Error("an address without a server");
  return found.block;
};

function checkAddresses(servers: readonly Block[], setup: Setup): void {
  for (const [key, { first, servers: here }] of byAddress(servers)) {
    if (here.some(({ listen }) => listen.ssl))
      checkSecurity(
        here.map(({ block }) => block),
        defaultOf({ first, servers: here }),
      );
    const defaults = here.filter(({ listen }) => listen.isDefault);
    if (defaults[1] !== undefined)
      throw new ConfigError(`a duplicate default server for ${key}`, defaults[1].listen.at);
    const options = here.filter(({ listen }) => listen.options !== undefined);
    if (options[1] !== undefined) throw new ConfigError(`duplicate listen options for ${key}`, options[1].listen.at);
    const names = new ServerNames<Block>();
    for (const { block } of here)
      for (const { name, text } of namesOf(block))
        if (!names.add(name, block)) setup.warnings.push(`conflicting server name "${text}" on ${key}, ignored`);
  }
}

const namesOf = (server: Block): readonly NamedServer[] => {
  const { server_name } = server.conf(httpDirectives);
  return server_name.length > 0 ? server_name : [{ text: "", name: { kind: "exact", name: "" } }];
};

/** The sockets that the servers need: an address of its own is no socket where the port is open on all addresses. */
export function listenPlans({ servers }: Built): ListenPlan[] {
  const addresses = [...byAddress(servers).values()];
  return addresses
    .filter(({ first, servers: here }) => optionsOf(here)?.bind === true || wildcardFor(first, addresses) === undefined)
    .map(({ first, servers: here }) => listenPlan(first.key, first.address, optionsOf(here)));
}

const optionsOf = (here: AddressServers["servers"]): SocketOptions | undefined =>
  here.find(({ listen }) => listen.options !== undefined)?.listen.options;

/** The address that stands for all of the same family and port. */
function wildcardFor({ address }: ListenConf, all: readonly AddressServers[]): AddressServers | undefined {
  if (address.kind !== "tcp" || isWildcard(address)) return undefined;
  return all.find(
    ({ first: { address: other } }) =>
      other.kind === "tcp" && isWildcard(other) && other.family === address.family && other.port === address.port,
  );
}

const isWildcard = ({ host }: { readonly host: string }): boolean => host === "0.0.0.0" || host === "::";

/** One socket's servers. */
export class SiteAddress {
  readonly defaultServer: Server;
  readonly proxyProtocol: boolean;
  /** How heads of requests are read here: as the default server says. */
  readonly policy: Policy;
  /** … and from peers that are trusted more than others (`forwarded_allow_ips`). */
  readonly #trustedPolicy: Policy;
  /** Connections begin with a TLS handshake. */
  readonly isSecure: boolean;
  /** HTTP/2 is spoken to who begins it; undefined: it is not. */
  readonly http2: H2Options | undefined;
  /** `request_parsing gunicorn` */
  readonly gunicorn: GunicornConf | undefined;
  readonly #names = new ServerNames<Server>();
  readonly #http2Servers = new Set<Server>();
  /** Servers that may be asked for a tunnel; undefined: none. */
  readonly #tunnelServers: ReadonlySet<Server> | undefined;
  readonly #mergesSlashes: boolean;
  /** There is one server, whatever the Host, and no name of its is an expression whose match would be remembered. */
  readonly #isAlone: boolean;
  /** Servers of single addresses behind this socket, by local address. */
  readonly inner = new Map<string, SiteAddress>();

  constructor({ servers, first }: AddressServers, compiled: ReadonlyMap<Block, Server>) {
    const byDefault = defaultOf({ servers, first });
    this.defaultServer = serverOf(compiled, byDefault);
    const conf = byDefault.conf(httpDirectives);
    const { request_parsing: parsing } = conf;
    this.gunicorn = parsing === "gunicorn" ? byDefault.conf(gunicornDirectives) : undefined;
    const policies = this.gunicorn === undefined ? undefined : gunicornPolicies(this.gunicorn);
    const policy = policies?.usual ?? policyOf(conf);
    const tunnels = servers.filter(({ block }) => mayTunnel(block));
    if (tunnels.length > 0) this.#tunnelServers = new Set(tunnels.map(({ block }) => serverOf(compiled, block)));
    this.policy = tunnels.length > 0 ? { ...policy, refusedMethods: onlyTrace } : policy;
    this.#trustedPolicy = policies?.trusted ?? this.policy;
    this.#mergesSlashes = conf.merge_slashes;
    this.#isAlone = servers.length === 1 && namesOf(byDefault).every(({ name }) => name.kind !== "regex");
    this.proxyProtocol = servers.some(({ listen }) => listen.proxyProtocol);
    this.isSecure = servers.some(({ listen }) => listen.ssl);
    const isHttp2 = servers.some(({ listen }) => listen.http2);
    for (const { block } of servers)
      if (isHttp2 || block.conf(http2Directives).http2) this.#http2Servers.add(serverOf(compiled, block));
    const speaksHttp2 = servers.some(({ block, listen }) => listen.http2 || block.conf(http2Directives).http2);
    this.http2 = speaksHttp2 ? http2Options(byDefault, policy) : undefined;
    for (const { block } of servers)
      for (const { name } of namesOf(block)) this.#names.add(name, serverOf(compiled, block));
  }

  /** `OPTIONS *` belongs to no location, but to Gunicorn's only one. */
  get #asterisk(): string {
    return this.gunicorn === undefined ? "*" : "/";
  }

  /** How heads of requests from this client are read. */
  policyFor(client: Client): Policy {
    return this.gunicorn?.forwarded_allow_ips(client.peerAddress) === true ? this.#trustedPolicy : this.policy;
  }

  /** Chooses the server for a request. `now`: ms of `performance.now()`. */
  open(request: RequestHead, client: Client, body: RequestBody | undefined, now: number): Exchange {
    return this.at(client).#open(request, client, body, now);
  }

  /** The servers of the very address that the client has come to. */
  at(client: Client): SiteAddress {
    return this.inner.size === 0 ? this : (this.inner.get(client.localAddress) ?? this);
  }

  /** What a client's hello leads to. */
  greet(hello: ClientHello | undefined, client: ClientInHandshake): Greeting {
    let captured: ((exchange: Exchange) => void) | undefined;
    const servers = {
      defaultServer: this.defaultServer,
      named: (host: string) =>
        this.#names.find(host, (name, found) => {
          captured = (exchange) => name.captured(exchange, found);
        }),
      speaksHttp2: (server: Server) => this.#http2Servers.has(server),
    };
    return greet(servers, hello, (session) => {
      const { server } = session;
      client.secure = session;
      const asking = { request: nothingAsked, client, body: undefined, server, startedAt: 0 };
      const exchange = new Exchange(asking, "/", "");
      captured?.(exchange);
      return exchange;
    });
  }

  #open(request: RequestHead, client: Client, body: RequestBody | undefined, now: number): Exchange {
    const { path, query } = request;
    let captured: ((exchange: Exchange) => void) | undefined;
    const server = this.#isAlone
      ? undefined
      : this.#names.find(request.host, (name, found) => {
          captured = (exchange) => name.captured(exchange, found);
        });
    const uri = path === "*" ? this.#asterisk : normalizePath(path, this.#mergesSlashes);
    const exchange = new Exchange(
      { request, client, body, server: server ?? this.#unnamed(request, client), startedAt: now },
      uri ?? (this.gunicorn === undefined ? "" : "/"),
      query,
    );
    // Gunicorn's applications get whatever path was sent.
    if (uri === undefined && this.gunicorn === undefined) exchange.refusal = malformed;
    if (this.isSecure) exchange.refusal ??= refusalOf(exchange);
    if (request.version === 20 && !this.#http2Servers.has(exchange.server)) exchange.refusal ??= otherProtocol;
    if (this.#tunnelServers?.has(exchange.server) === false && request.method === "CONNECT")
      exchange.refusal ??= noTunnel;
    captured?.(exchange);
    return exchange;
  }

  /** Who names no host here means the one of the handshake. */
  #unnamed({ host }: RequestHead, { secure }: Client): Server {
    return host === "" && secure?.acceptedName !== undefined ? secure.server : this.defaultServer;
  }
}

/** RFC 9110 15.5.20 */
const otherProtocol: Refusal = {
  status: 421,
  why: "client attempted to request the server name for which the negotiated protocol is disabled",
};

const onlyTrace: ReadonlySet<string> = new Set(["TRACE"]);
const noTunnel: Refusal = { status: 405, why: "client sent CONNECT method" };

const malformed: Refusal = { status: 400, why: "client sent invalid request while reading client request line" };

function serverOf(compiled: ReadonlyMap<Block, Server>, block: Block): Server {
  const server = compiled.get(block);
  if (server === undefined) throw new Error("a server that was not compiled");
  return server;
}

/** As the default server says: a connection's servers are not known before its requests are. */
function http2Options(block: Block, policy: Policy): H2Options {
  const { http2_max_concurrent_streams, http2_body_preread_size } = block.conf(http2Directives);
  const { count, size } = block.conf(httpDirectives).large_client_header_buffers;
  return {
    ...defaultH2Options,
    policy,
    fieldLimit: size,
    fieldsLimit: count * size,
    maxStreams: http2_max_concurrent_streams,
    prereadSize: Math.min(http2_body_preread_size, 0x7fffffff),
    // Nginx's clients may send up to 16 MB in a frame.
    // Nginx says the last stream at once.
    announcesEnd: !policy.looseHead,
  };
}

function policyOf(conf: Conf<typeof httpDirectives>): Policy {
  if (conf.request_parsing === "strict") return strictPolicy;
  const { count, size } = conf.large_client_header_buffers;
  const limits = headerLimits({ bufferSize: conf.client_header_buffer_size, largeCount: count, largeSize: size });
  return {
    ...nginxPolicy,
    ...limits,
    fieldCountLimit: conf.max_headers,
    ignoreInvalidHeaders: conf.ignore_invalid_headers ? "ignore" : "refuse",
    underscores: conf.underscores_in_headers ? "keep" : conf.ignore_invalid_headers ? "drop" : "refuse",
  };
}

/** All sockets' servers, by the keys of their `listen`. */
export class Site {
  readonly addresses = new Map<string, SiteAddress>();

  constructor({ main, setup, servers }: Built, runtime: Runtime) {
    const compiler = new Compiler(modules, main, setup, runtime);
    const compiled = new Map(servers.map((block) => [block, compiler.server(block)]));
    const all = byAddress(servers);
    for (const [key, here] of all) this.addresses.set(key, new SiteAddress(here, compiled));
    for (const [key, { first }] of all) {
      const wildcard = wildcardFor(first, [...all.values()]);
      const outer = wildcard && this.addresses.get(wildcard.first.key);
      const inner = this.addresses.get(key);
      if (first.address.kind === "tcp" && outer !== undefined && inner !== undefined)
        outer.inner.set(first.address.host, inner);
    }
  }
}
