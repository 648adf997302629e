/** What a trusted proxy in front of us says about the client's connection (Gunicorn's `secure_scheme_headers`, `forwarded_allow_ips`). */
import type { Ends, RequestHead } from "../http/message.ts";

/** The fields, and the value of each that means HTTPS. */
const schemeFields = new Map([
  ["x-forwarded-proto", "https"],
  ["x-forwarded-protocol", "ssl"],
  ["x-forwarded-ssl", "on"],
]);

/** Gunicorn's default: this machine itself, and who can write to our Unix socket. */
const trusted = new Set(["127.0.0.1", "::1", "::ffff:127.0.0.1", ""]);

/** Who is believed, and which fields say it, in lower case, with the value that means HTTPS. */
export interface ForwardTrust {
  readonly trusts: (peerAddress: string) => boolean;
  readonly schemeFields: ReadonlyMap<string, string>;
  /** What all of them begin with: other fields need not be looked up. */
  readonly prefix: string;
}

export const makeTrust = (trusts: ForwardTrust["trusts"], fields: ReadonlyMap<string, string>): ForwardTrust => ({
  trusts,
  schemeFields: fields,
  prefix: [...fields.keys()].reduce(commonPrefix, fields.keys().next().value ?? ""),
});

function commonPrefix(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return a.slice(0, length);
}

export const defaultTrust: ForwardTrust = makeTrust((address) => trusted.has(address), schemeFields);

/** The scheme that the client used. undefined: a trusted proxy contradicts itself; answer 400. */
export function forwardedScheme(
  request: RequestHead,
  ends: Ends,
  trust: ForwardTrust = defaultTrust,
): "http" | "https" | undefined {
  if (!trust.trusts(ends.peerAddress)) return ends.scheme;
  let found: "http" | "https" | undefined;
  const { names, values } = request.headers;
  for (let i = 0; i < names.length; i++) {
    // The map is asked for few fields only: this runs for every request that comes through a local proxy.
    const { lower } = names[i]!;
    const secure = lower.startsWith(trust.prefix) ? trust.schemeFields.get(lower) : undefined;
    if (secure === undefined) continue;
    const scheme = values[i]?.toLowerCase() === secure ? "https" : "http";
    if (found !== undefined && found !== scheme) return undefined;
    found = scheme;
  }
  return found ?? ends.scheme;
}
