/** The PROXY protocol, versions 1 and 2 (HAProxy's specification, doc/proxy-protocol.txt): who the client of a connection is, said by a proxy ahead of its bytes. Sans-IO, both directions. */
import "../base/bytes.ts";
import { parseIpv4, parseIpv6 } from "../base/address.ts";
import { ipv6Text } from "./dns_message.ts";

const longestV1 = 107;
const longestV2 = 4096;
const fixedV2 = 16;

export interface ProxyEnd {
  /** As the proxy wrote it (version 1), or in its short form (version 2). */
  readonly address: string;
  readonly port: number;
}

export type ProxyHeader =
  /** The header is not complete. */
  | { readonly kind: "more" }
  /** The connection is of no use; `message` is for the log. */
  | { readonly kind: "invalid"; readonly message: string }
  | {
      readonly kind: "header";
      /** Bytes of the header; what follows is the client's. */
      readonly length: number;
      /** The client, and the address it connected to; undefined: the proxy speaks for itself, or of something other than TCP. */
      readonly source: ProxyEnd | undefined;
      readonly destination: ProxyEnd | undefined;
      /** Version 2's additional fields as they came; `findTlv` reads them. Empty: none. */
      readonly tlvs: Uint8Array;
    };

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const prefixV1 = Buffer.from("PROXY ", "latin1");
const noTlvs = new Uint8Array(0);

/** Reads the header at the beginning of a connection's bytes, all of which must be handed in again if it says "more". */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (startsAlike(bytes, signature)) return readV2(bytes);
  return startsAlike(bytes, prefixV1) ? readV1(bytes) : broken(bytes);
}

function startsAlike(bytes: Uint8Array, expected: Uint8Array): boolean {
  const length = Math.min(bytes.length, expected.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== expected[i]) return false;
  return true;
}

const more: ProxyHeader = { kind: "more" };
const invalid = (message: string): ProxyHeader => ({ kind: "invalid", message });

/** Quotes the first line. */
function broken(bytes: Uint8Array): ProxyHeader {
  const line = /^[^\r\n]*/.exec(latin1(bytes.subarray(0, longestV1)))![0];
  return invalid(`broken header: "${line}"`);
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).latin1Slice(0, bytes.length);

function readV1(bytes: Uint8Array): ProxyHeader {
  const text = latin1(bytes.subarray(0, longestV1));
  const end = text.indexOf("\r\n");
  if (end < 0) return bytes.length < longestV1 ? more : broken(bytes);
  const length = end + 2;
  const line = text.slice(prefixV1.length, end);
  if (line.startsWith("UNKNOWN")) {
    return { kind: "header", length, source: undefined, destination: undefined, tlvs: noTlvs };
  }
  const found = /^TCP[46] ([\da-fA-F:.]*) ([\da-fA-F:.]*) (\d{1,5}) (\d{1,5})$/.exec(line);
  if (found === null) return broken(bytes);
  const [, from = "", to = ""] = found;
  const [fromPort, toPort] = [Number(found[3]), Number(found[4])];
  if (fromPort > 65535 || toPort > 65535) return broken(bytes);
  const [source, destination] = [
    { address: from, port: fromPort },
    { address: to, port: toPort },
  ];
  return { kind: "header", length, source, destination, tlvs: noTlvs };
}

const command = { local: 0, proxy: 1 } as const;
const family = { unspecified: 0, v4: 1, v6: 2 } as const;
const transport = { unspecified: 0, stream: 1 } as const;

function readV2(bytes: Uint8Array): ProxyHeader {
  const version = bytes[signature.length];
  if (version === undefined) return more;
  if (version >> 4 !== 2) return invalid(`unknown PROXY protocol version: ${version >> 4}`);
  if (bytes.length < fixedV2) return more;
  const length = fixedV2 + u16(bytes, 14);
  if (length > longestV2) return invalid("header is too large");
  if (bytes.length < length) return more;
  const nobody: ProxyHeader = { kind: "header", length, source: undefined, destination: undefined, tlvs: noTlvs };
  const kind = bytes[13]!;
  if ((version & 15) !== command.proxy || (kind & 15) !== transport.stream) return nobody;
  const size = kind >> 4 === family.v4 ? 4 : kind >> 4 === family.v6 ? 16 : 0;
  if (size === 0) return nobody;
  const [to, ports] = [fixedV2 + size, fixedV2 + 2 * size];
  if (ports + 4 > length) return invalid("PROXY protocol header is too short for its addresses");
  const end = (at: number, port: number): ProxyEnd => ({
    address: addressText(bytes.subarray(at, at + size)),
    port: u16(bytes, port),
  });
  return {
    kind: "header",
    length,
    source: end(fixedV2, ports),
    destination: end(to, ports + 2),
    // A copy: the bytes are the connection's buffer.
    tlvs: ports + 4 === length ? noTlvs : new Uint8Array(bytes.subarray(ports + 4, length)),
  };
}

const addressText = (bytes: Uint8Array): string => (bytes.length === 4 ? bytes.join(".") : ipv6Text(bytes));
const u16 = (bytes: Uint8Array, at: number): number => bytes[at]! * 256 + bytes[at + 1]!;

/** The types of version 2's additional fields, by the names that `$proxy_protocol_tlv_…` has for them. */
export const tlvType = { alpn: 0x01, authority: 0x02, crc32c: 0x03, unique_id: 0x05, ssl: 0x20, netns: 0x30 } as const;
/** The fields within `ssl`. */
export const sslTlvType = { version: 0x21, cn: 0x22, cipher: 0x23, sig_alg: 0x24, key_alg: 0x25 } as const;

const tlvNames = new Map<string, number>(Object.entries(tlvType).filter(([name]) => name !== "crc32c"));
const sslTlvNames = new Map<string, number>(Object.entries(sslTlvType));
/** In front of the fields within `ssl`: a byte of flags and the result of the verification. */
const sslFixed = 5;

/** A field's value as latin-1 text, undefined if it was not sent, or what to log. */
export type TlvResult = { readonly value: string } | { readonly error: string } | undefined;

/** Looks up `alpn`, `ssl_cn`, `ssl_verify`, `0x05`, `ssl_0x21` … among the fields of a header. */
export function findTlv(tlvs: Uint8Array, name: string): TlvResult {
  if (!name.startsWith("ssl_")) return findNamed(tlvs, name, { names: tlvNames, whole: name });
  const ssl = findType(tlvs, tlvType.ssl);
  if (ssl === undefined) return undefined;
  if (ssl === "broken" || ssl.length < sslFixed) return { error: brokenTlv };
  const inner = name.slice("ssl_".length);
  if (inner === "verify") return { value: String(u16(ssl, 1) * 0x10000 + u16(ssl, 3)) };
  return findNamed(ssl.subarray(sslFixed), inner, { names: sslTlvNames, whole: name });
}

const brokenTlv = "broken PROXY protocol TLV";

function findNamed(
  tlvs: Uint8Array,
  name: string,
  { names, whole }: { names: ReadonlyMap<string, number>; whole: string },
): TlvResult {
  const hex = name.startsWith("0x");
  if (hex && !/^0x[\da-f]{1,8}$/i.test(name)) return { error: `invalid PROXY protocol TLV "${whole}"` };
  const type = hex ? Number.parseInt(name.slice(2), 16) : names.get(name);
  if (type === undefined) return { error: `unknown PROXY protocol TLV "${whole}"` };
  const found = findType(tlvs, type);
  if (found === "broken") return { error: brokenTlv };
  return found === undefined ? undefined : { value: latin1(found) };
}

function findType(tlvs: Uint8Array, type: number): Uint8Array | "broken" | undefined {
  for (let at = 0; at < tlvs.length; ) {
    if (at + 3 > tlvs.length) return "broken";
    const end = at + 3 + u16(tlvs, at + 1);
    if (end > tlvs.length) return "broken";
    if (tlvs[at] === type) return tlvs.subarray(at + 3, end);
    at = end;
  }
  return undefined;
}

/** The header of version 1. An end is undefined if it is no TCP address: a Unix socket. */
export function writeProxyV1(source: ProxyEnd | undefined, destination: ProxyEnd | undefined): Uint8Array {
  if (source === undefined || destination === undefined) return Buffer.from("PROXY UNKNOWN\r\n");
  const protocol = source.address.includes(":") ? "TCP6" : "TCP4";
  return Buffer.from(
    `PROXY ${protocol} ${source.address} ${destination.address} ${source.port} ${destination.port}\r\n`,
    "latin1",
  );
}

export interface Tlv {
  readonly type: number;
  readonly value: Uint8Array;
}

/** The header of version 2 with these fields, and the checksum behind them. Throws RangeError above 4096 bytes. */
export function writeProxyV2(
  source: ProxyEnd | undefined,
  destination: ProxyEnd | undefined,
  tlvs: readonly Tlv[] = [],
): Uint8Array {
  const ends = source && destination ? endBytes(source, destination) : undefined;
  const fields = tlvs.map(tlvBytes);
  const checksum = tlvBytes({ type: tlvType.crc32c, value: new Uint8Array(4) });
  const rest = Buffer.concat([ends?.bytes ?? noTlvs, ...fields, checksum]);
  const kind =
    ends === undefined ? (family.unspecified << 4) | transport.unspecified : (ends.family << 4) | transport.stream;
  const versionAndCommand = 0x20 | (ends === undefined ? command.local : command.proxy);
  const fixed = Buffer.from([...signature, versionAndCommand, kind, rest.length >> 8, rest.length & 255]);
  const header = Buffer.concat([fixed, rest]);
  if (header.length > longestV2) throw new RangeError("a PROXY protocol header has at most 4096 bytes");
  header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
}

/** The field that tells of the client's TLS. `client`: the specification's PP2_CLIENT_ bits; `verify`: 0 if its certificate was verified. */
export function sslTlv(client: number, verify: number, inner: readonly Tlv[]): Tlv {
  const fixed = Buffer.alloc(sslFixed);
  fixed[0] = client;
  fixed.writeUInt32BE(verify, 1);
  return { type: tlvType.ssl, value: Buffer.concat([fixed, ...inner.map(tlvBytes)]) };
}

function tlvBytes({ type, value }: Tlv): Uint8Array {
  return Buffer.concat([Buffer.of(type, value.length >> 8, value.length & 255), value]);
}

/** Both ends in one family: IPv4 if both are that at heart, else IPv6. */
function endBytes(source: ProxyEnd, destination: ProxyEnd): { family: 1 | 2; bytes: Uint8Array } | undefined {
  const [from, to] = [mapped(source.address), mapped(destination.address)];
  if (from === undefined || to === undefined) return undefined;
  const both4 = from.isV4 && to.isV4;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const skip = both4 ? 12 : 0;
  const bytes = Buffer.concat([from.bytes.subarray(skip), to.bytes.subarray(skip), ports]);
  return { family: both4 ? family.v4 : family.v6, bytes };
}

const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255] as const;

function mapped(address: string): { bytes: Uint8Array; isV4: boolean } | undefined {
  const v4 = parseIpv4(address);
  if (v4 !== undefined) return { bytes: Uint8Array.of(...mappedPrefix, ...v4), isV4: true };
  const bytes = parseIpv6(address);
  return bytes && { bytes, isV4: mappedPrefix.every((byte, i) => bytes[i] === byte) };
}

let crcTable: Uint32Array | undefined;

/** The checksum of Castagnoli (RFC 3720 appendix B.4). */
function crc32c(bytes: Uint8Array): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let crc = n;
    for (let i = 0; i < 8; i++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    return crc;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
