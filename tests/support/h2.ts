/** The other end of an HTTP/2 connection, as far as tests need one: frames both ways, header blocks without a table of its own. */
import "../../src/base/bytes.ts";
import {
  flag,
  frame,
  frameHeaderLength,
  preface,
  read24,
  read31,
  read32,
  write32,
  writeFrameHeader,
} from "../../src/http/h2/frames.ts";
import { HpackDecoder } from "../../src/http/h2/hpack_decoder.ts";

export type Fields = readonly (readonly [name: string, value: string])[];

export const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

export function makeFrame(kind: number, flags: number, stream: number, payload: Uint8Array = latin1("")): Buffer {
  const out = Buffer.alloc(frameHeaderLength + payload.length);
  out.set(payload, write32(out, writeFrameHeader(out, 0, payload.length, kind, flags), stream));
  return out;
}

/** A number of `bits` bits' prefix (RFC 7541 5.1). */
export function integer(pattern: number, bits: number, value: number): Buffer {
  const mask = (1 << bits) - 1;
  if (value < mask) return Buffer.from([pattern | value]);
  const bytes = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

const string = (text: string): Buffer => Buffer.concat([integer(0, 7, text.length), latin1(text)]);

/** Literals with new names, which enter the table if `indexed` (RFC 7541 6.2). */
export const block = (fields: Fields, indexed = false): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([indexed ? 0x40 : 0]), string(name), string(value)]));

export const pseudo = (path = "/", method = "GET"): Fields => [
  [":method", method],
  [":scheme", "http"],
  [":path", path],
  [":authority", "example.com"],
];

export const request = (stream: number, fields: Fields = pseudo(), end = true): Buffer =>
  makeFrame(frame.headers, flag.endHeaders | (end ? flag.endStream : 0), stream, block(fields));

export const data = (stream: number, text: string, end = true): Buffer =>
  makeFrame(frame.data, end ? flag.endStream : 0, stream, latin1(text));

export const settings = (...entries: readonly (readonly [name: number, value: number])[]): Buffer => {
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([name, value], i) => {
    payload.writeUInt16BE(name, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return makeFrame(frame.settings, 0, 0, payload);
};

const number32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const windowUpdate = (stream: number, by: number): Buffer =>
  makeFrame(frame.windowUpdate, 0, stream, number32(by));
export const reset = (stream: number, code = 8): Buffer => makeFrame(frame.rstStream, 0, stream, number32(code));
export const ping = (text = "12345678", ack = false): Buffer =>
  makeFrame(frame.ping, ack ? flag.ack : 0, 0, latin1(text));

/** What a client begins with. */
export const opening: Buffer = Buffer.concat([preface, settings()]);

/** A frame as a test wants to see it. */
export interface Seen {
  readonly kind: string;
  readonly stream: number;
  readonly flags: number;
  readonly payload: Buffer;
  /** Of HEADERS: "name: value" lines. */
  readonly fields: readonly string[];
}

const kinds = Object.fromEntries(Object.entries(frame).map(([name, kind]) => [kind, name]));

/** Takes a server's bytes apart; one per connection, for its table's sake. */
export class FrameLog {
  readonly #decoder = new HpackDecoder();
  #bytes: Buffer = latin1("");

  read(bytes: Uint8Array): Seen[] {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    const seen: Seen[] = [];
    while (this.#bytes.length >= frameHeaderLength) {
      const size = read24(this.#bytes, 0);
      if (this.#bytes.length < frameHeaderLength + size) break;
      const kind = kinds[this.#bytes[3]!] ?? "unknown";
      const payload = Buffer.from(this.#bytes.subarray(frameHeaderLength, frameHeaderLength + size));
      const fields = kind === "headers" && (this.#bytes[4]! & flag.endHeaders) !== 0 ? this.#fields(payload) : [];
      seen.push({ kind, stream: read31(this.#bytes, 5), flags: this.#bytes[4]!, payload, fields });
      this.#bytes = this.#bytes.subarray(frameHeaderLength + size);
    }
    return seen;
  }

  #fields(payload: Buffer): string[] {
    if (!this.#decoder.decode(payload, 0, payload.length)) throw new Error(this.#decoder.error?.detail);
    return this.#decoder.fields.map(({ name, value }) => `${name.text}: ${value}`);
  }
}

/** "headers 1 [:status: 200, …]", "data 1 hello END", "rstStream 1 8", "goaway 5 0" */
export function describe({ kind, stream, flags, payload, fields }: Seen): string {
  const end = (kind === "headers" || kind === "data") && (flags & flag.endStream) !== 0 ? " END" : "";
  switch (kind) {
    case "headers":
      return `headers ${stream} [${fields.join(", ")}]${end}`;
    case "data":
      return `data ${stream} ${payload.toString("latin1")}${end}`;
    case "rstStream":
      return `rstStream ${stream} ${read32(payload, 0)}`;
    case "windowUpdate":
      return `windowUpdate ${stream} ${read32(payload, 0)}`;
    case "goaway":
      return `goaway ${read31(payload, 0)} ${read32(payload, 4)}`;
    case "settings":
      return (flags & flag.ack) !== 0 ? "settings ack" : "settings";
    default:
      return `${kind} ${stream}${(flags & flag.ack) !== 0 ? " ack" : ""}`;
  }
}
