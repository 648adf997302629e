/** What a client engine has made of bytes, in words, for tests. */
import type { ClientEngine, ClientEvent, ClientHead } from "../../src/http/client_engine.ts";

export const latin1 = (piece: string | Uint8Array): string =>
  typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1");
export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

/** What the engine would send now. */
export const outputOf = (engine: { takeOutput(): readonly (string | Uint8Array)[] }): string =>
  engine.takeOutput().map(latin1).join("");

/** Data is joined: how the bytes were cut must not show. */
export function inWords(events: readonly ClientEvent[]): string[] {
  const found: string[] = [];
  let data: string | undefined;
  for (const event of events) {
    if (event.type === "data") {
      data = (data ?? "") + latin1(event.bytes);
      continue;
    }
    if (data !== undefined) found.push(`data ${data}`);
    data = undefined;
    if (event.type === "noted") found.push(`${event.level}: ${event.detail}`);
    else if (event.type === "failed") found.push(`failed ${event.kind}: ${event.error.detail}`);
    else if (event.type === "end" || event.type === "trailers") found.push(event.type);
    else {
      const { status, reason, headers, framing, bodyLength } = event.head;
      const fields = headers.names.map((name, i) => ` {${name.raw}: ${headers.values[i]}}`).join("");
      found.push(`${event.type} ${status} "${reason}" ${framing} ${bodyLength}${fields}`);
    }
  }
  if (data !== undefined) found.push(`data ${data}`);
  return found;
}

/** What an answer means, read whole and byte by byte by engines that `make` makes and that have sent `head`; that must be the same. */
export function meaningOf<H extends ClientHead>(
  make: () => ClientEngine<H>,
  head: H,
  answer: string,
  closes = false,
): { readonly whole: string[]; readonly bytewise: string[]; readonly engine: ClientEngine<H> } {
  const read = (pieces: readonly string[]) => {
    const engine = make();
    engine.sendHead(head, { headLimit: 200 });
    engine.takeOutput();
    const events = pieces.flatMap((piece) => engine.receive(bytesOf(piece)));
    return { engine, words: inWords(closes ? [...events, ...engine.receiveEnd()] : events) };
  };
  const { engine, words } = read([answer]);
  return { whole: words, bytewise: read([...answer]).words, engine };
}
