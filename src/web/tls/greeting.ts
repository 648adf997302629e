/** From a client's hello to the server that answers it, and to how. */
import type { ClientHello } from "../../net/client_hello.ts";
import { alert, type ServerTerms } from "../../net/secure.ts";
import type { Exchange } from "../exchange.ts";
import type { Server } from "../pipeline.ts";
import { CertificateError } from "./certificates.ts";
import { SecureSession } from "./session.ts";

/** The servers behind an address. */
export interface Servers {
  readonly defaultServer: Server;
  /** `host`: lower case, without port. */
  named(host: string): Server | undefined;
  speaksHttp2(server: Server): boolean;
}

export type Greeting =
  | { readonly kind: "agreed"; readonly session: SecureSession; readonly terms: ServerTerms }
  /** `alert`: its number. `why`: for the log. */
  | {
      readonly kind: "refused";
      readonly server: Server;
      readonly alert: number;
      readonly level: "info" | "error" | "crit";
      readonly why: string;
    };

/** What Nginx has as well, newest first. */
const httpProtocols = ["http/1.1", "http/1.0", "http/0.9"];

const failed = "SSL_do_handshake() failed (SSL: error:";

/**
 * `hello`: undefined if it cannot be read; the library will say what is wrong. `exchange`: what variables of certificates'
 * names are asked with; it gets the session so far.
 */
export function greet(
  servers: Servers,
  hello: ClientHello | undefined,
  exchange: (session: SecureSession) => Exchange,
): Greeting {
  const name = hostOf(hello?.serverName);
  const named = name === undefined ? undefined : servers.named(name);
  const server = named ?? servers.defaultServer;
  const refused = (number: number, why: string, level: "info" | "error" | "crit" = "info"): Greeting => ({
    kind: "refused",
    server,
    alert: number,
    level,
    why,
  });
  if (server.security?.rejectsHandshake === true)
    return refused(alert.unrecognizedName, `${failed}0A0000EA:SSL routines::callback failed)`);
  const securedBy = server.security?.hasCertificate === true ? server : servers.defaultServer;
  const { security } = securedBy;
  if (security === undefined || !security.hasCertificate)
    return refused(alert.handshakeFailure, `${failed}0A000076:SSL routines::no suitable signature algorithm)`);
  const protocol = protocolFor(hello, servers.speaksHttp2(server));
  if (protocol === null)
    return refused(alert.noApplicationProtocol, `${failed}0A0000EB:SSL routines::no application protocol)`);
  const session = new SecureSession({ hello, server, acceptedName: named === undefined ? undefined : name, securedBy });
  try {
    const context = security.contextFor(hello, () => exchange(session));
    const { verify, recordBytes } = security;
    return { kind: "agreed", session, terms: { context, protocol, asksForCertificate: verify !== "off", recordBytes } };
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return refused(alert.internalError, error.message, "error");
  }
}

/** undefined: the client does not care. null: it speaks none of ours. */
function protocolFor(hello: ClientHello | undefined, withHttp2: boolean): string | undefined | null {
  const offered = hello?.protocols;
  if (offered === undefined) return undefined;
  if (withHttp2 && offered.includes("h2")) return "h2";
  return httpProtocols.find((each) => offered.includes(each)) ?? null;
}

/** As of a Host field (RFC 9110 7.2): in lower case, without a dot at the end. undefined: it is no name. */
function hostOf(serverName: string | undefined): string | undefined {
  const name = serverName?.toLowerCase().replace(/\.$/, "");
  return name === undefined || name === "" || /[^a-z0-9_.-]/.test(name) ? undefined : name;
}
