/**
 * SCGI, client side: a netstring of names and values, each with a NUL behind it, CONTENT_LENGTH first.
 * https://python.ca/scgi/protocol.txt
 */
import { CgiClient } from "../cgi/client.ts";
import type { GatewayHead } from "../cgi/params.ts";

/** Throws for a NUL within: what follows it would be another name or value. */
export function scgiPacket({ params, bodyLength = 0 }: GatewayHead): Uint8Array {
  if (bodyLength < 0) throw new Error("an SCGI request needs to know the length of its body");
  let text = `CONTENT_LENGTH\0${bodyLength}\0`;
  for (const [name, value] of params) {
    if (name.includes("\0") || value.includes("\0")) throw new Error(`invalid character in SCGI param "${name}"`);
    text += `${name}\0${value}\0`;
  }
  return Buffer.from(`${text.length}:${text},`, "latin1");
}

export const scgiClient = (): CgiClient<GatewayHead> => new CgiClient(scgiPacket);
