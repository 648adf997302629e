/** Whom trusted proxies have forwarded for: X-Forwarded-For, read from its end. */
import { type BinaryAddress, binaryAddress, type CidrSet } from "../base/cidr.ts";

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
  let found = address;
  const hops = (recursive ? fields : fields.slice(-1)).flatMap((field) => field.split(/[ ,]+/)).filter(Boolean);
  while (proxies.has(found)) {
    const hop = hops.pop();
    const before = hop === undefined ? undefined : hopAddress(hop);
    if (before === undefined) return found;
    found = before;
    if (!recursive) break;
  }
  return found;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`: the port says nothing about who it is. */
function hopAddress(text: string): BinaryAddress | undefined {
  const [, v6, v4] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? v4 ?? text;
  return host.startsWith("unix:") ? undefined : binaryAddress(host);
}
