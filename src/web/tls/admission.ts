/** Which requests a connection may bring: over TLS if it has to be, with the certificate that the server wants, for the name of the handshake. */
import { ConfigError } from "../../config/statement.ts";
import { Headers } from "../../http/headers.ts";
import { CheckedRequest } from "../../http/request.ts";
import type { Block } from "../build.ts";
import type { Client, Exchange, Refusal } from "../exchange.ts";
import { sslDirectives } from "./rows.ts";
import type { SecureSession } from "./session.ts";

/** What stands in a request's place while there is none. */
export const nothingAsked = new CheckedRequest("", "", 11, new Headers());

/** A client that can become a secure one. */
export type ClientInHandshake = Client & { secure: SecureSession | undefined };

const missedTls: Refusal = { status: 497, why: "client sent plain HTTP request to HTTPS port" };
const otherName: Refusal = {
  status: 421,
  why: "client attempted to request the server name different from the one that was negotiated",
};

/** For a request at an address that speaks TLS; undefined: it may be answered. */
export function refusalOf({ client: { missedTls: isPlain, secure }, request, server }: Exchange): Refusal | undefined {
  if (isPlain === true) return missedTls;
  if (secure === undefined) return undefined;
  // RFC 9110 15.5.20: who has shown a certificate to one server must not get at another with it.
  const isOther = secure.acceptedName !== undefined && request.host !== "" && secure.acceptedName !== request.host;
  if (isOther && server.security !== undefined && server.security.verify !== "off") return otherName;
  return secure.refusalBy(server);
}

/** `servers`: those of an address with `listen … ssl`. Throws ConfigError if there is none that could hold a handshake. */
export function checkSecurity(servers: readonly Block[], byDefault: Block): void {
  const lacks = (block: Block): boolean => block.conf(sslDirectives).ssl_certificate.length === 0;
  const rejects = (block: Block): boolean => block.conf(sslDirectives).ssl_reject_handshake;
  if (!lacks(byDefault)) return;
  const guilty = rejects(byDefault) ? servers.find((block) => lacks(block) && !rejects(block)) : byDefault;
  if (guilty !== undefined)
    throw new ConfigError('no "ssl_certificate" is defined for the "listen ... ssl" directive', guilty.at);
}
