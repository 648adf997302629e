/**
 * TLS over connections that are there already: the socket stays, the runtime's TLS library steps in between. What the client has
 * sent so far is handed on to it, so that its first message can be looked at before it is known who answers it.
 *
 * The runtime does not document `initialData`, `isServer` and a context that is made beforehand for `upgradeTLS`, but honours
 * them (1.4.5, `node:tls` itself is built on them); the tests of this file fail where that changes.
 */
import type { Socket, SocketHandler } from "bun";
import { isVerifyError } from "./certificate.ts";
import type { PlainTransport } from "./plain.ts";
import type { SecureContext } from "./secure_context.ts";
import { StreamTransport, streamEvents } from "./stream.ts";
import type { TransportHandler } from "./transport.ts";

/** How we hold a handshake with a client. */
export interface ServerTerms {
  readonly context: SecureContext;
  /** The application protocol (ALPN) that is chosen; undefined: none is spoken of. */
  readonly protocol: string | undefined;
  /** The client is asked for a certificate; whether it has one, and which, is looked at afterwards. */
  readonly asksForCertificate: boolean;
  /** The longest record, bytes: 512 to 16384. */
  readonly recordBytes: number;
}

/** … and with a server. */
export interface ClientTerms {
  readonly context: SecureContext;
  /** The name that is asked for (SNI); "": none. */
  readonly serverName: string;
  /** A session of an earlier connection to the same server. */
  readonly session: Uint8Array | undefined;
  /** Application protocols that are offered. */
  readonly protocols: readonly string[];
}

/** Why there was no handshake. */
export interface HandshakeFailure {
  /** "closed": the peer has left. "reset": with a reset. "broken": the two cannot agree. */
  readonly kind: "closed" | "reset" | "broken";
  /** What the library says: "error:100000f0:SSL routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL". */
  readonly detail: string;
}

/** Who waits for a handshake, and then uses the connection. */
export interface SecureHandler extends TransportHandler {
  onSecure(transport: SecureTransport): void;
  /** `onClose` follows. */
  onHandshakeFailure(failure: HandshakeFailure): void;
  /** The server gives us a session to come again with. */
  onSession?(session: Uint8Array): void;
}

/** What the types leave out. */
type TlsSocket = Omit<Socket<StreamTransport>, "getSession" | "setSession" | "getPeerCertificate"> & {
  getServername(): string | undefined;
  getSession(): Buffer | undefined;
  setSession(session: Uint8Array): void;
  getPeerCertificate(isShort: boolean): PeerChain | undefined;
};

/** A certificate and who vouches for it, as `node:tls` has them. */
interface PeerChain {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: PeerChain;
}

export class SecureTransport extends StreamTransport {
  /** What the library found wrong with the peer's certificate: its name, "CERT_HAS_EXPIRED"; undefined: nothing. */
  verifyError: string | undefined;

  /** With the alert that says so: without it the peer could not tell the end from a connection that was cut (RFC 8446 6.1). */
  protected override closeSocket(): void {
    // Not `end`, which waits for the peer's own alert.
    this.socket.shutdown();
    this.socket.close();
  }

  get #tls(): TlsSocket {
    return this.socket as unknown as TlsSocket;
  }

  /** "TLSv1.3" */
  get version(): string {
    return this.socket.getTLSVersion();
  }

  /** "TLS_AES_128_GCM_SHA256" */
  get cipher(): string {
    return this.socket.getCipher()?.name ?? "";
  }

  get isResumed(): boolean {
    return this.socket.isSessionReused();
  }

  /** The session, as the library writes it down: to go on with it over another connection. */
  get session(): Uint8Array | undefined {
    return this.#tls.getSession();
  }

  /** The application protocol that both speak; "": none was agreed on. */
  get protocol(): string {
    return this.socket.alpnProtocol || "";
  }

  /** The peer's certificate and those that lead to a trusted one, as DER; empty: it has shown none. */
  get peerChain(): readonly Uint8Array[] {
    const chain: Uint8Array[] = [];
    let certificate = this.#tls.getPeerCertificate(false);
    while (certificate?.raw !== undefined) {
      chain.push(certificate.raw);
      // The last one vouches for itself.
      if (certificate.issuerCertificate === certificate) break;
      certificate = certificate.issuerCertificate;
    }
    return chain;
  }

  limitRecords(bytes: number): void {
    this.socket.setMaxSendFragment(bytes);
  }
}

/** Answers a client's handshake, whose beginning is in `first`. The handler hears nothing before this returns. */
export function acceptSecurely(
  transport: PlainTransport,
  first: Uint8Array,
  { context, protocol, asksForCertificate, recordBytes }: ServerTerms,
  handler: SecureHandler,
): void {
  const tls = {
    secureContext: context.native,
    requestCert: asksForCertificate,
    rejectUnauthorized: false,
    ...(protocol === undefined ? {} : { ALPNProtocols: protocolList([protocol]) }),
  };
  upgrade(transport, handler, { tls, isServer: true, initialData: first }, (secure) => {
    if (recordBytes < largestRecord) secure.limitRecords(recordBytes);
  });
}

/** Begins a handshake with the server at the other end. */
export function startTls(
  transport: PlainTransport,
  { context, serverName, session, protocols }: ClientTerms,
  handler: SecureHandler,
): void {
  const tls = {
    secureContext: context.native,
    requestCert: true,
    rejectUnauthorized: false,
    ...(serverName === "" ? {} : { serverName }),
    ...(protocols.length === 0 ? {} : { ALPNProtocols: protocolList(protocols) }),
  };
  upgrade(transport, handler, { tls }, () => {}, session);
}

const largestRecord = 16_384;

/** RFC 7301 3.1: each with its length before it. */
const protocolList = (names: readonly string[]): Buffer =>
  Buffer.concat(names.map((name) => Buffer.from(String.fromCharCode(name.length) + name, "latin1")));

/** What `upgradeTLS` is told, besides the socket's handlers. */
type UpgradeOptions = { readonly tls: object; readonly isServer?: boolean; readonly initialData?: Uint8Array };

function upgrade(
  transport: PlainTransport,
  handler: SecureHandler,
  options: UpgradeOptions,
  begin: (secure: SecureTransport) => void,
  session?: Uint8Array,
): void {
  let secure: SecureTransport | undefined;
  // A first message that is all wrong is answered before the call returns.
  const early: (() => void)[] = [];
  const soon = (call: () => void): void => {
    if (secure === undefined) early.push(call);
    else call();
  };
  const socket: SocketHandler<StreamTransport> = {
    ...streamEvents,
    open(opened) {
      if (session !== undefined) (opened as unknown as TlsSocket).setSession(session);
    },
    handshake(_, isDone, error) {
      const { code, message = "" } = (error ?? {}) as { code?: string; message?: string };
      soon(() => {
        if (secure === undefined || secure.handler === undefined) return;
        // The runtime compares names by itself, with "localhost" if need be. Which name it has to be is the handler's matter.
        const isOtherName = code === "ERR_TLS_CERT_ALTNAME_INVALID";
        if (!isDone && !isOtherName && !isVerifyError(code))
          return handler.onHandshakeFailure(failureOf(code, message));
        secure.verifyError = isOtherName ? undefined : code;
        handler.onSecure(secure);
      });
    },
    // Not in the types.
    ...{ session: (_: unknown, given: Uint8Array) => handler.onSession?.(given) },
    close: (closed, error) => soon(() => streamEvents.close?.(closed, error)),
  };
  const raw = transport.giveSocket();
  const given = { ...options, data: transport, socket } as unknown as Bun.TLSUpgradeOptions<StreamTransport>;
  const [, upgraded] = raw.upgradeTLS<StreamTransport>(given);
  secure = new SecureTransport(upgraded);
  secure.handler = handler;
  upgraded.data = secure;
  if (early.length > 0)
    queueMicrotask(() => {
      for (const call of early) call();
    });
  else begin(secure);
}

function failureOf(code: string | undefined, message: string): HandshakeFailure {
  if (code === "EPROTO" || message.startsWith("error:")) return { kind: "broken", detail: message };
  // The runtime has one word for both ends; a socket error has the system's name, too.
  return { kind: message.includes("before secure TLS") ? "closed" : "reset", detail: message };
}

/** Alerts that we send ourselves, without the library (RFC 8446 6.2). */
export const alert = {
  handshakeFailure: 40,
  internalError: 80,
  unrecognizedName: 112,
  noApplicationProtocol: 120,
} as const;

/** Refuses a client's hello. */
export function refuseHello(transport: PlainTransport, description: number): void {
  transport.write([new Uint8Array([21, 3, 3, 0, 2, 2, description])]);
  transport.end();
}
