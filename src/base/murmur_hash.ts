/** MurmurHash2 of 32 bits by Austin Appleby, with seed 0: whom Nginx sends where (`split_clients`) depends on its very bits. */

const factor = 0x5bd1e995;

/** The hash of latin-1 text: 0 to 2^32 - 1. */
export function murmurHash2(text: string): number {
  const { length } = text;
  let hash = length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word =
      text.charCodeAt(at) |
      (text.charCodeAt(at + 1) << 8) |
      (text.charCodeAt(at + 2) << 16) |
      (text.charCodeAt(at + 3) << 24);
    word = Math.imul(word, factor);
    word = Math.imul(word ^ (word >>> 24), factor);
    hash = Math.imul(hash, factor) ^ word;
  }
  if (at < length) {
    for (let i = length - 1; i >= at; i--) hash ^= text.charCodeAt(i) << (8 * (i - at));
    hash = Math.imul(hash, factor);
  }
  hash = Math.imul(hash ^ (hash >>> 13), factor);
  return (hash ^ (hash >>> 15)) >>> 0;
}
