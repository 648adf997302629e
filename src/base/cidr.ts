/**
 * Networks in the notation of Nginx (`10.0.0.0/8`, `2001:db8::/32`, `unix:`), and tables of them: the first that matches
 * (`allow`, `set_real_ip_from`), the longest prefix that matches, and ranges (`geo`).
 */
import { parseIpv4, parseIpv6 } from "./address.ts";

/**
 * An address as its bytes: 4, 16, or none for a peer on a Unix socket. IPv4 in IPv6's clothes (`::ffff:192.0.2.1`) is IPv4:
 * `binaryAddress` undresses it.
 */
export type BinaryAddress = Uint8Array;

const unixAddress = new Uint8Array(0);

/** The bytes of an address in text; "" and `unix:` are a Unix socket. undefined: it is no address. */
export function binaryAddress(text: string): BinaryAddress | undefined {
  if (text === "" || text.startsWith("unix:")) return unixAddress;
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return v4;
  const v6 = parseIpv6(text);
  return v6 !== undefined && isMapped(v6) ? v6.subarray(12) : v6;
}

function isMapped(v6: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (v6[i] !== 0) return false;
  return v6[10] === 255 && v6[11] === 255;
}

/** A network. `address` has its low bits cleared. */
export interface Cidr {
  /** 0: all Unix sockets. */
  readonly family: 4 | 6 | 0;
  readonly address: BinaryAddress;
  readonly bits: number;
}

export interface ParsedCidr {
  readonly cidr: Cidr;
  /** Bits were set outside of the network: worth a warning, `meaninglessBits`. */
  readonly lowBits: boolean;
}

/** Reads `ADDRESS`, `ADDRESS/BITS`, `unix:`. undefined: it is none of these. An IPv4 network in IPv6's notation stays IPv6, and matches nothing, as with Nginx. */
export function parseCidr(text: string): ParsedCidr | undefined {
  if (text === "unix:") return { cidr: { family: 0, address: unixAddress, bits: 0 }, lowBits: false };
  const found = /^([^/]*)(?:\/(\d{1,9}))?$/.exec(text);
  if (found === null) return undefined;
  const [, addressText = "", bitsText] = found;
  const address = parseIpv4(addressText) ?? parseIpv6(addressText);
  if (address === undefined) return undefined;
  const bits = bitsText === undefined ? address.length * 8 : Number(bitsText);
  if (bits > address.length * 8) return undefined;
  const lowBits = clearLowBits(address, bits);
  return { cidr: { family: address.length === 4 ? 4 : 6, address, bits }, lowBits };
}

/** The warning for a network with bits set that its length leaves out. */
export const meaninglessBits = (text: string): string => `low address bits of ${text} are meaningless`;

/** True: some were set. */
function clearLowBits(address: Uint8Array, bits: number): boolean {
  let some = false;
  for (let i = 0; i < address.length; i++) {
    const keep = Math.min(Math.max(bits - 8 * i, 0), 8);
    const cleared = address[i]! & (0xff << (8 - keep));
    if (cleared !== address[i]) some = true;
    address[i] = cleared;
  }
  return some;
}

/** The 32 bits from `at` on, as a signed number: how they compare does not matter where they are only compared for equality. */
const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;

const maskOf = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits));

/** Values of networks in the order in which they were added: the first network that an address is in decides. */
export class CidrTable<V> {
  /** Address and mask, one pair for each network. */
  readonly #v4: number[] = [];
  readonly #v4Values: V[] = [];
  /** Four such pairs for each network. */
  readonly #v6: number[] = [];
  readonly #v6Values: V[] = [];
  readonly #unixValues: V[] = [];

  add({ family, address, bits }: Cidr, value: V): void {
    if (family === 0) this.#unixValues.push(value);
    else if (family === 4) {
      this.#v4.push(word(address, 0), maskOf(bits));
      this.#v4Values.push(value);
    } else {
      for (let i = 0; i < 4; i++) this.#v6.push(word(address, 4 * i), maskOf(bits - 32 * i));
      this.#v6Values.push(value);
    }
  }

  /** Adds a value for every address of every family (`all`). */
  addAll(value: V): void {
    this.add({ family: 4, address: new Uint8Array(4), bits: 0 }, value);
    this.add({ family: 6, address: new Uint8Array(16), bits: 0 }, value);
    this.#unixValues.push(value);
  }

  get size(): number {
    return this.#v4Values.length + this.#v6Values.length + this.#unixValues.length;
  }

  find(address: BinaryAddress): V | undefined {
    if (address.length === 4) {
      const wanted = word(address, 0);
      const rows = this.#v4;
      for (let i = 0; i < rows.length; i += 2) if ((wanted & rows[i + 1]!) === rows[i]) return this.#v4Values[i >> 1];
      return undefined;
    }
    return address.length === 0 ? this.#unixValues[0] : this.#findV6(address);
  }

  #findV6(address: BinaryAddress): V | undefined {
    const rows = this.#v6;
    if (rows.length === 0) return undefined;
    const [a, b, c, d] = [word(address, 0), word(address, 4), word(address, 8), word(address, 12)];
    for (let i = 0; i < rows.length; i += 8) {
      if ((a & rows[i + 1]!) !== rows[i] || (b & rows[i + 3]!) !== rows[i + 2]) continue;
      if ((c & rows[i + 5]!) === rows[i + 4] && (d & rows[i + 7]!) === rows[i + 6]) return this.#v6Values[i >> 3];
    }
    return undefined;
  }
}

/** Networks without values: is an address in one of them? */
export class CidrSet {
  readonly #table = new CidrTable<true>();

  add(cidr: Cidr): void {
    this.#table.add(cidr, true);
  }

  get size(): number {
    return this.#table.size;
  }

  has(address: BinaryAddress): boolean {
    return this.#table.find(address) === true;
  }
}
