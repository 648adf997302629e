/** Which location a path belongs to: exact, the longest prefix, or the first regular expression (Nginx's `location`). */
import type { Pattern } from "../config/regex.ts";
import type { Reply } from "../http/message.ts";
import type { Exchange } from "./exchange.ts";
import type { Location } from "./pipeline.ts";

/** A location with its place in the order of things. */
export interface LocationEntry {
  readonly match:
    | { readonly kind: "exact" | "prefix"; readonly path: string /** `^~` */; readonly beforeRegex: boolean }
    | {
        readonly kind: "regex";
        readonly pattern: Pattern;
        captured(exchange: Exchange, found: readonly (string | undefined)[]): void;
      };
  readonly location: Location;
  readonly inner: Locations | undefined;
  /** What a request gets that lacks the slash at the end of `path`. */
  readonly addSlash: ((exchange: Exchange) => Reply) | undefined;
}

interface Node {
  /** What follows the parent's text. */
  readonly text: string;
  entry: LocationEntry | undefined;
  /** By the first character of their text. */
  readonly next: Map<number, Node>;
}

/** The locations of one level: a server's, or those inside another location. */
export class Locations {
  readonly #exact = new Map<string, LocationEntry>();
  readonly #withoutSlash = new Map<string, (exchange: Exchange) => Reply>();
  readonly #root: Node = { text: "", entry: undefined, next: new Map() };
  readonly #regexes: LocationEntry[] = [];

  constructor(entries: readonly LocationEntry[]) {
    const prefixes: [string, LocationEntry][] = [];
    for (const entry of entries) {
      const { match } = entry;
      if (match.kind === "regex") {
        this.#regexes.push(entry);
        continue;
      }
      if (match.kind === "exact") this.#exact.set(match.path, entry);
      else prefixes.push([match.path, entry]);
      if (entry.addSlash !== undefined && match.path.length > 1 && match.path.endsWith("/"))
        this.#withoutSlash.set(match.path.slice(0, -1), entry.addSlash);
    }
    // Shorter ones first: each becomes an inner node of the longer ones.
    for (const [path, entry] of prefixes.sort(([a], [b]) => a.length - b.length)) insert(this.#root, path, entry);
  }

  /**
   * Puts the location of `exchange.uri` into the exchange. A reply: the path lacks its slash. True: this one and no other;
   * false: a regular expression further out may still be nearer (or none of these matches).
   */
  find(exchange: Exchange): boolean | Reply {
    const { uri } = exchange;
    const exact = this.#exact.size === 0 ? undefined : this.#exact.get(uri);
    if (exact !== undefined) {
      exchange.location = exact.location;
      return true;
    }
    const prefix = longest(this.#root, uri);
    const path = prefix?.match.kind === "prefix" ? prefix.match.path : "";
    if (this.#withoutSlash.size > 0 && path.length < uri.length) {
      const redirect = this.#withoutSlash.get(uri);
      if (redirect !== undefined) return redirect(exchange);
    }
    if (prefix === undefined) return this.#findRegex(exchange);
    exchange.location = prefix.location;
    const inside = prefix.inner?.find(exchange) ?? false;
    if (inside !== false) return inside;
    return prefix.match.kind === "prefix" && prefix.match.beforeRegex ? false : this.#findRegex(exchange);
  }

  #findRegex(exchange: Exchange): boolean | Reply {
    for (const { match, location, inner } of this.#regexes) {
      if (match.kind !== "regex") continue;
      const found = match.pattern.exec(exchange.uri);
      if (found === undefined) continue;
      match.captured(exchange, found);
      exchange.location = location;
      const inside = inner?.find(exchange) ?? true;
      return inside === false ? true : inside;
    }
    return false;
  }
}

function insert(root: Node, path: string, entry: LocationEntry): void {
  let node = root;
  for (let at = 0; ; ) {
    if (at === path.length) {
      node.entry = entry;
      return;
    }
    const next = node.next.get(path.charCodeAt(at));
    if (next === undefined) {
      node.next.set(path.charCodeAt(at), { text: path.slice(at), entry, next: new Map() });
      return;
    }
    const common = commonLength(next.text, path, at);
    node = common === next.text.length ? next : splitNode(node, next, common);
    at += common;
  }
}

function commonLength(text: string, path: string, at: number): number {
  let length = 0;
  while (length < text.length && text.charCodeAt(length) === path.charCodeAt(at + length)) length++;
  return length;
}

/** The first `length` characters of a node become one of their own above the rest. */
function splitNode(parent: Node, node: Node, length: number): Node {
  const upper: Node = { text: node.text.slice(0, length), entry: undefined, next: new Map() };
  const lower: Node = { text: node.text.slice(length), entry: node.entry, next: node.next };
  upper.next.set(lower.text.charCodeAt(0), lower);
  parent.next.set(upper.text.charCodeAt(0), upper);
  return upper;
}

/** The entry of the longest path that `uri` begins with. */
function longest(root: Node, uri: string): LocationEntry | undefined {
  let best = root.entry;
  let node = root;
  for (let at = 0; at < uri.length; ) {
    const next = node.next.get(uri.charCodeAt(at));
    if (next === undefined || !uri.startsWith(next.text, at)) return best;
    at += next.text.length;
    node = next;
    if (next.entry !== undefined) best = next.entry;
  }
  return best;
}
