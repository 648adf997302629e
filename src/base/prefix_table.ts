/** Values of networks, of which the narrowest that an address is in decides (`geo`). */
import type { BinaryAddress, Cidr } from "./cidr.ts";

/** Nginx looks up who has no IP address under this one. */
const nobody = Uint8Array.of(255, 255, 255, 255);

export class PrefixTable<V> {
  readonly #v4 = new BitTree<V>();
  readonly #v6 = new BitTree<V>();

  /** Sets a network's value; returns the value that exactly this network had before, if any. Unix sockets have none of their own. */
  set(cidr: Cidr, value: V): V | undefined {
    return this.#tree(cidr)?.set(cidr.address, cidr.bits, value);
  }

  /** Sets what holds where nothing else does. */
  setDefault(value: V): V | undefined {
    const before = this.#v4.set(new Uint8Array(4), 0, value);
    return this.#v6.set(new Uint8Array(16), 0, value) ?? before;
  }

  /** False: exactly this network has no value. */
  delete(cidr: Cidr): boolean {
    return this.#tree(cidr)?.set(cidr.address, cidr.bits, undefined) !== undefined;
  }

  find(address: BinaryAddress): V | undefined {
    return address.length === 16 ? this.#v6.find(address) : this.#v4.find(address.length === 4 ? address : nobody);
  }

  #tree({ family }: Cidr): BitTree<V> | undefined {
    return family === 4 ? this.#v4 : family === 6 ? this.#v6 : undefined;
  }
}

/** A node for each bit of a prefix. Nodes are numbers, not objects: a country's networks are many. */
class BitTree<V> {
  /** The nodes after node n by a 0 and a 1: at 2n and 2n + 1; 0: none, for nothing leads to the root. */
  readonly #next: number[] = [0, 0];
  readonly #values: (V | undefined)[] = [undefined];

  set(address: Uint8Array, bits: number, value: V | undefined): V | undefined {
    let node = 0;
    for (let i = 0; i < bits; i++) {
      const way = 2 * node + bit(address, i);
      node = this.#next[way]!;
      if (node !== 0) continue;
      if (value === undefined) return undefined;
      node = this.#values.push(undefined) - 1;
      this.#next.push(0, 0);
      this.#next[way] = node;
    }
    const before = this.#values[node];
    this.#values[node] = value;
    return before;
  }

  find(address: Uint8Array): V | undefined {
    let found = this.#values[0];
    let node = 0;
    for (let i = 0; i < address.length * 8; i++) {
      node = this.#next[2 * node + bit(address, i)]!;
      if (node === 0) break;
      found = this.#values[node] ?? found;
    }
    return found;
  }
}

const bit = (address: Uint8Array, at: number): number => (address[at >> 3]! >> (7 - (at & 7))) & 1;
