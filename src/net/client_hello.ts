/**
 * The first message of a TLS handshake (RFC 8446 4.1.2, RFC 5246 7.4.1.2), read before the TLS library sees it: what the client
 * wants decides who answers. Bytes in, facts out; nothing is checked that the library will check anyway.
 */

export interface ClientHello {
  /** The host name that it wants (RFC 6066 3), as sent; undefined: it names none. */
  readonly serverName: string | undefined;
  /** Application protocols in its order (RFC 7301); undefined: it names none. */
  readonly protocols: readonly string[] | undefined;
  /** TLS versions that it speaks: 0x0304 is 1.3. */
  readonly versions: readonly number[];
  readonly ciphers: readonly number[];
  /** Groups for the key exchange (RFC 8446 4.2.7). */
  readonly groups: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  /** Its request may follow at once, before the handshake has ended (RFC 8446 4.2.10). */
  readonly hasEarlyData: boolean;
}

/** "more": too little to say. "other": that is not TLS. "broken": it begins like TLS, and the library will say what is wrong. */
export type FirstMessage = ClientHello | "more" | "other" | "broken";

/** A hello that is longer is no hello. */
const mostBytes = 64 * 1024;
const handshakeRecord = 22;
const helloMessage = 1;

/** Reads what a client has sent so far. */
export function readClientHello(bytes: Uint8Array): FirstMessage {
  if (bytes.length === 0) return "more";
  // The high bit: SSL 2, which the library refuses.
  if (bytes[0] !== handshakeRecord) return (bytes[0]! & 0x80) !== 0 ? "broken" : "other";
  const message = firstHandshakeMessage(bytes);
  if (typeof message === "string") return message;
  const reader = new Reader(message);
  const hello = parse(reader);
  return reader.failed ? "broken" : hello;
}

/** It may be spread over several records (RFC 8446 5.1). */
function firstHandshakeMessage(bytes: Uint8Array): Uint8Array | "more" | "broken" {
  const parts: Uint8Array[] = [];
  let have = 0;
  let wanted = 4;
  for (let at = 0; ; ) {
    if (at + 5 > bytes.length) return "more";
    const length = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    if (bytes[at] !== handshakeRecord || bytes[at + 1] !== 3 || length === 0 || length > 16_384) return "broken";
    if (at + 5 + length > bytes.length && have + bytes.length - at - 5 < wanted)
      return have > mostBytes ? "broken" : "more";
    const part = bytes.subarray(at + 5, Math.min(at + 5 + length, bytes.length));
    parts.push(part);
    have += part.length;
    at += 5 + length;
    if (have < 4) continue;
    const whole = parts.length === 1 ? part : Buffer.concat(parts);
    if (whole[0] !== helloMessage) return "broken";
    wanted = 4 + ((whole[1]! << 16) | (whole[2]! << 8) | whole[3]!);
    if (wanted > mostBytes) return "broken";
    if (have >= wanted) return whole.subarray(4, wanted);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Uint8Array {
    if (count > this.left) this.failed = true;
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += taken.length;
    return taken;
  }

  number(size: number): number {
    return this.take(size).reduce((value, byte) => value * 256 + byte, 0);
  }

  /** What follows its own length, which has so many bytes. */
  vector(size: number): Reader {
    const inner = new Reader(this.take(this.number(size)));
    inner.failed = this.failed;
    return inner;
  }

  shorts(): number[] {
    const all: number[] = [];
    while (this.left > 1) all.push(this.number(2));
    return all;
  }
}

const extension = {
  serverName: 0,
  groups: 10,
  signatureAlgorithms: 13,
  protocols: 16,
  earlyData: 42,
  versions: 43,
} as const;

function parse(reader: Reader): ClientHello {
  const version = reader.number(2);
  reader.take(32);
  reader.vector(1);
  const ciphers = reader.vector(2).shorts();
  reader.vector(1);
  const extensions = new Map<number, Reader>();
  const all = reader.left > 0 ? reader.vector(2) : undefined;
  while (all !== undefined && all.left > 0 && !all.failed) extensions.set(all.number(2), all.vector(2));
  if (all?.failed === true) reader.failed = true;
  return {
    serverName: serverNameIn(extensions.get(extension.serverName)),
    protocols: protocolsIn(extensions.get(extension.protocols)),
    versions: extensions.get(extension.versions)?.vector(1).shorts() ?? [version],
    ciphers,
    groups: extensions.get(extension.groups)?.vector(2).shorts() ?? [],
    signatureAlgorithms: extensions.get(extension.signatureAlgorithms)?.vector(2).shorts() ?? [],
    hasEarlyData: extensions.has(extension.earlyData),
  };
}

function serverNameIn(reader: Reader | undefined): string | undefined {
  const names = reader?.vector(2);
  while (names !== undefined && names.left > 0) {
    const isHost = names.number(1) === 0;
    const name = names.vector(2);
    if (isHost) return latin1(name.take(name.left));
  }
  return undefined;
}

function protocolsIn(reader: Reader | undefined): readonly string[] | undefined {
  const names = reader?.vector(2);
  if (names === undefined) return undefined;
  const all: string[] = [];
  while (names.left > 0) {
    const name = names.vector(1);
    all.push(latin1(name.take(name.left)));
  }
  return all;
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
