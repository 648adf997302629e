/**
 * HalfSipHash-1-3 of latin-1 text (Aumasson and Bernstein; the 32-bit form that the Linux kernel uses for its hash tables).
 * With a seed that clients do not know, nobody can choose keys that all fall into one bucket.
 */

const state = { v0: 0, v1: 0, v2: 0, v3: 0 };

/** 32 bits, signed. The seed: two words of random bits. */
export function keyHash(key: string, seed0: number, seed1: number): number {
  state.v0 = seed0;
  state.v1 = seed1;
  state.v2 = seed0 ^ 0x6c796765;
  state.v3 = seed1 ^ 0x74656462;
  const whole = key.length - (key.length % 4);
  for (let i = 0; i < whole; i += 4) {
    absorb(
      key.charCodeAt(i) | (key.charCodeAt(i + 1) << 8) | (key.charCodeAt(i + 2) << 16) | (key.charCodeAt(i + 3) << 24),
    );
  }
  let last = key.length << 24;
  for (let i = whole; i < key.length; i++) last |= key.charCodeAt(i) << (8 * (i - whole));
  absorb(last);
  state.v2 ^= 0xff;
  round();
  round();
  round();
  return state.v1 ^ state.v3;
}

function absorb(word: number): void {
  state.v3 ^= word;
  round();
  state.v0 ^= word;
}

function round(): void {
  let { v0, v1, v2, v3 } = state;
  v0 = (v0 + v1) | 0;
  v1 = rotate(v1, 5) ^ v0;
  v0 = rotate(v0, 16);
  v2 = (v2 + v3) | 0;
  v3 = rotate(v3, 8) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = rotate(v3, 7) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = rotate(v1, 13) ^ v2;
  v2 = rotate(v2, 16);
  state.v0 = v0;
  state.v1 = v1;
  state.v2 = v2;
  state.v3 = v3;
}

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));
