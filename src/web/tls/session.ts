/** A client's TLS connection, as far as requests want to know it. Facts that cost something are asked for once. */
import { type CertificateFacts, certificateFacts, type VerifyFailure, verifyFailure } from "../../net/certificate.ts";
import type { ClientHello } from "../../net/client_hello.ts";
import type { SecureTransport } from "../../net/secure.ts";
import { groupName, isGrease } from "../../net/tls_names.ts";
import type { Server } from "../pipeline.ts";

/** What was agreed on before the handshake. */
export interface SessionTerms {
  readonly hello: ClientHello | undefined;
  /** The server that was found for the name that the client asked for, or the address's own. */
  readonly server: Server;
  /** That name, in lower case, if it is one of a server here. */
  readonly acceptedName: string | undefined;
  /** The server whose handshake it is: that one, or the address's own where that one has no certificate. */
  readonly securedBy: Server;
}

/** The library's own groups, in its order: X25519MLKEM768, X25519, P-256, P-384. */
const usualGroups = [4588, 29, 23, 24];
const hybrid = new Set([4587, 4588, 4589]);

/** Of what `ssl_verify_client optional_no_ca` lets pass. */
const optionalFailures = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_UNTRUSTED",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

export class SecureSession {
  readonly hello: ClientHello | undefined;
  readonly server: Server;
  readonly acceptedName: string | undefined;
  readonly #securedBy: Server;
  #transport: SecureTransport | undefined;
  #chain: readonly Uint8Array[] | undefined;
  #peer: CertificateFacts | undefined;
  #version: string | undefined;
  #cipher: string | undefined;

  constructor({ hello, server, acceptedName, securedBy }: SessionTerms) {
    this.hello = hello;
    this.server = server;
    this.acceptedName = acceptedName;
    this.#securedBy = securedBy;
  }

  /** The handshake is done. */
  begin(transport: SecureTransport): void {
    this.#transport = transport;
  }

  get version(): string | undefined {
    this.#version ??= this.#transport?.version;
    return this.#version;
  }

  get cipher(): string | undefined {
    this.#cipher ??= this.#transport?.cipher;
    return this.#cipher;
  }

  get isResumed(): boolean {
    return this.#transport?.isResumed === true;
  }

  get protocol(): string {
    return this.#transport?.protocol ?? "";
  }

  /** Hexadecimal; "": it has none. */
  get sessionId(): string {
    const written = this.#transport?.session;
    return written === undefined ? "" : Buffer.from(sessionIdIn(written)).toString("hex");
  }

  /** The group of the key exchange; undefined: there was none, or an earlier connection's counts. */
  get group(): string | undefined {
    const { version, cipher = "", hello } = this;
    if (hello === undefined || version === undefined || !/^(TLS_|ECDHE)/.test(cipher)) return undefined;
    const { security } = this.#securedBy;
    const own = security?.groups ?? usualGroups;
    const theirs = hello.groups.filter((code) => version === "TLSv1.3" || !hybrid.has(code));
    const [wanted, offered] = security?.ownOrder === true ? [own, theirs] : [theirs, own];
    const found = wanted.find((code) => !isGrease(code) && offered.includes(code));
    return found === undefined ? undefined : groupName(found);
  }

  get #certificates(): readonly Uint8Array[] {
    this.#chain ??= this.#transport?.peerChain ?? [];
    return this.#chain;
  }

  /** The client's certificate; undefined: it has shown none. */
  get peer(): CertificateFacts | undefined {
    const [der] = this.#certificates;
    if (der !== undefined) this.#peer ??= certificateFacts(der);
    return this.#peer;
  }

  /** What is wrong with it; undefined: nothing, or there is none. */
  get failure(): VerifyFailure | undefined {
    const { length } = this.#certificates;
    if (length === 0) return undefined;
    const found = this.#transport?.verifyError;
    if (found !== undefined) return verifyFailure(found);
    // Those between the client's own and the trusted one.
    return length - 2 > (this.#securedBy.security?.verifyDepth ?? 1) ? verifyFailure("CERT_CHAIN_TOO_LONG") : undefined;
  }

  /** May the client have this server's requests answered? Its status and the reason for the log, if not. */
  refusalBy({ security }: Server): { readonly status: number; readonly why: string } | undefined {
    if (security === undefined || security.verify === "off") return undefined;
    const { failure } = this;
    if (failure !== undefined && (security.verify !== "optional_no_ca" || !optionalFailures.has(failure.name)))
      return { status: 495, why: `client SSL certificate verify error: (${failure.code}:${failure.text})` };
    if (security.verify === "on" && this.#certificates.length === 0)
      return { status: 496, why: "client sent no required SSL certificate" };
    return undefined;
  }
}

/** The fourth of the elements that a session is written down in (i2d_SSL_SESSION). */
function sessionIdIn(der: Uint8Array): Uint8Array {
  let at = (der[1] ?? 0) > 127 ? 2 + ((der[1] ?? 0) & 127) : 2;
  for (let skipped = 0; skipped < 3; skipped++) at += 2 + (der[at + 1] ?? 0);
  return der.subarray(at + 2, at + 2 + (der[at + 1] ?? 0));
}
