/**
 * The uwsgi protocol, client side: four bytes (modifier1, the length of what follows, modifier2), then names and values, each
 * behind its length. Lengths are 16 bits, the lower byte first. https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
 */
import { CgiClient } from "../cgi/client.ts";
import type { GatewayHead } from "../cgi/params.ts";

export interface UwsgiHead extends GatewayHead {
  readonly modifier1: number;
  readonly modifier2: number;
  /** Put behind the values as it is (`uwsgi_string`). */
  readonly string: string;
}

/** Most bytes of all names and values. */
const mostBytes = 65_535;

/** Throws where it would be longer than its length can say. */
export function uwsgiPacket({ params, modifier1, modifier2, string }: UwsgiHead): Uint8Array {
  let length = string.length;
  for (const [name, value] of params) length += 4 + name.length + value.length;
  if (length > mostBytes) throw new Error(`uwsgi request is too big: ${length}`);
  const packet = Buffer.allocUnsafe(4 + length);
  packet[0] = modifier1;
  packet.writeUInt16LE(length, 1);
  packet[3] = modifier2;
  let at = 4;
  const write = (text: string): void => {
    at = packet.writeUInt16LE(text.length, at);
    at += packet.write(text, at, "latin1");
  };
  for (const [name, value] of params) {
    write(name);
    write(value);
  }
  packet.write(string, at, "latin1");
  return packet;
}

export const uwsgiClient = (): CgiClient<UwsgiHead> => new CgiClient(uwsgiPacket);
