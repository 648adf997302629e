/** Whom trusted proxies have forwarded for: X-Forwarded-For, read from its end. */
import { type BinaryAddress, binaryAddress, type CidrSet } from "../base/cidr.ts";

/** Who is at one end of a connection. */
export interface Hop {
  readonly address: BinaryAddress;
  /** 0: nobody has said. */
  readonly port: number;
}

/**
 * The address before those of trusted proxies. `fields`: the values of X-Forwarded-For in their order. Not `recursive`: only
 * the last address of the last field counts. What is no address ends the search: `address`, or what was found before it.
 */
export function forwardedAddress(
  address: BinaryAddress,
  fields: readonly string[],
  proxies: CidrSet,
  recursive: boolean,
): BinaryAddress {
  return forwardedHop({ address, port: 0 }, fields, proxies, recursive).address;
}

/** The same with the port; `peer` itself, if it is nobody else. */
export function forwardedHop(peer: Hop, fields: readonly string[], proxies: CidrSet, recursive: boolean): Hop {
  let found = peer;
  const hops = (recursive ? fields : fields.slice(-1)).flatMap((field) => field.split(/[ ,]+/)).filter(Boolean);
  while (proxies.has(found.address)) {
    const text = hops.pop();
    const before = text === undefined ? undefined : readHop(text);
    if (before === undefined) return found;
    found = before;
    if (!recursive) break;
  }
  return found;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80` */
function readHop(text: string): Hop | undefined {
  const [, v6, v6Port, v4, v4Port] = /^(?:\[([^\]]*)\](?::(\d{1,5}))?|([\d.]+):(\d{1,5}))$/.exec(text) ?? [];
  const host = v6 ?? v4 ?? text;
  const port = Number(v6Port ?? v4Port ?? 0);
  const address = host.startsWith("unix:") || port > 65535 ? undefined : binaryAddress(host);
  return address === undefined ? undefined : { address, port };
}
