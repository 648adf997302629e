/** The PROXY protocol's header, with which every connection begins (`listen … proxy_protocol`). */
import { readProxyHeader } from "../net/proxy_protocol.ts";
import type { TransportHandler } from "../net/transport.ts";
import type { ProxyHeader } from "../web/exchange.ts";
import { more, type PrefaceReader, type Verdict } from "./preface.ts";

export class ProxyPreface implements PrefaceReader {
  readonly #accept: (proxy: ProxyHeader) => TransportHandler;

  constructor(accept: (proxy: ProxyHeader) => TransportHandler) {
    this.#accept = accept;
  }

  read(bytes: Uint8Array): Verdict {
    const found = readProxyHeader(bytes);
    if (found.kind === "more") return more;
    if (found.kind === "invalid") return { kind: "broken", why: `${found.message} while reading PROXY protocol` };
    const next = this.#accept({ source: found.source, destination: found.destination, tlvs: found.tlvs });
    return { kind: "understood", next, rest: bytes.subarray(found.length) };
  }
}
