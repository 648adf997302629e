/** memcached's text protocol, client side: `get KEY`. https://github.com/memcached/memcached/blob/master/doc/protocol.txt */
import { asBuffer } from "../../base/bytes.ts";
import { prematureEnd } from "../cgi/client.ts";
import type { ClientEngine, ClientEvent, ClientHead, ClientLimits, NoteLevel } from "../client_engine.ts";
import { parseLength } from "../h1/framing.ts";
import { Headers } from "../headers.ts";

export interface MemcachedHead extends ClientHead {
  /** Latin-1 text, as it is: `memcachedKey` makes one. */
  readonly key: string;
  /** Bits of a value's flags that say that it is compressed; 0: nobody asks. */
  readonly gzipFlag: number;
}

const lf = 0x0a;
const trailer = "\r\nEND\r\n";
const usualLimits: ClientLimits = { headLimit: 8192 };
const noEvents: readonly ClientEvent[] = [];
const end: ClientEvent = { type: "end" };

/** A key has neither spaces nor control characters: they are percent-encoded, as "%" is. */
export const memcachedKey = (text: string): string =>
  text.replace(/[\x00-\x20%]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);

export class MemcachedClient implements ClientEngine<MemcachedHead> {
  #out: string[] = [];
  #head: MemcachedHead | undefined;
  #limit = usualLimits.headLimit;
  #state: "idle" | "line" | "value" | "trailer" | "done" | "over" = "idle";
  #line: Buffer | undefined;
  /** Bytes of the value, or of what follows it, that are to come. */
  #rest = 0;

  get reusable(): boolean {
    return this.#state === "idle" || this.#state === "done";
  }

  get requestSent(): boolean {
    return this.#state !== "idle";
  }

  reset(): void {
    if (!this.reusable) throw new Error("this connection cannot carry another request");
    this.#state = "idle";
  }

  sendHead(head: MemcachedHead, limits: ClientLimits = usualLimits): void {
    if (this.#state !== "idle") throw new Error("request out of turn");
    if (head.key === "") throw new Error('the "$memcached_key" variable is not set');
    if (/[\x00-\x20]/.test(head.key)) throw new Error("invalid character in a memcached key");
    this.#out.push(`get ${head.key}\r\n`);
    this.#head = head;
    this.#limit = limits.headLimit;
    this.#state = "line";
  }

  sendData(_bytes: Uint8Array, _last: boolean): void {
    throw new Error("request body out of turn");
  }

  takeOutput(): readonly string[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  receive(bytes: Uint8Array): readonly ClientEvent[] {
    const events: ClientEvent[] = [];
    let at = 0;
    while (at < bytes.length) {
      const rest = bytes.subarray(at);
      if (this.#state === "line") at += this.#readLine(rest, events);
      else if (this.#state === "value") at += this.#readValue(rest, events);
      else if (this.#state === "trailer") at += this.#readTrailer(rest, events);
      else {
        // What nobody has asked for: the next response must not begin with it.
        this.#state = "over";
        break;
      }
    }
    return events;
  }

  receiveEnd(): readonly ClientEvent[] {
    const { reusable } = this;
    const wasOver = this.#state === "over";
    const hasValue = this.#state === "trailer";
    this.#state = "over";
    if (wasOver || reusable) return noEvents;
    return hasValue ? [end] : [prematureEnd];
  }

  /** How many bytes were taken. */
  #readLine(bytes: Uint8Array, events: ClientEvent[]): number {
    const before = this.#line?.length ?? 0;
    const buffer = this.#line === undefined ? asBuffer(bytes) : Buffer.concat([this.#line, bytes]);
    const lineEnd = buffer.indexOf(lf);
    if (lineEnd < 0 || lineEnd >= this.#limit) {
      this.#line = buffer;
      if (buffer.length >= this.#limit) this.#fail("upstream sent too big header", events);
      return bytes.length;
    }
    this.#line = undefined;
    const line = buffer.latin1Slice(0, lineEnd);
    if (line.endsWith("\r")) this.#takeLine(line.slice(0, -1), events);
    else this.#fail(`memcached sent invalid response: "${shown(line)}"`, events);
    return lineEnd + 1 - before;
  }

  #takeLine(line: string, events: ClientEvent[]): void {
    const { key = "" } = this.#head ?? {};
    if (line === "END") {
      note(events, "info", `key: "${key}" was not found by memcached`);
      this.#respond(404, 0, "", events);
      this.#state = "done";
      events.push(end);
      return;
    }
    const about = `in response "${shown(line)}" for key "${key}"`;
    if (!line.startsWith("VALUE ")) return this.#fail(`memcached sent invalid response: "${shown(line)}"`, events);
    if (!line.startsWith(key, 6)) return this.#fail(`memcached sent invalid key ${about}`, events);
    const found = /^ ([^ ]*) (.*)$/.exec(line.slice(6 + key.length));
    if (found === null) return this.#fail(`memcached sent invalid response: "${shown(line)}"`, events);
    const [, flags = "", length = ""] = found;
    if (this.#head?.gzipFlag !== 0 && parseLength(flags) === undefined)
      return this.#fail(`memcached sent invalid flags ${about}`, events);
    const bytes = parseLength(length);
    if (bytes === undefined) return this.#fail(`memcached sent invalid length ${about}`, events);
    this.#respond(200, bytes, flags, events);
  }

  #respond(status: 200 | 404, length: number, flags: string, events: ClientEvent[]): void {
    const headers = new Headers();
    const { gzipFlag = 0, method = "" } = this.#head ?? {};
    if ((Number(flags) & gzipFlag) !== 0) headers.add("Content-Encoding", "gzip");
    const toHead = method === "HEAD";
    if (toHead) headers.add("Content-Length", String(length));
    const framing = toHead ? "none" : "length";
    const common = { reason: "", version: 11, headers, keepAlive: true, headLength: 0 } as const;
    events.push({ type: "response", head: { ...common, status, framing, bodyLength: length } });
    if (status === 404) return;
    if (toHead) {
      // The value is of no use to anybody: the connection ends before it has come.
      this.#state = "over";
      events.push(end);
      return;
    }
    this.#rest = length;
    this.#state = "value";
    if (length === 0) this.#expectTrailer();
  }

  #expectTrailer(): void {
    this.#state = "trailer";
    this.#rest = trailer.length;
  }

  #readValue(bytes: Uint8Array, events: ClientEvent[]): number {
    const piece = bytes.subarray(0, this.#rest);
    this.#rest -= piece.length;
    events.push({ type: "data", bytes: piece });
    if (this.#rest === 0) this.#expectTrailer();
    return piece.length;
  }

  #readTrailer(bytes: Uint8Array, events: ClientEvent[]): number {
    const piece = asBuffer(bytes.subarray(0, this.#rest)).toString("latin1");
    const from = trailer.length - this.#rest;
    const isRight = trailer.startsWith(piece, from) && bytes.length <= this.#rest;
    this.#rest -= piece.length;
    if (isRight && this.#rest > 0) return bytes.length;
    // The value is whole in either case.
    if (!isRight) note(events, "error", "memcached sent invalid trailer");
    this.#state = isRight ? "done" : "over";
    events.push(end);
    return bytes.length;
  }

  #fail(detail: string, events: ClientEvent[]): void {
    this.#state = "over";
    events.push({ type: "failed", kind: "invalid", error: { rule: "memcached protocol.txt", detail } });
  }
}

const shown = (line: string): string => line.replace(/\r$/, "").slice(0, 800);

function note(events: ClientEvent[], level: NoteLevel, detail: string): void {
  events.push({ type: "noted", level, detail });
}
