/** DNS messages as they travel (RFC 1035 section 4, SRV: RFC 2782, AAAA: RFC 3596). Bytes in, records out: no socket, no clock. */

export const recordType = { A: 1, CNAME: 5, PTR: 12, AAAA: 28, SRV: 33, DNAME: 39 } as const;
export type QuestionType = "A" | "AAAA" | "PTR" | "SRV";

const classInternet = 1;
const headerBytes = 12;
const questionTailBytes = 4;
/** Type, class, TTL and length of a record, which follow its name. */
const recordFixedBytes = 10;
/** A name in a query. Above the 255 bytes of RFC 1035: whether that is too long is the name server's to say. */
const longestName = 1000;
const longestLabel = 63;
/** Pointers and labels of one name; a name of 255 bytes has fewer labels than this. */
const nameSteps = 128;

/** What a server said, without its answers: they are read once it is known whose they are. */
export interface DnsHead {
  readonly id: number;
  readonly flags: number;
  /** RFC 1035's RCODE: 0 is success, 3 a name that does not exist. */
  readonly rcode: number;
  /** The whole answer did not fit: ask again over TCP. */
  readonly truncated: boolean;
  readonly questions: number;
  readonly answers: number;
}

/** The question that a response repeats. */
export interface DnsQuestion {
  /** In lower case, without the closing dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where the answers begin. */
  readonly end: number;
}

export type DnsRecord = { readonly ttlSeconds: number } & (
  | { readonly type: "A" | "AAAA"; readonly host: string }
  | { readonly type: "CNAME" | "PTR"; readonly name: string }
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly name: string;
    }
  | { readonly type: "other"; readonly code: number }
);

/** Why bytes are not a message that can be used, in words for the log. */
export class DnsError extends Error {}

/** A recursive query for one name, or undefined if the name can be no domain name. `name`: without the closing dot. */
export function writeQuery(id: number, name: string, type: QuestionType): Uint8Array | undefined {
  if (name.length > longestName) return undefined;
  const labels = name.split(".");
  if (labels.some((label) => label.length === 0 || label.length > longestLabel)) return undefined;
  const bytes = Buffer.alloc(headerBytes + name.length + 2 + questionTailBytes);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(0x0100, 2); // Recursion desired.
  bytes.writeUInt16BE(1, 4);
  let at = headerBytes;
  for (const label of labels) {
    bytes[at] = label.length;
    bytes.write(label, at + 1, "latin1");
    at += 1 + label.length;
  }
  bytes.writeUInt16BE(recordType[type], at + 1);
  bytes.writeUInt16BE(classInternet, at + 3);
  return bytes;
}

/** The name under which an address's own name is found: `1.0.0.127.in-addr.arpa`. `address`: 4 or 16 bytes. */
export function reverseName(address: Uint8Array): string {
  const backwards = [...address].reverse();
  if (address.length === 4) return `${backwards.join(".")}.in-addr.arpa`;
  const nibbles = backwards.flatMap((byte) => [(byte & 15).toString(16), (byte >> 4).toString(16)]);
  return `${nibbles.join(".")}.ip6.arpa`;
}

/** Throws DnsError if the bytes are too few. */
export function readHead(bytes: Uint8Array): DnsHead {
  if (bytes.length < headerBytes) throw short();
  const flags = u16(bytes, 2);
  return {
    id: u16(bytes, 0),
    flags,
    rcode: flags & 15,
    truncated: (flags & 0x0200) !== 0,
    questions: u16(bytes, 4),
    answers: u16(bytes, 6),
  };
}

/** Whether the flags are those of a response to a standard query. */
export function isResponse(flags: number): boolean {
  return (flags & 0xf840) === 0x8000; // QR, and neither another OPCODE nor the reserved bit.
}

/** The one question of a response. Throws DnsError. */
export function readQuestion(bytes: Uint8Array, head: DnsHead): DnsQuestion {
  if (head.questions !== 1) throw new DnsError("invalid number of questions in DNS response");
  let at = headerBytes;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) throw short();
    if (length > longestLabel) throw new DnsError("unexpected compression pointer in DNS response");
    at += 1 + length;
    if (length === 0) break;
  }
  if (at === headerBytes + 1) throw new DnsError("zero-length domain name in DNS response");
  const end = at + questionTailBytes;
  // The shortest record is a pointer and its fixed part.
  if (end + head.answers * (2 + recordFixedBytes) > bytes.length) throw short();
  return { name: readName(bytes, headerBytes), type: u16(bytes, at), class: u16(bytes, at + 2), end };
}

/** The answers that begin at `from`. Throws DnsError; nothing outside of `bytes` is ever read. */
export function readAnswers(bytes: Uint8Array, from: number, count: number): DnsRecord[] {
  const records: DnsRecord[] = [];
  let at = from;
  for (let i = 0; i < count; i++) {
    at = skipName(bytes, at);
    if (at + recordFixedBytes > bytes.length) throw short();
    const type = u16(bytes, at);
    const kind = u16(bytes, at + 2);
    if (kind !== classInternet) throw new DnsError(`unexpected RR class ${kind} in DNS response`);
    const ttl = u16(bytes, at + 4) * 0x10000 + u16(bytes, at + 6);
    const length = u16(bytes, at + 8);
    at += recordFixedBytes;
    // RFC 2181 section 8: a TTL with the highest bit set counts as 0.
    records.push(readRecord(bytes, { type, at, length, ttlSeconds: ttl > 0x7fffffff ? 0 : ttl }));
    at += length;
  }
  return records;
}

interface RawRecord {
  readonly type: number;
  /** Where its data begins. */
  readonly at: number;
  readonly length: number;
  readonly ttlSeconds: number;
}

function readRecord(bytes: Uint8Array, { type, at, length, ttlSeconds }: RawRecord): DnsRecord {
  switch (type) {
    case recordType.A:
      return { type: "A", ttlSeconds, host: dataOf(bytes, { at, length, size: 4, name: "A" }).join(".") };
    case recordType.AAAA:
      return { type: "AAAA", ttlSeconds, host: ipv6Text(dataOf(bytes, { at, length, size: 16, name: "AAAA" })) };
    case recordType.CNAME:
      return { type: "CNAME", ttlSeconds, name: readName(bytes, at) };
    case recordType.PTR:
      return { type: "PTR", ttlSeconds, name: readName(bytes, at) };
    case recordType.SRV: {
      if (at + 6 >= bytes.length) throw short();
      const [priority, weight, port] = [u16(bytes, at), u16(bytes, at + 2), u16(bytes, at + 4)];
      return { type: "SRV", ttlSeconds, priority, weight, port, name: readName(bytes, at + 6) };
    }
    default:
      return { type: "other", ttlSeconds, code: type };
  }
}

function dataOf(
  bytes: Uint8Array,
  { at, length, size, name }: { at: number; length: number; size: number; name: string },
): Uint8Array {
  if (length !== size) throw new DnsError(`invalid ${name} record in DNS response`);
  if (at + size > bytes.length) throw short();
  return bytes.subarray(at, at + size);
}

/** An IPv6 address as RFC 5952 writes it. */
export function ipv6Text(address: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => u16(address, 2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** A name in lower case without its closing dot, "" for the root; follows compression pointers. Throws DnsError. */
function readName(bytes: Uint8Array, from: number): string {
  const labels: string[] = [];
  let at = from;
  for (let step = 0; step < nameSteps; step++) {
    const length = bytes[at];
    if (length === undefined) throw outside();
    if (length === 0) return labels.join(".");
    if (length >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) throw outside();
      at = (length & 0x3f) * 256 + low;
      continue;
    }
    if (length > longestLabel) throw new DnsError("invalid label type in DNS response");
    if (at + 1 + length > bytes.length) throw outside();
    labels.push(label(bytes, at + 1, length));
    at += 1 + length;
  }
  throw new DnsError("compression pointers loop in DNS response");
}

function label(bytes: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i]!;
    // Legal in DNS, but no name of a host; such names end in logs and in further queries.
    if (byte <= 0x20 || byte === 0x2e || byte === 0x7f) throw new DnsError("invalid name in DNS response");
    text += String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte);
  }
  return text;
}

/** The first byte after the name of a record. */
function skipName(bytes: Uint8Array, from: number): number {
  for (let at = from; ; ) {
    const length = bytes[at];
    if (length === undefined) throw short();
    if (length > longestLabel) return at + 2;
    if (length === 0) {
      if (at === from) throw new DnsError("invalid name in DNS response");
      return at + 1;
    }
    at += 1 + length;
  }
}

const short = () => new DnsError("short DNS response");
const outside = () => new DnsError("name is out of DNS response");

function u16(bytes: Uint8Array, at: number): number {
  const [high, low] = [bytes[at], bytes[at + 1]];
  if (high === undefined || low === undefined) throw short();
  return high * 256 + low;
}
