/** ngx_http_ssl_module: TLS with clients. What it does is in `../tls/`; here is what configurations and logs can say about it. */
import type { CertificateFacts } from "../../net/certificate.ts";
import { cipherName, groupName, signatureName } from "../../net/tls_names.ts";
import { context } from "../directive.ts";
import { defineModule } from "../module.ts";
import { sslDirectives } from "../tls/rows.ts";
import { prepareSecurity } from "../tls/server_security.ts";
import type { SecureSession } from "../tls/session.ts";
import type { Variable } from "../variables.ts";

const ofSession = (summary: string, get: (session: SecureSession) => string | undefined): Variable => ({
  summary,
  get: ({ client: { secure } }) => (secure === undefined ? undefined : get(secure) || undefined),
});

const ofPeer = (summary: string, get: (peer: CertificateFacts) => string): Variable =>
  ofSession(summary, ({ peer }) => (peer === undefined ? undefined : get(peer)));

const names = (codes: readonly number[] | undefined, nameOf: (code: number) => string): string | undefined =>
  codes?.map(nameOf).join(":");

const dayMs = 86_400_000;

/** Whole days until then; "0" from the last one on. */
function daysLeft({ validTo }: CertificateFacts): string {
  const left = Math.floor((Date.parse(validTo) - Date.now()) / dayMs);
  return String(Math.max(left, 0));
}

function verification({ peer, failure }: SecureSession): string {
  if (peer === undefined) return "NONE";
  return failure === undefined ? "SUCCESS" : `FAILED:${failure.text}`;
}

/** As a field of a request can carry it: further lines begin with a tab. */
const folded = (pem: string): string => pem.trimEnd().replaceAll("\n", "\n\t");

const escaped = (pem: string): string =>
  encodeURIComponent(pem).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

export const sslModule = defineModule({
  name: "ssl",
  directives: sslDirectives,
  variables: {
    ssl_protocol: ofSession("The version of TLS.", ({ version }) => version),
    ssl_cipher: ofSession("The cipher.", ({ cipher }) => cipher),
    ssl_ciphers: ofSession("Ciphers that the client offers; unknown ones as numbers.", ({ hello }) =>
      names(hello?.ciphers, cipherName),
    ),
    ssl_curve: ofSession("The group of the key exchange.", ({ group }) => group),
    ssl_curves: ofSession("Groups that the client offers; unknown ones as numbers.", ({ hello }) =>
      names(hello?.groups, groupName),
    ),
    ssl_sigalg: ofSession("The signature algorithm of the handshake: not known here.", () => undefined),
    ssl_sigalgs: ofSession("Signature algorithms that the client offers, as numbers.", ({ hello }) =>
      names(hello?.signatureAlgorithms, signatureName),
    ),
    ssl_session_id: ofSession("The session's identifier.", ({ sessionId }) => sessionId),
    ssl_session_reused: ofSession('"r" if the client has come again with a session, else ".".', ({ isResumed }) =>
      isResumed ? "r" : ".",
    ),
    ssl_early_data: ofSession('"1" for a request before the end of the handshake: there are none.', () => undefined),
    ssl_server_name: ofSession("The server's name that the client has asked for.", ({ hello }) => hello?.serverName),
    ssl_alpn_protocol: ofSession("The application protocol that was agreed on.", ({ protocol }) => protocol),
    ssl_ech_status: ofSession("How it was with an encrypted hello: there are none.", () => undefined),
    ssl_ech_outer_server_name: ofSession("The name outside of an encrypted hello.", () => undefined),
    ssl_client_cert: ofPeer("The client's certificate as PEM; lines but the first begin with a tab.", ({ pem }) =>
      folded(pem),
    ),
    ssl_client_raw_cert: ofPeer("The client's certificate as PEM.", ({ pem }) => pem),
    ssl_client_escaped_cert: ofPeer("The same with percent escapes.", ({ pem }) => escaped(pem)),
    ssl_client_s_dn: ofPeer("Whose certificate it is (RFC 2253).", ({ subject }) => subject),
    ssl_client_i_dn: ofPeer("Who has issued it (RFC 2253).", ({ issuer }) => issuer),
    ssl_client_s_dn_legacy: ofPeer(
      "Whose certificate it is, in the older form.",
      ({ subjectOneLine }) => subjectOneLine,
    ),
    ssl_client_i_dn_legacy: ofPeer("Who has issued it, in the older form.", ({ issuerOneLine }) => issuerOneLine),
    ssl_client_serial: ofPeer("Its serial number.", ({ serial }) => serial),
    ssl_client_fingerprint: ofPeer("Its SHA-1 fingerprint.", ({ fingerprint }) => fingerprint),
    ssl_client_verify: ofSession('"SUCCESS", "FAILED:reason", or "NONE" without a certificate.', verification),
    ssl_client_v_start: ofPeer("From when on it is valid.", ({ validFrom }) => validFrom),
    ssl_client_v_end: ofPeer("Until when it is valid.", ({ validTo }) => validTo),
    ssl_client_v_remain: ofPeer("For how many days still.", daysLeft),
    ssl_client_sigalg: ofSession(
      "The signature algorithm of the client's certificate: not known here.",
      () => undefined,
    ),
  },
  prepare(http, setup) {
    prepareSecurity(http.childrenOf(context.server), sslDirectives, setup);
  },
});
