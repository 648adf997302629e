/** FastCGI, client side (FastCGI Specification, https://fastcgi-archives.github.io/): one request and its response at a time. */
import { prematureEnd } from "../cgi/client.ts";
import type { GatewayHead, Params } from "../cgi/params.ts";
import { CgiResponse } from "../cgi/response.ts";
import { SentBody } from "../cgi/sent_body.ts";
import type { ClientEngine, ClientEvent, ClientLimits } from "../client_engine.ts";
import { beginRecord, RecordReader, type RecordSink, recordType, writeStream } from "./records.ts";

export interface FastcgiHead extends GatewayHead {
  /** The connection stays open behind the response (`fastcgi_keep_conn`). */
  readonly keepsConnection: boolean;
  /** What makes a response invalid if stderr has it before the head is complete (`fastcgi_catch_stderr`). */
  readonly badWords: readonly string[];
}

const usualLimits: ClientLimits = { headLimit: 8192 };
const noEvents: readonly ClientEvent[] = [];
const nothing = new Uint8Array(0);
/** What a line of the log has room for. */
const shownBytes = 1748;

/** 3.4: lengths up to 127 are one byte, others four. */
function paramBytes(params: Params): Buffer {
  let length = 0;
  for (const [name, value] of params) {
    length += name.length + value.length + (name.length > 127 ? 4 : 1) + (value.length > 127 ? 4 : 1);
  }
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  const writeLength = (text: string): void => {
    if (text.length > 127) at = bytes.writeUInt32BE((text.length | 0x80000000) >>> 0, at);
    else bytes[at++] = text.length;
  };
  for (const [name, value] of params) {
    writeLength(name);
    writeLength(value);
    at += bytes.write(name, at, "latin1");
    at += bytes.write(value, at, "latin1");
  }
  return bytes;
}

export class FastcgiClient implements ClientEngine<FastcgiHead>, RecordSink {
  #out: Uint8Array[] = [];
  #records = new RecordReader();
  #body: SentBody | undefined;
  #response: CgiResponse | undefined;
  #head: FastcgiHead | undefined;
  #events: ClientEvent[] = [];
  #stderr = "";
  /** "idle": nobody has asked · "reading" · "done": the response is complete · "over": nothing counts any more */
  #state: "idle" | "reading" | "done" | "over" = "idle";

  get reusable(): boolean {
    if (this.#state === "idle") return true;
    return this.#state === "done" && this.#head?.keepsConnection === true && this.requestSent;
  }

  get requestSent(): boolean {
    return this.#body?.ended === true;
  }

  reset(): void {
    if (!this.reusable) throw new Error("this connection cannot carry another request");
    this.#state = "idle";
    this.#records = new RecordReader();
    this.#body = undefined;
  }

  sendHead(head: FastcgiHead, limits: ClientLimits = usualLimits): void {
    if (this.#state !== "idle") throw new Error("request out of turn");
    const out = [beginRecord(head.keepsConnection)];
    const params = paramBytes(head.params);
    if (params.length > 0) writeStream(out, recordType.params, params);
    writeStream(out, recordType.params, nothing);
    this.#body = new SentBody(head.bodyLength);
    if (this.#body.ended) writeStream(out, recordType.stdin, nothing);
    // Small pieces one after the other would be as many writes.
    this.#out = [Buffer.concat(out)];
    this.#head = head;
    this.#response = new CgiResponse(head.method, { headLimit: limits.headLimit }, "fields only");
    this.#stderr = "";
    this.#state = "reading";
  }

  sendData(bytes: Uint8Array, last: boolean): void {
    if (this.#body === undefined) throw new Error("request body out of turn");
    this.#body.add(bytes, last);
    if (bytes.length > 0) writeStream(this.#out, recordType.stdin, bytes);
    if (last) writeStream(this.#out, recordType.stdin, nothing);
  }

  takeOutput(): readonly Uint8Array[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  receive(bytes: Uint8Array): readonly ClientEvent[] {
    if (bytes.length === 0) return noEvents;
    if (this.#state !== "reading") {
      this.#state = "over";
      return noEvents;
    }
    const events: ClientEvent[] = [];
    this.#events = events;
    const at = this.#records.read(bytes, this);
    if (typeof at === "string") this.#fail(at);
    // What nobody has asked for: the next response must not begin with it.
    else if (at < bytes.length) this.#state = "over";
    return events;
  }

  receiveEnd(): readonly ClientEvent[] {
    const wasReading = this.#state === "reading";
    this.#state = "over";
    if (!wasReading) return noEvents;
    const response = this.#response;
    // Some close where they should say that they have ended.
    const isWhole = response?.hasHead === true && response.rest <= 0 && this.#head?.keepsConnection !== true;
    return isWhole && this.#records.isBetween ? [{ type: "end" }] : [prematureEnd];
  }

  onContent(type: number, bytes: Uint8Array, last: boolean): boolean {
    if (type === recordType.stderr) return this.#note(bytes, last);
    if (type === recordType.end) return this.#hasHead() || this.#fail("upstream sent unexpected FastCGI record: 3");
    const response = this.#response;
    if (response === undefined) return false;
    if (bytes.length === 0) return this.#endStdout();
    const progress = response.read(bytes, this.#events);
    // The body of a response to HEAD is of no use to anybody: the connection ends before it has come.
    const isEnough = progress === "extra" || (response.hasHead && this.#head?.method === "HEAD");
    if (progress === "ok" && !isEnough) return true;
    if (isEnough) this.#events.push({ type: "end" });
    this.#state = "over";
    return false;
  }

  #hasHead(): boolean {
    return this.#response?.hasHead === true;
  }

  #endStdout(): boolean {
    if (this.#hasHead() && (this.#response?.rest ?? 0) <= 0) return true;
    return this.#fail("upstream prematurely closed FastCGI stdout", this.#hasHead() ? "closed" : "invalid");
  }

  /** Text for the log, a record of it at a time. */
  #note(bytes: Uint8Array, last: boolean): boolean {
    if (this.#stderr.length < 65_536) this.#stderr += Buffer.from(bytes).toString("latin1");
    if (!last) return true;
    const text = this.#stderr.replace(/[\r\n. ]+$/, "");
    this.#stderr = "";
    if (text === "") return true;
    const detail = `FastCGI sent in stderr: "${text.slice(0, shownBytes)}"`;
    if (!this.#hasHead() && this.#head?.badWords.some((word) => text.includes(word))) return this.#fail(detail);
    this.#events.push({ type: "noted", level: "error", detail });
    return true;
  }

  onRecord(type: number): boolean {
    if (type !== recordType.end) return true;
    if ((this.#response?.rest ?? 0) > 0) return this.#fail("upstream prematurely closed FastCGI request", "closed");
    this.#events.push({ type: "end" });
    this.#state = "done";
    return false;
  }

  #fail(detail: string, kind: "invalid" | "closed" = "invalid"): false {
    this.#state = "over";
    this.#events.push({ type: "failed", kind, error: { rule: "FastCGI 1.0", detail } });
    return false;
  }
}
