/** Log lines to a syslog server (`error_log syslog:…`, `access_log syslog:…`): the messages of RFC 3164. */
import { hostname } from "node:os";
import { parseAddress } from "../base/address.ts";
import { Datagram, type DatagramAddress } from "./datagram.ts";
import { lookUpHost } from "./hosts.ts";
import { errorText, SystemError } from "./libc.ts";

const defaultPort = 514;
const longestTag = 32;

const facilities: readonly string[] = [
  ...["kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp"],
  ...["ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
];

/** By their numbers in the protocol, under the names that Nginx's configuration has for them. */
export const syslogSeverities = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"] as const;

export interface SyslogOptions {
  readonly server: DatagramAddress;
  /** The server as the user wrote it. */
  readonly serverText: string;
  /** 0 to 23. */
  readonly facility: number;
  /** 0 to 7; an error log's messages have their own. */
  readonly severity: number;
  readonly tag: string;
  readonly hostname: boolean;
}

type Given = { -readonly [name in keyof SyslogOptions]?: SyslogOptions[name] };

/** Reads what follows `syslog:`, as in `server=127.0.0.1:514,tag=web`. Returns Nginx's message instead if it is wrong. Waits for the system to look up the server's name. */
export function parseSyslog(text: string): SyslogOptions | string {
  const given: Given = {};
  for (const parameter of text.split(",")) {
    const complaint = take(parameter, given);
    if (complaint !== undefined) return complaint;
  }
  const { server, serverText } = given;
  if (server === undefined || serverText === undefined) return "no syslog server specified";
  return {
    server,
    serverText,
    facility: given.facility ?? facilities.indexOf("local7"),
    severity: given.severity ?? syslogSeverities.indexOf("info"),
    tag: given.tag ?? "nginx",
    hostname: given.hostname ?? true,
  };
}

function take(parameter: string, given: Given): string | undefined {
  if (parameter === "nohostname") {
    given.hostname = false;
    return undefined;
  }
  const [, name = "", value = ""] = /^(server|facility|severity|tag)=(.*)$/s.exec(parameter) ?? [];
  switch (name) {
    case "server":
      return takeServer(value, given);
    case "facility":
    case "severity":
      return takeNumber(name, value, given);
    case "tag":
      if (given.tag !== undefined) return duplicate(name);
      // RFC 3164 section 4.1.3.
      if (value.length > longestTag) return "syslog tag length exceeds 32";
      if (!/^\w*$/.test(value)) return 'syslog "tag" only allows alphanumeric characters and underscore';
      given.tag = value;
      return undefined;
    default:
      return `unknown syslog parameter "${parameter}"`;
  }
}

function takeNumber(name: "facility" | "severity", value: string, given: Given): string | undefined {
  if (given[name] !== undefined) return duplicate(name);
  const names: readonly string[] = name === "facility" ? facilities : syslogSeverities;
  const number = names.indexOf(value);
  if (number < 0) return `unknown syslog ${name} "${value}"`;
  given[name] = number;
  return undefined;
}

const duplicate = (name: string): string => `duplicate syslog "${name}"`;

function takeServer(value: string, given: Given): string | undefined {
  if (given.server !== undefined) return duplicate("server");
  const server = serverAddress(value);
  if (typeof server === "string") return `${server} in syslog server "${value}"`;
  given.server = server;
  given.serverText = value;
  return undefined;
}

/** Returns what is wrong instead. */
function serverAddress(text: string): DatagramAddress | string {
  if (text.startsWith("unix:")) {
    if (text === "unix:") return "no path in the unix domain socket";
    const address = parseAddress(text, defaultPort);
    return typeof address === "string" || address.kind !== "unix" ? "too long path in the unix domain socket" : address;
  }
  const found = /^(\[[^\]]*\]|[^:/]*)(?::([^/]*))?$/.exec(text);
  if (found === null) return "invalid host";
  const [, host = "", portText] = found;
  if (host === "" || host === "[]") return "no host";
  const port = portText === undefined ? defaultPort : /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65535) return "invalid port";
  if (host.startsWith("[")) {
    const address = parseAddress(`${host}:${port}`, port);
    return typeof address === "string" || address.kind !== "tcp" ? "invalid IPv6 address" : address;
  }
  const address = lookUpHost(host)[0];
  return address === undefined ? "host not found" : { kind: "tcp", ...address, port };
}

/** One server and how its messages begin. */
export class Syslog {
  readonly options: SyslogOptions;
  readonly #socket: Datagram;
  readonly #report: (message: string) => void;
  readonly #after: string;
  /** The second that `#time` is for. */
  #second = -1;
  #time = "";
  #busy = false;

  /** `report`: told when a message could not be sent; what it logs here in turn is dropped. */
  constructor(options: SyslogOptions, report: (message: string) => void) {
    this.options = options;
    this.#socket = new Datagram(options.server);
    this.#report = report;
    this.#after = `${options.hostname ? ` ${hostname().toLowerCase()}` : ""} ${options.tag}: `;
  }

  /** Sends one message, latin-1 text without the line's end. `severity`: 0 to 7. A message that cannot be sent is lost. */
  send(severity: number, message: string): void {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const priority = this.options.facility * 8 + severity;
      this.#sendBytes(Buffer.from(`<${priority}>${this.#now()}${this.#after}${message}`, "latin1"));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const { call, errno } = error;
      this.#report(
        `${call}() failed (${errorText(errno)}) while logging to syslog, server: ${this.options.serverText}`,
      );
    } finally {
      this.#busy = false;
    }
  }

  #sendBytes(bytes: Uint8Array): void {
    try {
      this.#socket.send(bytes);
    } catch (error) {
      // The refusal of the datagram before this one; the server may be back.
      if (!(error instanceof SystemError && error.code === "ECONNREFUSED")) throw error;
      this.#socket.send(bytes);
    }
  }

  #now(): string {
    const ms = Date.now();
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#time = syslogTime(new Date(ms));
    }
    return this.#time;
  }

  close(): void {
    this.#busy = true;
    this.#socket.close();
  }
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Oct  7 09:05:00`, in local time (RFC 3164 section 4.1.2). */
export function syslogTime(date: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = String(date.getDate()).padStart(2, " ");
  return `${months[date.getMonth()]} ${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
