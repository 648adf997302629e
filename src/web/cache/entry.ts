/**
 * A cache file: a fixed part, the entry's head as JSON, room for a longer one, the content. Pure: bytes in, bytes out.
 *
 * The file says how long it is, and has a check sum of everything before the content: what a crash, a full disk or a change in
 * progress has left half done is told from a whole one, whatever of it is there.
 */
import { crc32 } from "node:zlib";

/** What is known about a stored response. Times: seconds since 1970. */
export interface EntryHead {
  /** The key in full: the file's name has only its hash. */
  readonly key: string;
  readonly status: number;
  /** "": the standard one. */
  readonly reason: string;
  /** Names and values, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** When it came, and how old it was then. */
  readonly date: number;
  readonly age: number;
  readonly validUntil: number;
  readonly updatingUntil: number;
  readonly errorUntil: number;
  readonly mustRevalidate: boolean;
  /** Lower-case names of the request's fields that it depends on; "": none. */
  readonly vary: string;
  /** The hash of their values (key.ts). */
  readonly variant: string;
  /** Made up for the main entry of its variants: they go with it. */
  readonly family: string;
  /** It was answered to HEAD: there is no content, whatever its Content-Length says. */
  readonly isHead: boolean;
}

/** What the fixed part says. */
export interface EntryShape {
  readonly bodyStart: number;
  readonly bodyLength: number;
  readonly bodyCrc: number;
  /** Another one for each content: a head is changed in place only where this is still the same. */
  readonly id: number;
}

export interface EntryFile extends EntryShape {
  readonly head: EntryHead;
}

const magic = Buffer.from("alicorn\x01", "latin1");
/** magic, check sum, length of the JSON, body's start, its check sum, its length, id */
const at = { crc: 8, headLength: 12, bodyStart: 16, bodyCrc: 20, bodyLength: 24, id: 32 } as const;
const fixedBytes = 36;
/** Contents begin at multiples of this. */
const unit = 256;
/** Room for fields that a revalidation may bring. */
const spareBytes = 128;

/** No head is longer. */
export const maxHeadBytes = 1024 * 1024;

const jsonOf = (head: EntryHead): Buffer => Buffer.from(JSON.stringify(head), "latin1");

/** Where the content begins that follows this head. */
export function bodyStartFor(head: EntryHead): number {
  return Math.ceil((fixedBytes + jsonOf(head).length + spareBytes) / unit) * unit;
}

/** Everything before the content; undefined: the head does not fit there. */
export function encodeEntry(head: EntryHead, { bodyStart, bodyLength, bodyCrc, id }: EntryShape): Buffer | undefined {
  const json = jsonOf(head);
  if (fixedBytes + json.length > bodyStart) return undefined;
  const bytes = Buffer.alloc(bodyStart);
  magic.copy(bytes);
  bytes.writeUInt32LE(json.length, at.headLength);
  bytes.writeUInt32LE(bodyStart, at.bodyStart);
  bytes.writeUInt32LE(bodyCrc, at.bodyCrc);
  bytes.writeDoubleLE(bodyLength, at.bodyLength);
  bytes.writeUInt32LE(id, at.id);
  json.copy(bytes, fixedBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(at.headLength)), at.crc);
  return bytes;
}

/** Bytes that must be there before `decodeEntry` says anything: `wanted` is more if the head is longer than what is given. */
export function entryHeadBytes(bytes: Buffer): number | undefined {
  if (bytes.length < fixedBytes || !bytes.subarray(0, magic.length).equals(magic)) return undefined;
  const start = bytes.readUInt32LE(at.bodyStart);
  return start > maxHeadBytes || start < fixedBytes ? undefined : start;
}

/** The entry of a file of `fileLength` bytes that begins with `bytes`; undefined: it is none, or not a whole one. */
export function decodeEntry(bytes: Buffer, fileLength: number): EntryFile | undefined {
  const bodyStart = entryHeadBytes(bytes);
  if (bodyStart === undefined || bytes.length < bodyStart) return undefined;
  const headLength = bytes.readUInt32LE(at.headLength);
  const bodyLength = bytes.readDoubleLE(at.bodyLength);
  if (fixedBytes + headLength > bodyStart || bodyStart + bodyLength !== fileLength) return undefined;
  if (crc32(bytes.subarray(at.headLength, bodyStart)) !== bytes.readUInt32LE(at.crc)) return undefined;
  const head = JSON.parse(bytes.latin1Slice(fixedBytes, fixedBytes + headLength)) as EntryHead;
  return { head, bodyStart, bodyLength, bodyCrc: bytes.readUInt32LE(at.bodyCrc), id: bytes.readUInt32LE(at.id) };
}
