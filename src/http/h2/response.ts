/** Response heads into header blocks (RFC 9113 8.3.2). */
import type { Headers } from "../headers.ts";
import { fieldName } from "../headers.ts";
import type { ResponseHead } from "../message.ts";
import { fieldOverhead, type HpackEncoder, outName } from "./hpack_encoder.ts";

const serverName = outName(fieldName("server"));
const dateName = outName(fieldName("date"));
/** ":status", "server" and "date" in full, and changes of the table's size. */
const fixedRoom = 80;

/** What a block of these fields takes at most, bytes. `extra`: characters beside them. */
export function roomFor({ names, values }: Headers, extra: number): number {
  let room = fixedRoom + extra;
  for (let i = 0; i < names.length; i++) room += names[i]!.raw.length + values[i]!.length + fieldOverhead;
  return room;
}

/** `server`, `date`: added unless the head has its own (RFC 9110 6.6.1, 10.2.4); "": none. */
export function encodeHead(
  encoder: HpackEncoder,
  { status, headers }: ResponseHead,
  server: string,
  date: string,
): void {
  const { names, values } = headers;
  if (!Number.isInteger(status) || status < 100 || status > 999) throw new Error(`invalid status ${status}`);
  encoder.status(status);
  let ownServer = date === "" ? "" : server;
  let ownDate = date;
  for (let i = 0; i < names.length; i++) {
    const name = outName(names[i]!);
    if (name === serverName) ownServer = "";
    else if (name === dateName) ownDate = "";
    // RFC 9110 8.6
    else if (status === 204 && name.lower === "content-length") continue;
    encoder.field(name, values[i]!);
  }
  if (ownServer !== "") encoder.field(serverName, ownServer);
  if (ownDate !== "") encoder.field(dateName, ownDate);
}

export function encodeTrailers(encoder: HpackEncoder, { names, values }: Headers): void {
  for (let i = 0; i < names.length; i++) encoder.field(outName(names[i]!), values[i]!);
}
