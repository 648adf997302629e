/** A request's head as an engine hands it on: what is asked for rarely is made when asked for. */
import type { Headers } from "./headers.ts";
import type { RequestHead, Version } from "./message.ts";

/** What few requests have. */
export interface OddParts {
  /** undefined: `method target HTTP/x.y`. */
  readonly line?: string | undefined;
  /** undefined: the same as `target`. */
  readonly uri?: string | undefined;
  readonly ignoredLines?: readonly string[] | undefined;
}

const none: readonly string[] = [];
const protocols: Readonly<Record<Version, string>> = { 9: "", 10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2.0" };

// One class, so that all requests have the same shape. An engine fills it in: an object of arguments would cost a tenth of
// what it takes to parse a small head.
export class CheckedRequest implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly version: Version;
  readonly headers: Headers;
  path = "";
  query = "";
  authority = "";
  bodyLength = 0;
  expectsContinue = false;
  headLength = 0;
  odd: OddParts | undefined = undefined;
  #host: string | undefined = undefined;

  constructor(method: string, target: string, version: Version, headers: Headers) {
    this.method = method;
    this.target = target;
    this.version = version;
    this.headers = headers;
  }

  get requestLine(): string {
    return this.odd?.line ?? `${this.method} ${this.target} ${protocols[this.version]}`.trimEnd();
  }

  get protocol(): string {
    const line = this.odd?.line;
    if (line === undefined || this.version === 9) return protocols[this.version];
    // A target has no spaces: nothing else of a line looks like this.
    return / (HTTP\/[0-9.]+) *$/.exec(line)?.[1] ?? "";
  }

  get uri(): string {
    return this.odd?.uri ?? this.target;
  }

  get ignoredLines(): readonly string[] {
    return this.odd?.ignoredLines ?? none;
  }

  get host(): string {
    this.#host ??= knownHost(this.authority);
    return this.#host;
  }

  get authorityPort(): number {
    const { authority } = this;
    return Number(authority.slice(portAt(authority)));
  }
}

// The same few authorities come with every request; those that clients make up are bounded.
const maxHosts = 256;
const hosts = new Map<string, string>();

function knownHost(authority: string): string {
  const known = hosts.get(authority);
  if (known !== undefined) return known;
  const host = hostOf(authority);
  if (hosts.size >= maxHosts) hosts.clear();
  hosts.set(authority, host);
  return host;
}

/** The host of a valid authority as it is compared: lower case, without port and trailing dot. */
export function hostOf(authority: string): string {
  const port = portAt(authority);
  const host = port === authority.length && !authority.endsWith(":") ? authority : authority.slice(0, port - 1);
  return (host.endsWith(".") ? host.slice(0, -1) : host).toLowerCase();
}

/** Where the port's digits begin; the end, if there is none. A colon within brackets is part of the address. */
function portAt(authority: string): number {
  const colon = authority.lastIndexOf(":");
  return colon < 0 || authority.endsWith("]") ? authority.length : colon + 1;
}
