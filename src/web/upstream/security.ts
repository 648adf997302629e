/** How handshakes with upstreams are held: what a location's directives say, made ready once. */
import { ConfigError } from "../../config/statement.ts";
import type { ConnectOptions, PeerAddress } from "../../net/connect.ts";
import { type ContextTerms, makeContext, type SecureContext } from "../../net/secure_context.ts";
import type { Exchange } from "../exchange.ts";
import type { Setup } from "../setup.ts";
import {
  CertificateError,
  configuredSource,
  loadAuthorities,
  loadPair,
  loadRevocations,
  type PairPaths,
  type ReadSource,
} from "../tls/certificates.ts";
import { type ContextChanges, confChanges } from "../tls/conf_command.ts";
import { RememberedFiles } from "../tls/remembered_files.ts";
import { certificatePath } from "../tls/rows.ts";
import { knownCiphers } from "../tls/server_security.ts";
import type { Dialer } from "./conversation.ts";
import { SecureDialer, type SecureRules } from "./secure_dialer.ts";
import type { UpstreamTlsConf } from "./tls_rows.ts";

/** How connections of a request are made. */
export interface SecureWay {
  /** Tells them from others. */
  readonly key: string;
  dial(address: PeerAddress, options: ConnectOptions): Dialer;
}

const noProtocols: readonly string[] = [];

/** Certificates with variables in their names: so many contexts are kept. */
const mostContexts = 1000;

export class UpstreamSecurity {
  readonly #conf: UpstreamTlsConf;
  readonly #terms: ContextTerms;
  readonly #contexts = new Map<string, SecureContext>();
  readonly #files: RememberedFiles;
  readonly #pathOf: (text: string) => string;
  /** `ssl_conf_command Certificate` and `PrivateKey`: they have the last word. */
  readonly #commanded: Pick<ContextChanges, "certificate" | "privateKey">;
  readonly #read: ReadSource;

  /** `prefix`: of the module's directives. Throws ConfigError. */
  constructor(prefix: string, conf: UpstreamTlsConf, setup: Setup) {
    this.#conf = conf;
    this.#read = configuredSource(setup.configuration);
    this.#files = new RememberedFiles(conf.ssl_certificate_cache);
    this.#pathOf = (text) => certificatePath(text, setup);
    if (conf.ssl_verify && conf.ssl_trusted_certificate === undefined)
      throw new ConfigError(`no ${prefix}_ssl_trusted_certificate for ${prefix}_ssl_verify`, undefined);
    const { ssl_certificate: certificate, ssl_certificate_key: key } = conf;
    if (certificate !== undefined && certificate.text !== "" && key === undefined)
      throw new ConfigError(
        `no "${prefix}_ssl_certificate_key" is defined for certificate "${certificate.text}"`,
        undefined,
      );
    try {
      const changes = confChanges(conf.ssl_conf_command, conf.ssl_protocols);
      this.#commanded = changes;
      this.#terms = termsOf(conf, changes, this.#read);
      const [shown, itsKey] = [changes.certificate ?? certificate?.constant, changes.privateKey ?? key?.constant];
      if (shown !== undefined && itsKey !== undefined) this.#contextOf(shown, itsKey);
      else if (certificate === undefined) this.#contextOf("", "");
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError((error as Error).message, undefined);
    }
  }

  /** `host`: of the URL, perhaps with a port. `protocols`: that are offered (ALPN). Throws CertificateError. */
  way(exchange: Exchange, host: string, protocols: readonly string[] = noProtocols): SecureWay {
    const conf = this.#conf;
    const name = withoutPort(conf.ssl_name?.value(exchange) ?? host);
    const { certificate: commanded, privateKey } = this.#commanded;
    const certificate = commanded ?? conf.ssl_certificate?.value(exchange) ?? "";
    const key = certificate === "" ? "" : (privateKey ?? conf.ssl_certificate_key?.value(exchange) ?? "");
    const context = this.#contextOf(certificate, key);
    const rules: SecureRules = {
      context,
      serverName: conf.ssl_server_name && mayBeAskedFor(name) ? name : "",
      verifies: conf.ssl_verify ? { name, depth: conf.ssl_verify_depth } : undefined,
      reusesSessions: conf.ssl_session_reuse,
      protocols,
    };
    const checked = conf.ssl_verify ? `${name}/${conf.ssl_verify_depth}` : "";
    return {
      key: `tls${numberOf(context)} ${rules.serverName} ${checked}`,
      dial: (address, options) => new SecureDialer(address, options, rules),
    };
  }

  #contextOf(certificate: string, key: string): SecureContext {
    const paths = certificate === "" ? undefined : { certificate: this.#pathOf(certificate), key: this.#pathOf(key) };
    const pair = paths === undefined ? undefined : this.#load(paths);
    const name = pair === undefined ? "" : pair.chain + pair.key;
    const before = this.#contexts.get(name);
    if (before !== undefined) return before;
    const made = sharedContext({ ...this.#terms, certificate: pair });
    if (this.#contexts.size >= mostContexts) this.#contexts.clear();
    this.#contexts.set(name, made);
    return made;
  }

  #load(paths: PairPaths) {
    const passwords = this.#conf.ssl_password_file ?? [];
    // A file that the configuration names is read once.
    const { certificate, privateKey } = this.#commanded;
    const { ssl_certificate, ssl_certificate_key } = this.#conf;
    const isFixed =
      (certificate ?? ssl_certificate?.constant) !== undefined &&
      (privateKey ?? ssl_certificate_key?.constant) !== undefined;
    if (!isFixed) return this.#files.load(paths, passwords);
    this.#fixed ??= loadPair(paths, passwords, this.#read);
    return this.#fixed;
  }

  #fixed: ReturnType<typeof loadPair> | undefined;
}

function termsOf(conf: UpstreamTlsConf, changes: ContextChanges, read: ReadSource): ContextTerms {
  const { ssl_trusted_certificate: trusted, ssl_crl: revoked } = conf;
  return {
    versions: changes.versions ?? conf.ssl_protocols,
    ciphers: knownCiphers(changes.ciphers ?? conf.ssl_ciphers),
    curves: changes.curves,
    signatureAlgorithms: changes.signatureAlgorithms,
    ownOrder: false,
    tickets: true,
    sessionTimeoutS: 0,
    trusted: conf.ssl_verify && trusted !== undefined ? [loadAuthorities(trusted, read)] : [],
    revoked: conf.ssl_verify && revoked !== undefined ? loadRevocations(revoked, read) : [],
    trustsIntermediates: false,
  };
}

const contexts = new Map<string, SecureContext>();

/** Locations with the same terms share their connections and sessions. */
function sharedContext(terms: ContextTerms): SecureContext {
  const name = JSON.stringify(terms);
  const before = contexts.get(name);
  if (before !== undefined) return before;
  try {
    const made = makeContext(terms);
    if (contexts.size >= mostContexts) contexts.clear();
    contexts.set(name, made);
    return made;
  } catch (error) {
    throw new CertificateError(`SSL_CTX_new() failed (SSL: ${(error as Error).message})`);
  }
}

const numbers = new WeakMap<SecureContext, number>();
let lastNumber = 0;

function numberOf(context: SecureContext): number {
  const known = numbers.get(context) ?? ++lastNumber;
  numbers.set(context, known);
  return known;
}

/** "[::1]:443" and "host:443" */
const withoutPort = (name: string): string =>
  name.startsWith("[") ? name.replace(/\]:.*$/, "]") : name.replace(/:.*$/, "");

/** RFC 6066 3: no addresses. */
const mayBeAskedFor = (name: string): boolean => name !== "" && !name.startsWith("[") && !/^\d+(\.\d+){3}$/.test(name);
