/** ngx_http_realip_module: trusted proxies say for whom they ask; to everything else that is who the client is. */
import { binaryAddress, type Cidr, CidrSet, meaninglessBits, parseCidr } from "../../base/cidr.ts";
import { ConfigError } from "../../config/statement.ts";
import { ipv6Text } from "../../net/dns_message.ts";
import { lookUpHost } from "../../net/hosts.ts";
import { type Directive, duplicate, everywhere, flag } from "../directive.ts";
import type { Client, Exchange, ProxyHeader } from "../exchange.ts";
import { forwardedHop, type Hop } from "../forwarded_for.ts";
import { defineModule } from "../module.ts";
import type { Handler } from "../pipeline.ts";

const fromRow: Directive<readonly Cidr[]> = {
  summary: "Proxies that are believed: addresses, networks, names of hosts (looked up once, at the start).",
  syntax: "address | CIDR | unix: | hostname",
  contexts: everywhere,
  args: 1,
  initial: [],
  parse({ args, at }, before = [], { setup }) {
    const [text = ""] = args;
    const parsed = parseCidr(text);
    if (parsed?.lowBits === true) setup.warn(meaninglessBits(text), at);
    if (parsed !== undefined) return [...before, parsed.cidr];
    const found = lookUpHost(text);
    if (found.length === 0) throw new ConfigError(`host not found in set_real_ip_from "${text}"`, at);
    return [...before, ...found.flatMap(({ host }) => parseCidr(host)?.cidr ?? [])];
  },
};

/** Which word of theirs. */
type Source = { readonly kind: "proxy_protocol" } | { readonly kind: "field"; readonly lower: string };

const headerRow: Directive<Source> = {
  summary: "Where they say it: a field of the request, or the PROXY protocol's header.",
  syntax: "field | X-Real-IP | X-Forwarded-For | proxy_protocol",
  contexts: everywhere,
  args: 1,
  initial: { kind: "field", lower: "x-real-ip" },
  initialText: "X-Real-IP",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [text = ""] = statement.args;
    return text === "proxy_protocol" ? { kind: text } : { kind: "field", lower: text.toLowerCase() };
  },
};

const directives = {
  set_real_ip_from: fromRow,
  real_ip_header: headerRow,
  real_ip_recursive: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether the last address that is none of the believed proxies counts, instead of the last one.",
  }),
};

/** A client as a proxy has described it, on the proxy's connection. */
class ForwardedClient implements Client {
  readonly #connection: Client;
  readonly peerAddress: string;
  readonly peerPort: number;
  /** Applications see the address, too: this part of their environ is not the connection's. */
  environ: Uint8Array | undefined = undefined;

  constructor(connection: Client, peerAddress: string, peerPort: number) {
    this.#connection = connection;
    this.peerAddress = peerAddress;
    this.peerPort = peerPort;
  }

  get localAddress(): string {
    return this.#connection.localAddress;
  }
  get localPort(): string {
    return this.#connection.localPort;
  }
  get scheme(): "http" | "https" {
    return this.#connection.scheme;
  }
  get number(): number {
    return this.#connection.number;
  }
  get requests(): number {
    return this.#connection.requests;
  }
  get acceptedAt(): number {
    return this.#connection.acceptedAt;
  }
  get proxy(): ProxyHeader | undefined {
    return this.#connection.proxy;
  }
  get secure(): Client["secure"] {
    return this.#connection.secure;
  }
}

const replacedKey = Symbol("realip: the connection's client");

/** Who asks behind the proxy; undefined: it has not said. */
function believe({ request, client }: Exchange, source: Source, proxies: CidrSet, recursive: boolean): Hop | undefined {
  const fields = wordOf(source, client, request.headers.all(source.kind === "field" ? source.lower : ""));
  const address = fields.length === 0 ? undefined : binaryAddress(client.peerAddress);
  if (address === undefined) return undefined;
  const peer: Hop = { address, port: 0 };
  const found = forwardedHop(peer, fields, proxies, recursive);
  if (found === peer) return undefined;
  return source.kind === "field" ? found : { ...found, port: client.proxy?.source?.port ?? 0 };
}

/** Of X-Forwarded-For all fields count, of others the first one. */
function wordOf(source: Source, { proxy }: Client, fields: readonly string[]): readonly string[] {
  if (source.kind === "field") return source.lower === "x-forwarded-for" ? fields : fields.slice(0, 1);
  return proxy?.source === undefined ? [] : [proxy.source.address];
}

const addressText = (bytes: Uint8Array): string => (bytes.length === 4 ? bytes.join(".") : ipv6Text(bytes));

function replaceClient(from: readonly Cidr[], source: Source, recursive: boolean): Handler {
  const proxies = new CidrSet();
  for (const cidr of from) proxies.add(cidr);
  return (exchange) => {
    const { main, client } = exchange;
    if (main.note(replacedKey) !== undefined) return undefined;
    const found = believe(exchange, source, proxies, recursive);
    if (found === undefined) return undefined;
    main.setNote(replacedKey, client);
    exchange.client = new ForwardedClient(client, addressText(found.address), found.port);
    main.client = exchange.client;
    return undefined;
  };
}

/** The connection's own other end, whoever a proxy there asks for. */
export const connectionOf = ({ main }: Exchange): Client => main.note<Client>(replacedKey) ?? main.client;

export const realipModule = defineModule({
  name: "realip",
  directives,
  variables: {
    realip_remote_addr: {
      summary: "The address at the other end of the connection: the proxy's.",
      plain: true,
      get(exchange) {
        const { peerAddress } = connectionOf(exchange);
        return peerAddress === "" ? "unix:" : peerAddress;
      },
    },
    realip_remote_port: {
      summary: "… and its port.",
      plain: true,
      get(exchange) {
        const { peerPort } = connectionOf(exchange);
        return peerPort === 0 ? "" : String(peerPort);
      },
    },
  },
  compile({ set_real_ip_from: from, real_ip_header: source, real_ip_recursive: recursive }) {
    if (from.length === 0) return {};
    const handler = replaceClient(from, source, recursive);
    return { postRead: handler, preaccess: handler };
  },
});
