/** `listen`: from its words to an address and what the socket shall be like. */
import { readFileSync } from "node:fs";
import { type Address, formatAddress, parseIpv4, parseIpv6 } from "../../base/address.ts";
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import { parseSize, parseTime } from "../../config/values.ts";
import { invalidParameter } from "../directive.ts";
import type { KeepAliveProbes, ListenPlan } from "../plan.ts";

/** One address of a server. */
export interface ListenConf {
  readonly address: Address;
  /** "127.0.0.1:8000", "0.0.0.0:80", "[::]:80", "unix:/run/x.sock" */
  readonly key: string;
  readonly isDefault: boolean;
  readonly ssl: boolean;
  readonly http2: boolean;
  readonly proxyProtocol: boolean;
  /** What is set for the socket; undefined: nothing but the address. */
  readonly options: SocketOptions | undefined;
  readonly at: Place;
}

export type SocketOptions = Partial<Omit<ListenPlan, "key" | "address">> & { readonly bind?: true };

const defaultBacklog = 511;

/** Throws ConfigError. `before`: the same server's other addresses. */
export function parseListen({ args, at }: Statement, before: readonly ListenConf[]): ListenConf[] {
  const [text = "", ...parameters] = args;
  const flags = { isDefault: false, ssl: false, http2: false, proxyProtocol: false };
  let options: SocketOptions | undefined;
  for (const parameter of parameters) {
    const name = parameter.split("=", 1)[0] ?? "";
    if (parameter === "default_server" || parameter === "default") flags.isDefault = true;
    else if (parameter === "ssl") flags.ssl = true;
    else if (parameter === "http2") flags.http2 = true;
    else if (parameter === "proxy_protocol") flags.proxyProtocol = true;
    else {
      const set = socketOption(name, parameter.slice(name.length + 1), parameter, at);
      if (set === undefined) throw invalidParameter({ at }, parameter);
      options = { ...options, ...set };
    }
  }
  const made = listenAddresses(text, at).map((address) => ({
    address,
    key: formatAddress(address),
    ...flags,
    options,
    at,
  }));
  for (const { key } of made)
    if (before.some((other) => other.key === key)) throw new ConfigError(`a duplicate listen ${key}`, at);
  return made;
}

function socketOption(name: string, value: string, whole: string, at: Place): SocketOptions | undefined {
  switch (name) {
    case "bind":
      return whole === name ? { bind: true } : undefined;
    case "reuseport":
      return whole === name ? { reusePort: true, bind: true } : undefined;
    case "deferred":
      return whole === name ? { deferred: true, bind: true } : undefined;
    case "backlog":
      return { backlog: positive(value, whole, at), bind: true };
    case "fastopen":
      return { fastOpen: positive(value, whole, at), bind: true };
    case "rcvbuf":
      return { receiveBuffer: bytes(value, whole, at), bind: true };
    case "sndbuf":
      return { sendBuffer: bytes(value, whole, at), bind: true };
    case "umask":
      // Our own: Gunicorn's setting of that name.
      if (!/^0?[0-7]{1,3}$/.test(value)) throw new ConfigError(`invalid umask "${value}"`, at);
      return { umask: Number.parseInt(value, 8), bind: true };
    case "ipv6only":
      if (value !== "on" && value !== "off") throw new ConfigError(`invalid ipv6only flags "${value}"`, at);
      return { ipv6Only: value === "on", bind: true };
    case "so_keepalive":
      return { keepAlive: keepAlive(value, at), bind: true };
    case "setfib":
    case "accept_filter":
      // Other systems' matters.
      return {};
    default:
      return undefined;
  }
}

function positive(text: string, whole: string, at: Place): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0)
    throw new ConfigError(`invalid ${whole.split("=")[0]} "${text}"`, at);
  return Number(text);
}

function bytes(text: string, whole: string, at: Place): number {
  const value = parseSize(text);
  if (value === undefined) throw new ConfigError(`invalid ${whole.split("=")[0]} "${text}"`, at);
  return value;
}

function keepAlive(text: string, at: Place): boolean | KeepAliveProbes {
  if (text === "on" || text === "off") return text === "on";
  const parts = text.split(":");
  const bad = new ConfigError(`invalid so_keepalive value: "${text}"`, at);
  if (parts.length !== 3 || parts.every((part) => part === "")) throw bad;
  const [idle = "", interval = "", count = ""] = parts;
  const probes: { idle?: number; interval?: number; count?: number } = {};
  const seconds = (part: string): number => {
    const value = parseTime(part, "s");
    if (value === undefined) throw bad;
    return value;
  };
  if (idle !== "") probes.idle = seconds(idle);
  if (interval !== "") probes.interval = seconds(interval);
  if (count !== "") {
    if (!/^\d{1,4}$/.test(count)) throw bad;
    probes.count = Number(count);
  }
  return probes;
}

/** `127.0.0.1:8000`, `127.0.0.1`, `8000`, `*:8000`, `[::]:8000`, `localhost:8000`, `unix:/path`, and ports as ranges. */
function listenAddresses(text: string, at: Place): ListenConf["address"][] {
  const bad = (why: string): ConfigError => new ConfigError(`${why} in "${text}" of the "listen" directive`, at);
  const fd = /^fd:\/\/(\d{1,6})$/.exec(text)?.[1];
  if (fd !== undefined) return [{ kind: "fd", fd: Number(fd) }];
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "") throw bad("no path in the unix domain socket");
    if (path.length > 107) throw bad("too long path in the unix domain socket");
    return [{ kind: "unix", path }];
  }
  const found = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text);
  if (found === null) throw bad("invalid host");
  const [, v6, name = "", portText] = found;
  const isPortOnly = v6 === undefined && portText === undefined && /^\d+(-\d+)?$/.test(name);
  // Port 0, any that is free, is what a command line may ask for; in a file it is a mistake.
  const least = at.line === 0 ? 0 : 1;
  const ports = portRange(isPortOnly ? name : portText, least, bad);
  const hosts = isPortOnly ? [{ family: 4, host: "0.0.0.0" } as const] : hostsOf(v6, name, bad);
  return hosts.flatMap(({ family, host }) => ports.map((port) => ({ kind: "tcp", family, host, port }) as const));
}

function portRange(text: string | undefined, least: number, bad: (why: string) => ConfigError): number[] {
  if (text === undefined) return [80];
  const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(found?.[1]);
  const last = Number(found?.[2] ?? found?.[1]);
  if (found === null || first < least || last > 65535) throw bad("invalid port");
  if (last < first) throw bad("invalid port range");
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

type Host = { readonly family: 4 | 6; readonly host: string };

function hostsOf(v6: string | undefined, name: string, bad: (why: string) => ConfigError): readonly Host[] {
  if (v6 !== undefined) {
    if (parseIpv6(v6) === undefined) throw bad("invalid IPv6 address");
    return [{ family: 6, host: new URL(`http://[${v6}]`).hostname.slice(1, -1) }];
  }
  if (name === "*") return [{ family: 4, host: "0.0.0.0" }];
  if (name === "") throw bad("no host");
  if (parseIpv4(name) !== undefined) return [{ family: 4, host: name }];
  const found = hostsFile(name);
  if (found.length === 0) throw bad("host not found");
  return found;
}

/** A machine's own names. The network's are not asked: a server can only listen on its own addresses. */
function hostsFile(name: string): Host[] {
  const hosts: Host[] = [];
  for (const line of readFileSync("/etc/hosts", "latin1").split("\n")) {
    const [address = "", ...names] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    if (!names.some((each) => each.toLowerCase() === name.toLowerCase())) continue;
    const family = parseIpv4(address) !== undefined ? 4 : parseIpv6(address) !== undefined ? 6 : undefined;
    if (family !== undefined && !hosts.some(({ host }) => host === address)) hosts.push({ family, host: address });
  }
  return hosts;
}

/** What the master binds: the address with the options of the server that sets any, or the usual ones. */
export function listenPlan(key: string, address: ListenConf["address"], options: SocketOptions = {}): ListenPlan {
  return {
    key,
    address,
    backlog: options.backlog ?? defaultBacklog,
    // Better than Nginx's default: an even load on all workers (architecture, section 2).
    reusePort: address.kind === "tcp",
    ipv6Only: options.ipv6Only ?? true,
    receiveBuffer: options.receiveBuffer,
    sendBuffer: options.sendBuffer,
    fastOpen: options.fastOpen,
    umask: options.umask,
    deferred: options.deferred ?? false,
    keepAlive: options.keepAlive,
  };
}
