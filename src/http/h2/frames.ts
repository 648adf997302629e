/** Frames (RFC 9113 4 and 6): their numbers, their fixed sizes, and how the small ones are written. */

export const frame = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
  /** RFC 9218 7.1 */
  priorityUpdate: 16,
} as const;

export const flag = {
  ack: 1,
  endStream: 1,
  endHeaders: 4,
  padded: 8,
  priority: 32,
} as const;

export const frameHeaderLength = 9;
/** SETTINGS_MAX_FRAME_SIZE when nobody says another (RFC 9113 6.5.2), as we never do. */
export const defaultFrameSize = 16384;
export const maxStreamId = 0x7fffffff;

/** What a client sends first (RFC 9113 3.4). */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Writes a frame's header; returns where its payload begins. */
export function writeFrameHeader(out: Uint8Array, at: number, length: number, kind: number, flags: number): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = kind;
  out[at + 4] = flags;
  return at + 5;
}

/** Writes 32 bits; returns what is behind them. */
export function write32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

/** 31 bits: the first of the 32 is reserved, and ignored (RFC 9113 4.1). */
export const read31 = (bytes: Uint8Array, at: number): number => read32(bytes, at) & maxStreamId;

export const read32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

export const read24 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
