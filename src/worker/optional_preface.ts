/** The PROXY protocol's header, where it need not come (Gunicorn's `proxy_protocol`): whoever begins otherwise speaks HTTP. */
import { binaryAddress } from "../base/cidr.ts";
import { readProxyHeader } from "../net/proxy_protocol.ts";
import type { ProxyHeader } from "../web/exchange.ts";
import { more, type PrefaceReader, refused, type Verdict } from "./preface.ts";
import type { ServedHandler } from "./service.ts";

export interface PrefaceRules {
  readonly mode: "v1" | "v2" | "auto";
  /** Peers that may send a header; others are refused if they do. */
  readonly allows: (peerAddress: string) => boolean;
}

const beginnings = {
  v1: Buffer.from("PROXY ", "latin1"),
  v2: Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"),
} as const;

export class OptionalPreface implements PrefaceReader {
  readonly #rules: PrefaceRules;
  readonly #accept: (proxy: ProxyHeader | undefined) => ServedHandler;

  constructor(rules: PrefaceRules, accept: (proxy: ProxyHeader | undefined) => ServedHandler) {
    this.#rules = rules;
    this.#accept = accept;
  }

  read(bytes: Uint8Array, peerAddress: string): Verdict {
    const { mode, allows } = this.#rules;
    const names = mode === "auto" ? (["v1", "v2"] as const) : ([mode] as const);
    const begun = names.find((name) => agree(bytes, beginnings[name]));
    if (begun === undefined) return { kind: "understood", next: this.ended(), rest: bytes };
    if (bytes.length < beginnings[begun].length) return more;
    if (!allows(peerAddress)) return refused("403 Forbidden", "a PROXY header from a peer that may not send one");
    const found = readProxyHeader(bytes);
    if (found.kind === "more") return more;
    if (found.kind === "invalid") return refused("400 Bad Request", found.message);
    if (found.source !== undefined && !isAddress(found.source.address))
      return refused("400 Bad Request", "invalid address");
    const { source, destination, tlvs } = found;
    const next = () => this.#accept({ source, destination, tlvs });
    return { kind: "understood", next, rest: bytes.subarray(found.length) };
  }

  /** What has begun like a header, and did not end, is none. */
  ended(): () => ServedHandler {
    return () => this.#accept(undefined);
  }
}

function agree(bytes: Uint8Array, expected: Uint8Array): boolean {
  const length = Math.min(bytes.length, expected.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== expected[i]) return false;
  return true;
}

const isAddress = (text: string): boolean => binaryAddress(text) !== undefined && text !== "";
