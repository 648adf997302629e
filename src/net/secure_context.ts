/** What a handshake is held with: certificates, versions, ciphers, whom to trust. Made once, used by many connections. */
import type { SecureContextOptions } from "node:tls";

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** From old to new. */
export const tlsVersions: readonly TlsVersion[] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

export interface ContextTerms {
  /** PEM: a certificate with those that lead from it to a trusted one, and its key, without a pass phrase. */
  readonly certificate?: { readonly chain: string; readonly key: string } | undefined;
  readonly versions: readonly TlsVersion[];
  /** OpenSSL's notation, for TLS 1.2 and before. */
  readonly ciphers?: string | undefined;
  /** Names of groups with colons between them; "auto": the library's. */
  readonly curves?: string | undefined;
  readonly signatureAlgorithms?: string | undefined;
  /** Our order of ciphers and groups counts, not the peer's. */
  readonly ownOrder: boolean;
  /** A peer may go on with its session over another connection (RFC 8446 2.2, RFC 5077). */
  readonly tickets: boolean;
  /** How long a session may be gone on with, s; 0: as long as the library thinks. */
  readonly sessionTimeoutS: number;
  /** PEM: whose certificates are trusted; empty: nobody's. */
  readonly trusted: readonly string[];
  /** PEM: lists of certificates that are not, though issued by these. */
  readonly revoked: readonly string[];
  /** One of `trusted` is believed even if it has an issuer itself. */
  readonly trustsIntermediates: boolean;
}

declare const isNative: unique symbol;

/** Made by `makeContext` alone. */
export interface SecureContext {
  /** The library's own object. */
  readonly native: { readonly [isNative]: true };
}

/** Bits of the library's options. */
const noTicket = 0x4000;
const noVersion: Readonly<Record<TlsVersion, number>> = {
  TLSv1: 0x0400_0000,
  "TLSv1.1": 0x1000_0000,
  "TLSv1.2": 0x0800_0000,
  "TLSv1.3": 0x2000_0000,
};

/** Throws Error in the library's words: "error:100000b1:SSL routines:OPENSSL_internal:NO_CIPHER_MATCH". */
export function makeContext(terms: ContextTerms): SecureContext {
  const { certificate, versions, ciphers, curves, signatureAlgorithms, trusted, revoked } = terms;
  const known = tlsVersions.filter((each) => versions.includes(each));
  const [oldest = "TLSv1.2"] = known;
  const newest = known.at(-1) ?? "TLSv1.3";
  let bits = terms.tickets ? 0 : noTicket;
  // A gap between the oldest and the newest.
  for (const each of tlsVersions) if (!known.includes(each) && each > oldest && each < newest) bits |= noVersion[each];
  const options: SecureContextOptions = {
    minVersion: oldest,
    maxVersion: newest,
    secureOptions: bits,
    honorCipherOrder: terms.ownOrder,
    sessionTimeout: terms.sessionTimeoutS,
    // Without any the library would trust all the authorities of the web.
    ca: [...trusted],
    allowPartialTrustChain: terms.trustsIntermediates,
    ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(curves === undefined ? {} : { ecdhCurve: curves }),
    ...(signatureAlgorithms === undefined ? {} : { sigalgs: signatureAlgorithms }),
    ...(revoked.length === 0 ? {} : { crl: [...revoked] }),
  };
  const { context } = tls().createSecureContext(options) as unknown as { context: SecureContext["native"] };
  return { native: context };
}

/** Loaded when somebody needs it: most processes do not, and it takes 8 ms and as many megabytes. */
const tls = () => process.getBuiltinModule("node:tls");
