/** Names of hosts by the system's own means (/etc/hosts, its DNS servers), for names in a configuration: it waits for the answer. */
import { type Pointer, read, toArrayBuffer } from "bun:ffi";
import { ipv6Text } from "./dns_message.ts";
import { openLibc } from "./system_library.ts";

const signatures = {
  getaddrinfo: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  freeaddrinfo: { args: ["ptr"], returns: "void" },
} as const;

const libc = openLibc(signatures);

const family = { v4: 2, v6: 10 } as const;
const sockStream = 1; // Otherwise every address comes once for each type of socket.
/** Offsets in `struct addrinfo`. */
const field = { family: 4, socketType: 8, address: 24, next: 40 } as const;
const addrinfoBytes = 48;

export interface HostAddress {
  readonly family: 4 | 6;
  readonly host: string;
}

/** All addresses of a host, IPv4 first as Nginx has them; empty: there is no such host. Blocks: not for use while serving. */
export function lookUpHost(name: string): HostAddress[] {
  if (name === "" || name.includes("\0")) return [];
  const hints = new Uint8Array(addrinfoBytes);
  new Int32Array(hints.buffer)[field.socketType / 4] = sockStream;
  const result = new BigUint64Array(1);
  if (libc.getaddrinfo(Buffer.from(`${name}\0`, "latin1"), null, hints, result) !== 0) return [];
  const first = Number(result[0]) as Pointer;
  const found: HostAddress[] = [];
  for (let at: number = first; at !== 0; at = read.ptr(at as Pointer, field.next)) {
    const address = read.ptr(at as Pointer, field.address) as Pointer;
    const kind = read.i32(at as Pointer, field.family);
    if (kind === family.v4) {
      found.push({ family: 4, host: new Uint8Array(toArrayBuffer(address, 4, 4)).join(".") });
    } else if (kind === family.v6) {
      found.push({ family: 6, host: ipv6Text(new Uint8Array(toArrayBuffer(address, 8, 16))) });
    }
  }
  libc.freeaddrinfo(first);
  return found.sort((a, b) => a.family - b.family);
}
