/** Which server of an address a Host means: exact names, `*.example.com`, `www.example.*`, regular expressions, in this order. */
import type { Pattern } from "../config/regex.ts";
import type { Exchange } from "./exchange.ts";

/** A `server_name` as it was understood. */
export type ServerName =
  | { readonly kind: "exact"; readonly name: string }
  /** `*.example.com`: ".example.com"; `.example.com` is this one and the exact one. */
  | { readonly kind: "head"; readonly suffix: string }
  /** `www.example.*`: "www.example." */
  | { readonly kind: "tail"; readonly prefix: string }
  | {
      readonly kind: "regex";
      readonly pattern: Pattern;
      captured(exchange: Exchange, found: readonly (string | undefined)[]): void;
    };

/** V: what a name leads to. The first server that claims a name keeps it. */
export class ServerNames<V> {
  readonly #exact = new Map<string, V>();
  readonly #heads = new Map<string, V>();
  readonly #tails = new Map<string, V>();
  readonly #regexes: [Extract<ServerName, { kind: "regex" }>, V][] = [];

  /** False: another one has this name already; it is ignored. */
  add(name: ServerName, value: V): boolean {
    if (name.kind === "regex") {
      this.#regexes.push([name, value]);
      return true;
    }
    const [table, key] =
      name.kind === "exact"
        ? [this.#exact, name.name]
        : name.kind === "head"
          ? [this.#heads, name.suffix]
          : [this.#tails, name.prefix];
    if (table.has(key)) return false;
    table.set(key, value);
    return true;
  }

  /** `host`: lower case, without port. `regex`: told of the match, if an expression decided. */
  find(
    host: string,
    regex: (name: Extract<ServerName, { kind: "regex" }>, found: readonly (string | undefined)[]) => void,
  ): V | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    if (this.#heads.size > 0) {
      for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
        const found = this.#heads.get(host.slice(dot));
        if (found !== undefined) return found;
      }
    }
    if (this.#tails.size > 0) {
      for (let dot = host.lastIndexOf("."); dot > 0; dot = host.lastIndexOf(".", dot - 1)) {
        const found = this.#tails.get(host.slice(0, dot + 1));
        if (found !== undefined) return found;
      }
    }
    for (const [name, value] of this.#regexes) {
      const found = name.pattern.exec(host);
      if (found === undefined) continue;
      regex(name, found);
      return value;
    }
    return undefined;
  }
}
