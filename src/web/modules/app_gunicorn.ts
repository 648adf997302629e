/** What Gunicorn's applications find in their environ beyond PEP 3333, where the configuration asks for it (`request_parsing gunicorn`). */
import type { TextWriter } from "../../app/environ.ts";
import type { GunicornConf } from "../core/gunicorn.ts";
import type { Exchange } from "../exchange.ts";
import { connectionOf } from "./realip.ts";

/** The path below the one where a trusted proxy says that the application is mounted, and that place; undefined: it is not below it. */
export interface Mounted {
  readonly path: string;
  readonly scriptName: string;
}

/** Reads the field SCRIPT_NAME of peers that may send it; undefined: the configuration lets nobody. */
export function mounting(
  conf: GunicornConf,
): ((exchange: Exchange, path: string) => Mounted | "elsewhere" | undefined) | undefined {
  const { forwarder_headers: names, forwarded_allow_ips: trusts } = conf;
  if (!names.includes("*") && !names.includes("SCRIPT_NAME")) return undefined;
  return (exchange, path) => {
    const scriptName = exchange.request.headers.get("script_name");
    if (scriptName === undefined || !trusts(connectionOf(exchange).peerAddress)) return undefined;
    return path.startsWith(scriptName) ? { path: path.slice(scriptName.length), scriptName } : "elsewhere";
  };
}

/** A path as Gunicorn decodes it: what is no escape stays. */
export const decodeLoosely = (path: string): string =>
  path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** PROXY_PROTOCOL and what belongs to it. */
export function writeProxyFacts(to: TextWriter, exchange: Exchange): void {
  const { source, destination } = connectionOf(exchange).proxy ?? {};
  if (source === undefined || destination === undefined) return;
  const family = source.address.includes(":") ? "TCP6" : "TCP4";
  to.text(`\nPROXY_PROTOCOL\n${family}\nPROXY_ADDR\n${destination.address}\nPROXY_PORT\n${destination.port}`);
}
