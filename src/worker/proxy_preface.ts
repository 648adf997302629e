/** The PROXY protocol's header, with which every connection begins (`listen … proxy_protocol`). */
import { readProxyHeader } from "../net/proxy_protocol.ts";
import type { ProxyHeader } from "../web/exchange.ts";
import { more, type PrefaceReader, type Verdict } from "./preface.ts";
import type { ServedHandler } from "./service.ts";

export class ProxyPreface implements PrefaceReader {
  readonly #accept: (proxy: ProxyHeader) => ServedHandler;

  constructor(accept: (proxy: ProxyHeader) => ServedHandler) {
    this.#accept = accept;
  }

  read(bytes: Uint8Array): Verdict {
    const found = readProxyHeader(bytes);
    if (found.kind === "more") return more;
    if (found.kind === "invalid") return { kind: "broken", why: `${found.message} while reading PROXY protocol` };
    const { source, destination, tlvs } = found;
    const next = () => this.#accept({ source, destination, tlvs });
    return { kind: "understood", next, rest: bytes.subarray(found.length) };
  }
}
