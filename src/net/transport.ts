/** Bytes in and out over one connection; nothing of HTTP. Implemented by `plain.ts`, later by `secure.ts`. */

/** Latin-1 text or bytes, as the engines give them. */
export type Piece = string | Uint8Array;

export interface Transport {
  /**
   * Sends the pieces, in one system call where they fit. False: the kernel's buffer is full, the rest is kept and sent when
   * it has room; give nothing large before `onDrain`. Bytes given may be kept: do not change them until `onDrain`.
   */
  write(pieces: readonly Piece[]): boolean;
  /**
   * Sends a part of a file without copying it, where the transport can; only while nothing is kept. Returns how many bytes are on
   * their way: fewer than asked for if the kernel's buffer is full (then `unsent` is not 0) or the file has ended (then it is).
   */
  sendFile?(fd: number, offset: number, length: number): number;
  /** Bytes that `write` has kept. */
  readonly unsent: number;
  /** Stops reading: the peer feels it through TCP's window. */
  pause(): void;
  resume(): void;
  /** Sends what is kept, then FIN; reading goes on (RFC 9112 9.6: so that no reset destroys what the peer has not read). */
  shutdown(): void;
  /** Sends what is kept, then closes both directions. `onClose` follows. */
  end(): void;
  /** Closes at once with a reset: the peer must not take what it has for complete. Kept bytes are lost. `onClose` follows. */
  abort(): void;
  /** "127.0.0.1", "::1"; "" for a Unix socket. */
  readonly peerAddress: string;
  /** Our end's address, which differs from the listening socket's where that listens on all. */
  readonly localAddress: string;
  /** 0 for a Unix socket. */
  readonly peerPort: number;
  /** The connection's descriptor, while it is open: to ask the kernel about it. */
  readonly fd?: number | undefined;
}

/** Who hears of the transport's events. */
export interface TransportHandler {
  /** The bytes are the handler's. */
  onBytes(bytes: Uint8Array): void;
  /** The peer sent FIN: it will send nothing more, but may still read. Not called after `shutdown`: then `onClose` is. */
  onEnd(): void;
  /** Everything kept by `write` has been sent. */
  onDrain(): void;
  /** The connection is gone, for whatever reason. Once, last. `code`: the error that ended it, "ECONNRESET", if one did. */
  onClose(code?: string): void;
}
