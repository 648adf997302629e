/** Connections to upstreams through TLS: a plain one, then the handshake, then the look at the certificate. */

import type { X509Certificate } from "node:crypto";
import { constants } from "node:os";
import { formatAddress } from "../../base/address.ts";
import { verifyFailure } from "../../net/certificate.ts";
import {
  type ConnectFailure,
  type ConnectHandler,
  type Connecting,
  type ConnectOptions,
  connectTo,
  type PeerAddress,
} from "../../net/connect.ts";
import type { PlainTransport } from "../../net/plain.ts";
import { type HandshakeFailure, type SecureHandler, type SecureTransport, startTls } from "../../net/secure.ts";
import type { SecureContext } from "../../net/secure_context.ts";
import type { Dialer } from "./conversation.ts";

export interface SecureRules {
  readonly context: SecureContext;
  /** "": none is asked for. */
  readonly serverName: string;
  /** What a certificate has to be good for; undefined: any will do. */
  readonly verifies: { readonly name: string; readonly depth: number } | undefined;
  readonly reusesSessions: boolean;
  /** Application protocols that are offered (ALPN). */
  readonly protocols: readonly string[];
}

export class SecureDialer implements Dialer {
  readonly address: PeerAddress;
  readonly bind?: NonNullable<Dialer["bind"]>;
  readonly #options: ConnectOptions;
  readonly #rules: SecureRules;

  constructor(address: PeerAddress, options: ConnectOptions, rules: SecureRules) {
    this.address = address;
    if (options.bind !== undefined) this.bind = options.bind;
    this.#options = options;
    this.#rules = rules;
  }

  connect(handler: ConnectHandler): Connecting {
    return new SecureDial(handler, this.address, this.#options, this.#rules);
  }
}

/** Sessions of earlier connections, by context, then by address and name. */
const sessions = new WeakMap<SecureContext, Map<string, Uint8Array>>();
const mostSessions = 1000;

function remember(context: SecureContext, peer: string, session: Uint8Array): void {
  const known = sessions.get(context) ?? new Map<string, Uint8Array>();
  if (known.size >= mostSessions) known.clear();
  known.set(peer, session);
  sessions.set(context, known);
}

class SecureDial implements Connecting, ConnectHandler<PlainTransport>, SecureHandler {
  /** undefined: it has been told how it went, or has given up. */
  #handler: ConnectHandler | undefined;
  readonly #rules: SecureRules;
  readonly #peer: string;
  readonly #connecting: Connecting;
  #plain: PlainTransport | undefined;

  constructor(handler: ConnectHandler, address: PeerAddress, options: ConnectOptions, rules: SecureRules) {
    this.#handler = handler;
    this.#rules = rules;
    this.#peer = `${formatAddress(address)} ${rules.serverName} ${rules.protocols}`;
    this.#connecting = connectTo(address, this, options);
  }

  abort(): void {
    if (this.#handler === undefined) return;
    this.#handler = undefined;
    this.#connecting.abort();
    this.#plain?.abort();
  }

  onConnect(transport: PlainTransport): void {
    if (this.#handler === undefined) return transport.abort();
    this.#plain = transport;
    const { context, serverName, reusesSessions, protocols } = this.#rules;
    const session = reusesSessions ? sessions.get(context)?.get(this.#peer) : undefined;
    startTls(transport, { context, serverName, session, protocols }, this);
  }

  onConnectError(failure: ConnectFailure): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onConnectError(failure);
  }

  onSecure(transport: SecureTransport): void {
    const handler = this.#handler;
    if (handler === undefined) return transport.abort();
    const wrong = this.#wrongWith(transport);
    if (wrong !== undefined) {
      this.#fail(wrong);
      transport.abort();
      return;
    }
    this.#handler = undefined;
    transport.handler = handler;
    handler.onConnect(transport);
  }

  /** What is wrong with its certificate. */
  #wrongWith(transport: SecureTransport): string | undefined {
    const { verifies } = this.#rules;
    if (verifies === undefined) return undefined;
    const { peerChain, verifyError } = transport;
    const isTooLong = verifyError === undefined && peerChain.length - 2 > verifies.depth;
    const name = isTooLong ? "CERT_CHAIN_TOO_LONG" : verifyError;
    if (name !== undefined) {
      const { code, text } = verifyFailure(name);
      return `upstream SSL certificate verify error: (${code}:${text})`;
    }
    const [certificate] = peerChain;
    if (certificate !== undefined && parse(certificate).checkHost(verifies.name) !== undefined) return undefined;
    return `upstream SSL certificate does not match "${verifies.name}"`;
  }

  onHandshakeFailure({ kind, detail }: HandshakeFailure): void {
    if (kind === "broken") this.#fail(`SSL_do_handshake() failed (SSL: ${detail})`);
    else if (kind === "closed") this.#fail("peer closed connection in SSL handshake");
    else this.#fail("peer closed connection in SSL handshake (104: Connection reset by peer)");
  }

  #fail(text: string): void {
    const { EPROTO } = constants.errno;
    const where = " while SSL handshaking to upstream";
    this.onConnectError({ call: "connect", code: "EPROTO", errno: EPROTO, atOnce: false, text: text + where });
  }

  onSession(session: Uint8Array): void {
    if (this.#rules.reusesSessions) remember(this.#rules.context, this.#peer, session);
  }

  // While the handshake goes on nothing else comes, but its end.

  onBytes(): void {}

  onEnd(): void {}

  onDrain(): void {}

  onClose(): void {
    this.#fail("peer closed connection in SSL handshake");
  }
}

function parse(der: Uint8Array): X509Certificate {
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  return new X509Certificate(der);
}
