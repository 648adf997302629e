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

/** The scheme that the client used. undefined: a trusted proxy contradicts itself; answer 400. */
export function forwardedScheme(request: RequestHead, ends: Ends): "http" | "https" | undefined {
  if (!trusted.has(ends.peerAddress)) return ends.scheme;
  let found: "http" | "https" | undefined;
  const { names, values } = request.headers;
  for (let i = 0; i < names.length; i++) {
    // The map is asked for few fields only: this runs for every request that comes through a local proxy.
    const { lower } = names[i]!;
    const secure = lower.startsWith("x-forwarded-") ? schemeFields.get(lower) : undefined;
    if (secure === undefined) continue;
    const scheme = values[i]?.toLowerCase() === secure ? "https" : "http";
    if (found !== undefined && found !== scheme) return undefined;
    found = scheme;
  }
  return found ?? ends.scheme;
}
