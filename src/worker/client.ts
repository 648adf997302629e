/** What a connection tells the requests on it about its two ends. */
import type { Transport } from "../net/transport.ts";
import type { Client, ProxyHeader } from "../web/exchange.ts";
import type { SecureSession } from "../web/tls/session.ts";
import type { LocalEnd } from "./plan.ts";

let connections = 0;

/** The peer's address costs a system call, and files are served without it: asked for when somebody wants to know. */
export class ConnectionClient implements Client {
  #transport: Transport;
  readonly #local: LocalEnd;
  readonly number = ++connections;
  requests = 0;
  readonly acceptedAt: number;
  scheme: "http" | "https" = "http";
  secure: SecureSession | undefined = undefined;
  missedTls = false;
  readonly proxy: ProxyHeader | undefined;
  environ: Uint8Array | undefined = undefined;
  #peerAddress: string | undefined = undefined;
  #localAddress: string | undefined = undefined;

  constructor(transport: Transport, local: LocalEnd, acceptedAt: number, proxy: ProxyHeader | undefined) {
    this.#transport = transport;
    this.#local = local;
    this.acceptedAt = acceptedAt;
    this.proxy = proxy;
  }

  /** The handshake is done: the connection goes on over another transport. */
  becameSecure(transport: Transport, session: SecureSession): void {
    this.#transport = transport;
    this.secure = session;
    this.scheme = "https";
  }

  /** It should have begun with a handshake. */
  spokePlain(): void {
    this.missedTls = true;
  }

  get peerAddress(): string {
    this.#peerAddress ??= this.#transport.peerAddress;
    return this.#peerAddress;
  }

  get fd(): number | undefined {
    return this.#transport.fd;
  }

  get peerPort(): number {
    return this.#transport.peerPort;
  }

  /** A socket that listens on all addresses: the one that the peer has chosen. */
  get localAddress(): string {
    const { address } = this.#local;
    this.#localAddress ??= address === "0.0.0.0" || address === "::" ? this.#transport.localAddress : address;
    return this.#localAddress;
  }

  get localPort(): string {
    return this.#local.port;
  }
}
