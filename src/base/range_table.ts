/** Values of ranges of IPv4 addresses (`geo` with `ranges`). A narrower range may be added into a wider one, never across its ends. */
import { parseIpv4 } from "./address.ts";
import type { BinaryAddress } from "./cidr.ts";

/** Both ends belong to it. Addresses as numbers of 32 bits. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** Reads `192.0.2.0-192.0.2.255`. undefined: it is no range. */
export function parseRange(text: string): AddressRange | undefined {
  const dash = text.indexOf("-");
  const [first, last] = [parseIpv4(text.slice(0, Math.max(dash, 0))), parseIpv4(text.slice(dash + 1))];
  if (first === undefined || last === undefined) return undefined;
  const range = { first: numberOf(first), last: numberOf(last) };
  return range.first <= range.last ? range : undefined;
}

/** `192.0.2.0-192.0.2.255` */
export const formatRange = ({ first, last }: AddressRange): string => `${dotted(first)}-${dotted(last)}`;

const dotted = (n: number): string => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join(".");
const numberOf = (bytes: Uint8Array): number =>
  ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;

/** What adding a range met. */
export interface RangeResult<V> {
  /** Values that exactly this range (or its part in one block of 65,536 addresses) had; they are replaced. */
  readonly replaced: readonly V[];
  /** A range across whose end the new one goes. What lies before it has been added: the configuration is wrong as a whole. */
  readonly overlaps: AddressRange | undefined;
}

interface Row<V> {
  first: number;
  last: number;
  value: V;
}

const blockSize = 0x10000;

/**
 * Ranges are kept in blocks of 65,536 addresses: an address is looked for in its block alone, and the rules about ranges
 * within ranges hold for each block by itself (as Nginx's do, which shows where wide ranges meet).
 */
export class RangeTable<V> {
  /** Sorted, without gaps in meaning: rows of a block never overlap. */
  readonly #blocks = new Map<number, Row<V>[]>();

  add(range: AddressRange, value: V): RangeResult<V> {
    const replaced: V[] = [];
    for (const { block, first, last } of parts(range)) {
      const rows = this.#blocks.get(block) ?? [];
      if (rows.length === 0) this.#blocks.set(block, rows);
      const at = rowAt(rows, last);
      const row = rows[at];
      if (row === undefined || row.last < first) {
        rows.splice(at + 1, 0, { first, last, value });
        continue;
      }
      if (first < row.first || last > row.last) {
        return { replaced, overlaps: { first: row.first, last: row.last } };
      }
      if (first === row.first && last === row.last) replaced.push(row.value);
      const pieces: Row<V>[] = [];
      if (first > row.first) pieces.push({ ...row, last: first - 1 });
      pieces.push({ first, last, value });
      if (last < row.last) pieces.push({ ...row, first: last + 1 });
      rows.splice(at, 1, ...pieces);
    }
    return { replaced, overlaps: undefined };
  }

  /** Removes exactly this range. False: it, or a part of it in one block, was not there. */
  delete(range: AddressRange): boolean {
    let complete = true;
    for (const { block, first, last } of parts(range)) {
      const rows = this.#blocks.get(block) ?? [];
      const at = rowAt(rows, last);
      if (rows[at]?.first === first && rows[at].last === last) rows.splice(at, 1);
      else complete = false;
    }
    return complete;
  }

  /** Who has no IPv4 address is looked up as 255.255.255.255, as Nginx does. */
  find(address: BinaryAddress): V | undefined {
    const wanted = address.length === 4 ? numberOf(address) : 0xffffffff;
    const rows = this.#blocks.get(Math.floor(wanted / blockSize));
    if (rows === undefined) return undefined;
    const row = rows[rowAt(rows, wanted)];
    return row !== undefined && wanted <= row.last ? row.value : undefined;
  }
}

/** The last row that begins at or before an address; -1: none does. */
function rowAt(rows: readonly Row<unknown>[], address: number): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.first <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function* parts({ first, last }: AddressRange): Generator<AddressRange & { block: number }> {
  for (let from = first; from <= last; ) {
    const block = Math.floor(from / blockSize);
    const to = Math.min(last, block * blockSize + blockSize - 1);
    yield { block, first: from, last: to };
    from = to + 1;
  }
}
