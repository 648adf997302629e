/** Where a socket is bound: Gunicorn's and Nginx's ways to write it down. */

export type Address =
  | { readonly kind: "tcp"; readonly family: 4 | 6; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  /** A listening socket that somebody else has made and handed over: `fd://N`. */
  | { readonly kind: "fd"; readonly fd: number };

/**
 * Reads `HOST`, `HOST:PORT`, `[V6]:PORT`, `:PORT`, `unix:PATH`, `fd://N`, each with an optional `tcp://` or `http://` (Gunicorn's `bind`).
 * An empty host is every IPv4 address; a name other than `localhost` must be an IP address.
 * Returns a message for the user instead if it cannot be read.
 */
export function parseAddress(text: string, defaultPort: number): Address | string {
  if (text.startsWith("unix:")) {
    const path = text.slice(5).replace(/^\/\//, "");
    // sockaddr_un holds 108 bytes with the closing NUL.
    if (path === "" || Buffer.byteLength(path) > 107) return `"${text}": a Unix socket's path has 1 to 107 bytes`;
    return { kind: "unix", path };
  }
  const fd = /^fd:\/\/(\d+)$/.exec(text);
  if (fd !== null) return { kind: "fd", fd: Number(fd[1]) };
  const found = /^(?:(?:tcp|http):\/\/)?(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d+))?$/.exec(text);
  if (found === null) return `"${text}" is not an address: use HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N`;
  const port = found[3] === undefined ? defaultPort : Number(found[3]);
  if (port > 65535) return `"${text}": a port is 0 to 65535`;
  const v6 = found[1];
  if (v6 !== undefined) {
    return parseIpv6(v6) === undefined ? `"${v6}" is not an IPv6 address` : { kind: "tcp", family: 6, host: v6, port };
  }
  const host = found[2] === "" ? "0.0.0.0" : found[2] === "localhost" ? "127.0.0.1" : (found[2] ?? "");
  if (parseIpv4(host) === undefined) return `"${host}" is not an IP address (only "localhost" is known by name)`;
  return { kind: "tcp", family: 4, host, port };
}

/** The address as a user would write it: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/app.sock`. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case "unix":
      return `unix:${address.path}`;
    case "fd":
      return `fd://${address.fd}`;
    case "tcp":
      return address.family === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
  }
}

/** The four bytes of a dotted quad, or undefined. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return Uint8Array.from(parts, Number);
}

/** The sixteen bytes of an IPv6 address in text (RFC 4291 2.2), or undefined. */
export function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map(groups);
  if (before === undefined) return undefined;
  if (halves.length === 1) return before.length === 8 ? bytesOf(before) : undefined;
  if (after === undefined || before.length + after.length > 7) return undefined;
  return bytesOf([...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]);
}

function groups(text: string): number[] | undefined {
  if (text === "") return [];
  const found: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    const quad = i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad !== undefined) found.push(quad[0]! * 256 + quad[1]!, quad[2]! * 256 + quad[3]!);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) found.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return found;
}

function bytesOf(sixteens: readonly number[]): Uint8Array {
  return Uint8Array.from(sixteens.flatMap((group) => [group >> 8, group & 255]));
}
