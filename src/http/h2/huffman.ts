/**
 * The Huffman code of HPACK (RFC 7541 5.2, Appendix B), both ways.
 *
 * It is a canonical code: codes of a length follow each other in the order of their symbols, so the lengths say it all.
 */

/** The length of each byte's code in bits, from 0 to 255; `28*7`: seven of the same. */
const lengthsText =
  "13 23 28*7 24 30 28*2 30 28*8 30 28*9 6 10*2 12 13 6 8 11 10*2 8 11 8 6*3 5*3 6*7 7 8 15 6 12 10 13 6 7*22 8 7 8 " +
  "13 19 13 14 6 15 5 6 5 6 5 6*3 5 7*2 6*3 5 6 7 6 5*2 6 7*5 15 11 14 13 28 20 22 20*2 22*3 23 22 23*5 24 23 24*2 " +
  "22 23 24 23*4 21 22 23 22 23*2 24 22 21 20 22*2 23*2 21 23 22*2 24 21 22 23*2 21*2 22 21 23 22 23*2 20 22*3 23 " +
  "22*2 23 26*2 20 19 22 23 22 25 26*3 27*2 26 24 25 19 21 26 27*2 26 27 24 21*2 26*2 28 27*3 20 24 20 21 22 21*2 " +
  "23 22*2 25*2 24*2 26 23 26 27 26*2 27*5 28 27*5 26";
/** The symbol that only pads. */
const eos = 256;
const eosLength = 30;

const lengths = new Uint8Array(257);
const codes = new Uint32Array(257);

function readLengths(): void {
  let symbol = 0;
  for (const run of lengthsText.split(" ")) {
    const [length = "", count = "1"] = run.split("*");
    for (let i = 0; i < Number(count); i++) lengths[symbol++] = Number(length);
  }
  if (symbol !== eos) throw new Error("the Huffman code has gaps");
  lengths[eos] = eosLength;
}

function assignCodes(): void {
  let next = 0;
  for (let length = 5; length <= 30; length++) {
    for (let symbol = 0; symbol <= eos; symbol++) if (lengths[symbol] === length) codes[symbol] = next++;
    next *= 2;
  }
}

readLengths();
assignCodes();

// Decoding goes by half bytes: no code is shorter than five bits, so a half completes one symbol at most.
// An entry: the next state (16 bits), the symbol (8 bits), and what is known.
const emits = 1 << 24;
const accepted = 1 << 25;
/** A byte of nothing but padding is accepted as well. */
const acceptedLoosely = 1 << 26;
const failed = 1 << 27;
let transitions = new Int32Array(0);

/** Inner nodes of the code's tree, as pairs of children: below 0 a symbol, -1 - symbol. */
function makeTree(): number[] {
  const tree = [0, 0];
  for (let symbol = 0; symbol <= eos; symbol++) {
    const length = lengths[symbol]!;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const at = 2 * node + ((codes[symbol]! >>> bit) & 1);
      if (tree[at] === 0) {
        tree[at] = tree.length / 2;
        tree.push(0, 0);
      }
      node = tree[at]!;
    }
    tree[2 * node + (codes[symbol]! & 1)] = -1 - symbol;
  }
  return tree;
}

/** RFC 7541 5.2: what is left at the end are the first bits of EOS, all ones, and fewer than eight. */
function paddingStates(tree: readonly number[]): Map<number, number> {
  const states = new Map<number, number>();
  for (let bits = 0, node = 0; bits <= 8; bits++) {
    states.set(node, bits < 8 ? accepted | acceptedLoosely : acceptedLoosely);
    node = tree[2 * node + 1]!;
  }
  return states;
}

function makeTransitions(): void {
  const tree = makeTree();
  const padding = paddingStates(tree);
  transitions = new Int32Array((tree.length / 2) * 16);
  for (let state = 0; state < tree.length / 2; state++)
    for (let half = 0; half < 16; half++) transitions[state * 16 + half] = step(tree, padding, state, half);
}

function step(tree: readonly number[], padding: ReadonlyMap<number, number>, state: number, half: number): number {
  let node = state;
  let entry = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = tree[2 * node + ((half >> bit) & 1)]!;
    if (node >= 0) continue;
    const symbol = -1 - node;
    // RFC 7541 5.2: EOS itself never appears.
    if (symbol === eos) return failed;
    entry |= emits | (symbol << 16);
    node = 0;
  }
  return entry | node | (padding.get(node) ?? 0);
}

makeTransitions();

/**
 * Decodes `bytes[from, to)` to the beginning of `out`, which has room for twice as much. Returns how many bytes that made; -1: it is
 * no such code. `loosely`: eight bits of padding pass, as they do with Nginx.
 */
export function huffmanDecode(
  bytes: Uint8Array,
  [from, to]: readonly [from: number, to: number],
  out: Uint8Array,
  loosely = false,
): number {
  let state = 0;
  let entry = accepted | acceptedLoosely;
  let at = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    entry = transitions[state * 16 + (byte >> 4)]!;
    if ((entry & emits) !== 0) out[at++] = entry >> 16;
    if ((entry & failed) !== 0) return -1;
    entry = transitions[(entry & 0xffff) * 16 + (byte & 15)]!;
    if ((entry & emits) !== 0) out[at++] = entry >> 16;
    if ((entry & failed) !== 0) return -1;
    state = entry & 0xffff;
  }
  return (entry & (loosely ? acceptedLoosely : accepted)) !== 0 ? at : -1;
}

/** Bytes that the text takes when it is encoded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 255]!;
  return (bits + 7) >> 3;
}

/** Encodes latin-1 text at `out[at]`; returns where it ends. */
export function huffmanEncode(text: string, out: Uint8Array, at: number): number {
  // Up to seven bits wait for the next code, which has up to thirty: more than the operators' 32.
  let waiting = 0;
  let count = 0;
  let to = at;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 255;
    const length = lengths[symbol]!;
    const bits = codes[symbol]!;
    if (length > 24) {
      // In two parts.
      const low = length - 16;
      waiting = (waiting << 16) | (bits >>> low);
      count += 16;
      while (count >= 8) {
        count -= 8;
        out[to++] = waiting >>> count;
      }
      waiting = (waiting << low) | (bits & ((1 << low) - 1));
      count += low;
    } else {
      waiting = (waiting << length) | bits;
      count += length;
    }
    while (count >= 8) {
      count -= 8;
      out[to++] = waiting >>> count;
    }
  }
  if (count > 0) out[to++] = (waiting << (8 - count)) | (0xff >> count);
  return to;
}
