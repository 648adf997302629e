/** What no line of a head can tell by itself: what its fields say as a whole. Of a loose head: see `loose_field.ts`. */
import type { ProtocolError } from "../engine.ts";
import type { Headers } from "../headers.ts";
import type { Version } from "../message.ts";
import { requestBodyLength } from "./framing.ts";
import type { Policy } from "./policy.ts";
import { isAuthority } from "./target.ts";

/** A section, as far as it is asked here. `host`: an index into `headers`, or -1. */
interface Section {
  readonly headers: Headers;
  readonly host: number;
  readonly hasFraming: boolean;
}

/** The bytes of the request's body (-1: chunked), or what is wrong with framing or Host. */
export function strictBodyLength(
  { headers, host, hasFraming }: Section,
  version: Version,
  policy: Policy,
): number | ProtocolError {
  const length = hasFraming ? requestBodyLength(headers, version, policy.passedCodings) : 0;
  if (typeof length !== "number") return length;
  // RFC 9112 3.2: exactly one Host in HTTP/1.1, and a valid one in any.
  if (host >= 0) return isAuthority(headers.values[host]!) ? length : badHost("invalid Host");
  return version === 11 && policy.hostRequired ? badHost("no Host") : length;
}

export function badHost(detail: string): ProtocolError {
  return { status: 400, rule: "RFC 9112 3.2", detail };
}

/** Do Host and the target's authority name the same? */
export const agree = (host: string, authority: string): boolean =>
  host === authority || host.toLowerCase() === authority.toLowerCase();

/** RFC 9110 10.1.1: does the client wait for 100 Continue? Any other expectation cannot be met. */
export function awaitsContinue(headers: Headers, version: Version, policy: Policy): boolean | ProtocolError {
  // HTTP/1.0 knows no expectations and no interim responses: they are ignored.
  if (version < 11) return false;
  for (const value of headers.all("expect")) {
    if (value.toLowerCase() !== "100-continue") {
      if (policy.otherExpectations) return false;
      return { status: 417, rule: "RFC 9110 10.1.1", detail: "expectation other than 100-continue" };
    }
  }
  return true;
}

/** RFC 9112 9.3: 1.1 persists unless told to close, 1.0 closes unless asked to persist; "close" wins. */
export function isPersistent({ names, values }: Headers, version: Version): boolean {
  let keeps = version === 11;
  for (let i = 0; i < names.length; i++) {
    if (names[i]!.lower !== "connection") continue;
    const field = values[i]!;
    // What nearly everybody sends needs no splitting.
    if (field === "keep-alive" || field === "Keep-Alive") {
      keeps = true;
      continue;
    }
    for (const option of field.toLowerCase().split(",")) {
      const name = option.trim();
      if (name === "close") return false;
      if (name === "keep-alive") keeps = true;
    }
  }
  return keeps;
}
