/** How a server holds handshakes: what its directives say, made ready once. */
import { ConfigError } from "../../config/statement.ts";
import type { ClientHello } from "../../net/client_hello.ts";
import { type ContextTerms, makeContext, type SecureContext } from "../../net/secure_context.ts";
import { groupCode } from "../../net/tls_names.ts";
import type { Block } from "../build.ts";
import type { Conf } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Setup } from "../setup.ts";
import {
  CertificateError,
  configuredSource,
  loadAuthorities,
  loadPair,
  loadRevocations,
  type Pair,
  type PairPaths,
} from "./certificates.ts";
import { choosePair } from "./choice.ts";
import { type ContextChanges, confChanges } from "./conf_command.ts";
import { RememberedFiles } from "./remembered_files.ts";
import { certificatePath, type sslDirectives } from "./rows.ts";

type SslConf = Conf<typeof sslDirectives>;

export interface ServerSecurity {
  readonly verify: "off" | "on" | "optional" | "optional_no_ca";
  readonly verifyDepth: number;
  readonly rejectsHandshake: boolean;
  readonly hasCertificate: boolean;
  readonly recordBytes: number;
  /** Our groups for the key exchange, in our order, as numbers; undefined: the library's. */
  readonly groups: readonly number[] | undefined;
  readonly ownOrder: boolean;
  /** With the certificate that this client can check best. `exchange`: what variables are asked with. Throws CertificateError. */
  contextFor(hello: ClientHello | undefined, exchange: () => Exchange): SecureContext;
}

const slot = "how it holds handshakes";

/** For all servers of a configuration. Throws ConfigError. */
export function prepareSecurity(servers: readonly Block[], directives: typeof sslDirectives, setup: Setup): void {
  for (const block of servers) {
    try {
      block.set(slot, compileSecurity(block, block.conf(directives), setup));
    } catch (error) {
      if (error instanceof CertificateError) throw new ConfigError(error.message, undefined);
      throw error;
    }
  }
}

/** A server's, when it has been prepared. */
export const securityOf = (block: Block): ServerSecurity | undefined => block.own(slot) as ServerSecurity | undefined;

/** Contexts of certificates with variables in their names that are kept. */
const mostContexts = 1000;

/** undefined: the server has nothing to do with TLS. Throws ConfigError, or CertificateError for a file. */
function compileSecurity(block: Block, conf: SslConf, setup: Setup): ServerSecurity | undefined {
  const { ssl_certificate: certificates, ssl_certificate_key: keys } = conf;
  if (certificates.length > keys.length)
    throw new ConfigError(
      `no "ssl_certificate_key" is defined for certificate "${certificates.at(-1)?.text}"`,
      undefined,
    );
  if (certificates.length === 0 && !conf.ssl_reject_handshake && conf.ssl_verify_client === "off") return undefined;
  if (certificates.length > 0 || conf.ssl_reject_handshake) checkVerification(conf);
  const changes = confChanges(conf.ssl_conf_command, conf.ssl_protocols);
  const terms = contextTerms(block, conf, changes, setup);
  const contextFor = certificates.length === 0 ? withoutCertificate(terms) : contexts(conf, terms, changes, setup);
  return {
    verify: conf.ssl_verify_client,
    verifyDepth: conf.ssl_verify_depth,
    rejectsHandshake: conf.ssl_reject_handshake,
    hasCertificate: certificates.length > 0,
    recordBytes: Math.min(Math.max(conf.ssl_buffer_size, 512), 16_384),
    groups: terms.curves === undefined ? undefined : terms.curves.split(":").flatMap((name) => groupCode(name) ?? []),
    ownOrder: terms.ownOrder,
    contextFor,
  };
}

function checkVerification({
  ssl_verify_client: verify,
  ssl_client_certificate: told,
  ssl_trusted_certificate: untold,
}: SslConf): void {
  if ((verify === "on" || verify === "optional") && told === undefined && untold === undefined)
    throw new ConfigError("no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client", undefined);
}

function contextTerms(block: Block, conf: SslConf, changes: ContextChanges, setup: Setup): ContextTerms {
  const authorities = [conf.ssl_client_certificate, conf.ssl_trusted_certificate].filter((path) => path !== undefined);
  const { ssl_crl: revoked } = conf;
  const read = configuredSource(setup.configuration);
  const terms: ContextTerms = {
    versions: changes.versions ?? conf.ssl_protocols,
    ciphers: knownCiphers(changes.ciphers ?? conf.ssl_ciphers),
    curves: knownCurves(changes.curves ?? conf.ssl_ecdh_curve, block, setup),
    signatureAlgorithms: changes.signatureAlgorithms,
    ownOrder: changes.ownOrder ?? conf.ssl_prefer_server_ciphers,
    tickets: changes.tickets ?? conf.ssl_session_tickets,
    sessionTimeoutS: conf.ssl_session_timeout,
    trusted: authorities.map((path) => loadAuthorities(path, read)),
    revoked: revoked === undefined ? [] : loadRevocations(revoked, read),
    trustsIntermediates: false,
  };
  checkTerms(terms);
  return terms;
}

/** Says which of them the library does not take. */
function checkTerms(terms: ContextTerms): void {
  const blank = {
    ...terms,
    ciphers: undefined,
    curves: undefined,
    signatureAlgorithms: undefined,
    trusted: [],
    revoked: [],
  };
  const attempt = (what: Partial<ContextTerms>, call: string): void => {
    try {
      makeContext({ ...blank, ...what });
    } catch (error) {
      throw new ConfigError(`${call} failed (SSL: ${(error as Error).message})`, undefined);
    }
  };
  attempt({ ciphers: terms.ciphers }, `SSL_CTX_set_cipher_list("${terms.ciphers}")`);
  attempt({ curves: terms.curves }, `SSL_CTX_set1_curves_list("${terms.curves}")`);
  attempt(
    { signatureAlgorithms: terms.signatureAlgorithms },
    `SSL_CONF_cmd("SignatureAlgorithms", "${terms.signatureAlgorithms}")`,
  );
  attempt({ trusted: terms.trusted, revoked: terms.revoked }, "SSL_CTX_load_verify_locations()");
}

/** The library has no levels of security. */
export const knownCiphers = (given: string): string =>
  given.replace(/:?@SECLEVEL=\d/g, "").replace(/^:/, "") || "DEFAULT";

/** Of all groups that OpenSSL knows, the library has these. */
const runtimeGroups = new Set([23, 24, 25, 29, 4588]);

function knownCurves(given: string, block: Block, setup: Setup): string | undefined {
  if (given === "auto") return undefined;
  const names = given.split(":").map((name) => name.replace(/^[?*]+/, ""));
  const missing = names.filter((name) => {
    const code = groupCode(name);
    return code !== undefined && !runtimeGroups.has(code);
  });
  const left = names.filter((name) => !missing.includes(name));
  // What remains may be wrong: the library says so.
  if (missing.length === 0 || left.length === 0) return names.join(":");
  setup.warn(`"ssl_ecdh_curve ${missing.join(":")}" is ignored: the runtime does not have it`, block.at);
  return left.join(":");
}

function withoutCertificate(terms: ContextTerms): ServerSecurity["contextFor"] {
  const context = makeContext(terms);
  return () => context;
}

function contexts(
  conf: SslConf,
  terms: ContextTerms,
  changes: ContextChanges,
  setup: Setup,
): ServerSecurity["contextFor"] {
  const passwords = conf.ssl_password_file ?? [];
  const templates = conf.ssl_certificate.map((certificate, i) => ({ certificate, key: conf.ssl_certificate_key[i]! }));
  const read = configuredSource(setup.configuration);
  const pathOf = (text: string) => certificatePath(text, setup);
  if (templates.every(({ certificate, key }) => certificate.constant !== undefined && key.constant !== undefined)) {
    const paths = templates.map(({ certificate, key }) => ({
      certificate: pathOf(certificate.constant ?? ""),
      key: pathOf(key.constant ?? ""),
    }));
    const instead = overridden(changes, pathOf, paths[0]);
    const pairs = (instead === undefined ? paths : [instead]).map((each) => loadPair(each, passwords, read));
    const all = pairs.map((pair) => ({ kind: pair.kind, context: contextOf(pair, terms) }));
    const [first] = all;
    if (first === undefined) throw new Error("a server without certificates");
    return (hello) => (all.length === 1 ? first : choosePair(all, hello, terms.versions)).context;
  }
  const files = new RememberedFiles(conf.ssl_certificate_cache);
  const known = new Map<string, SecureContext>();
  return (hello, exchange) => {
    const asking = exchange();
    const paths = templates.map(({ certificate, key }) => ({
      certificate: pathOf(certificate.value(asking)),
      key: pathOf(key.value(asking)),
    }));
    const chosen = choosePair(
      paths.map((each) => files.load(each, passwords)),
      hello,
      terms.versions,
    );
    const name = chosen.chain + chosen.key;
    const before = known.get(name);
    if (before !== undefined) return before;
    const made = contextOf(chosen, terms);
    if (known.size >= mostContexts) known.clear();
    known.set(name, made);
    return made;
  };
}

function overridden(
  { certificate, privateKey }: ContextChanges,
  pathOf: (text: string) => string,
  first: PairPaths | undefined,
): PairPaths | undefined {
  if (certificate === undefined && privateKey === undefined) return undefined;
  return {
    certificate: certificate === undefined ? (first?.certificate ?? "") : pathOf(certificate),
    key: privateKey === undefined ? (first?.key ?? "") : pathOf(privateKey),
  };
}

const shared = new Map<string, SecureContext>();

/** Servers with the same certificate and the same terms share the context: clients can come again at another of them. */
function contextOf(pair: Pair, terms: ContextTerms): SecureContext {
  const name = JSON.stringify([terms, pair]);
  const before = shared.get(name);
  if (before !== undefined) return before;
  try {
    const made = makeContext({ ...terms, certificate: pair });
    if (shared.size >= mostContexts) shared.clear();
    shared.set(name, made);
    return made;
  } catch (error) {
    throw new CertificateError(`SSL_CTX_use_certificate() failed (SSL: ${(error as Error).message})`);
  }
}
