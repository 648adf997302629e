/**
 * A connection of a listener that speaks TLS, until the handshake is done: the client's first message decides which server's
 * certificate it gets. Whoever speaks plain HTTP here is told so.
 */
import { type ClientHello, readClientHello } from "../net/client_hello.ts";
import type { PlainTransport } from "../net/plain.ts";
import {
  acceptSecurely,
  type HandshakeFailure,
  refuseHello,
  type SecureHandler,
  type SecureTransport,
} from "../net/secure.ts";
import type { Transport } from "../net/transport.ts";
import type { Server } from "../web/pipeline.ts";
import type { SiteAddress } from "../web/site.ts";
import type { SecureSession } from "../web/tls/session.ts";
import type { ConnectionClient } from "./client.ts";
import { timedOut } from "./failures.ts";
import { Opening } from "./opening.ts";
import type { ServedHandler, Service } from "./service.ts";

/** A connection that comes while the process is leaving has so long to ask, ms. */
const lastRequestMs = 1000;

export class SecurePreface extends Opening implements SecureHandler {
  readonly #transport: PlainTransport;
  readonly #address: SiteAddress;
  readonly #client: ConnectionClient;
  readonly #begin: (transport: Transport) => ServedHandler;
  #bytes: Uint8Array = nothing;
  #server: Server;
  #session: SecureSession | undefined;
  #isRefused = false;

  /** `begin`: what the connection becomes; asked when it is clear over which transport. */
  constructor(
    transport: PlainTransport,
    service: Service,
    to: { readonly address: SiteAddress; readonly client: ConnectionClient },
    begin: (transport: Transport) => ServedHandler,
  ) {
    super(service, to.address.defaultServer.root.limits.headerTimeoutMs);
    this.#transport = transport;
    this.#address = to.address;
    this.#client = to.client;
    this.#begin = begin;
    this.#server = to.address.defaultServer;
    service.connections.add(this);
  }

  /** Nothing has come yet. */
  get idle(): boolean {
    return this.#bytes.length === 0 && this.#session === undefined && !this.#isRefused;
  }

  retire(): void {
    if (this.idle) this.#transport.end();
  }

  protected heard(bytes: Uint8Array): void {
    if (this.#isRefused) return;
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const first = readClientHello(this.#bytes);
    if (first === "more") return;
    if (first === "other") {
      this.#client.spokePlain();
      this.#become(this.#transport).onBytes(this.#bytes);
    } else this.#answer(first === "broken" ? undefined : first);
  }

  #answer(hello: ClientHello | undefined): void {
    const greeting = this.#address.greet(hello, this.#client);
    if (greeting.kind === "refused") {
      this.#server = greeting.server;
      this.#isRefused = true;
      this.#log(greeting.level, greeting.why);
      refuseHello(this.#transport, greeting.alert);
      return;
    }
    this.#session = greeting.session;
    this.#server = greeting.session.server;
    // The plain socket has an address no longer when the handshake has failed.
    void this.#client.peerAddress;
    const bytes = this.#bytes;
    this.#bytes = nothing;
    acceptSecurely(this.#transport, bytes, greeting.terms, this);
  }

  onSecure(transport: SecureTransport): void {
    const session = this.#session;
    if (session === undefined) return;
    session.begin(transport);
    this.#client.becameSecure(transport, session);
    transport.handler = this.#become(transport);
  }

  #become(transport: Transport): ServedHandler {
    return this.handOver(() => this.#begin(transport), lastRequestMs);
  }

  onHandshakeFailure({ kind, detail }: HandshakeFailure): void {
    if (kind === "broken") this.#log("info", `SSL_do_handshake() failed (SSL: ${detail})`);
    else if (kind === "closed") this.#log("info", "peer closed connection in SSL handshake");
    else this.#log("info", "peer closed connection in SSL handshake (104: Connection reset by peer)");
    this.#isRefused = true;
  }

  #log(level: "info" | "error" | "crit", message: string): void {
    const { errorLog } = this.#server.root;
    const { number, peerAddress, localAddress, localPort } = this.#client;
    const peer = peerAddress === "" ? "unix:" : peerAddress;
    const here = localPort === "" ? `unix:${localAddress}` : `${localAddress}:${localPort}`;
    if (errorLog.wants(level))
      errorLog.log(level, `*${number} ${message} while SSL handshaking, client: ${peer}, server: ${here}`);
  }

  protected ended(): void {
    if (this.#session !== undefined) return;
    if (!this.#isRefused) this.#log("info", "client closed connection");
    this.#transport.end();
  }

  onTimeout(): void {
    this.#log("info", timedOut("SSL handshaking").replace(/ while SSL handshaking$/, ""));
    this.#isRefused = true;
    // After the upgrade the socket is the same one still.
    this.#transport.abort();
  }
}

const nothing = new Uint8Array(0);
