/**
 * A response as gateways of CGI's kind give it (RFC 3875 6): fields, among them Status and Location, an empty line, the body.
 * Who frames it otherwise (FastCGI's records) takes the frames off before.
 */
import { asBuffer } from "../../base/bytes.ts";
import type { ClientEvent, ClientLimits, ReceivedHead } from "../client_engine.ts";
import { receivedFraming } from "../h1/framing.ts";
import { ResponseHeadReader, type WithoutLine } from "../h1/response_head.ts";

/** "failed": nothing it says counts any more. "extra": it has gone on behind its end. "upgraded": it has left HTTP. */
export type CgiProgress = "ok" | "failed" | "extra" | "upgraded";

export class CgiResponse {
  /** Bytes of the body that are to come; -1: nobody knows. */
  rest = -1;
  /** The head is complete. */
  hasHead = false;
  readonly #reader: ResponseHeadReader;
  readonly #isHead: boolean;
  readonly #mayUpgrade: boolean;
  /** A line that has begun. */
  #kept: Buffer | undefined;

  /** `method`: of the request. `without`: how a response begins that has no status line. */
  constructor(method: string, limits: ClientLimits, without: WithoutLine) {
    this.#reader = new ResponseHeadReader(limits.headLimit, without);
    this.#isHead = method === "HEAD";
    this.#mayUpgrade = limits.mayUpgrade === true;
  }

  /** Adds the events that these bytes complete, but for the end of the response. */
  read(bytes: Uint8Array, events: ClientEvent[]): CgiProgress {
    if (this.hasHead) return this.#body(bytes, events);
    const buffer = this.#kept === undefined ? asBuffer(bytes) : Buffer.concat([this.#kept, bytes]);
    const reader = this.#reader;
    const progress = reader.read(buffer, 0, buffer.length);
    if (reader.error !== undefined) return failed(events, reader.error.rule, reader.error.detail);
    if (progress !== "done") {
      this.#kept = buffer.subarray(reader.position);
      return "ok";
    }
    this.#kept = undefined;
    this.hasHead = true;
    const begun = this.#begin(events);
    const rest = buffer.subarray(reader.position);
    if (begun !== "ok" || rest.length === 0) {
      if (begun === "upgraded" && rest.length > 0) events.push({ type: "data", bytes: rest });
      return begun;
    }
    return this.#body(rest, events);
  }

  #begin(events: ClientEvent[]): CgiProgress {
    const { headers, length } = this.#reader;
    for (const line of this.#reader.ignoredLines ?? [])
      events.push({ type: "noted", level: "warn", detail: `upstream sent invalid header line: "${line}", ignored` });
    const line = this.#statusLine();
    if (typeof line === "string") return failed(events, "RFC 3875 6.3.3", line);
    const common = { ...line, version: 11, headers, keepAlive: false, headLength: length } as const;
    if (line.status === 101 && this.#mayUpgrade) {
      events.push({ type: "upgraded", head: { ...common, framing: "none", bodyLength: 0 } });
      return "upgraded";
    }
    if (line.status < 200) return failed(events, "RFC 9110 15.2", `upstream sent invalid status "${line.status}"`);
    const found = receivedFraming(headers, this.#isHead, line.status);
    if (typeof found === "string") return failed(events, "RFC 9112 6.3", found);
    // Its body is not chunked, whatever it says: gateways have no transfer codings (RFC 3875 6.3.4).
    const framing = found.framing === "chunked" ? "close" : found.framing;
    this.rest = found.length;
    const head: ReceivedHead = { ...common, framing, bodyLength: found.length };
    events.push({ type: "response", head });
    return "ok";
  }

  /** Of a status line, else of the field Status, else what Location means. Text: what is wrong. */
  #statusLine(): { readonly status: number; readonly reason: string } | string {
    const { status, reason, headers } = this.#reader;
    if (status !== 0) return { status, reason };
    const field = headers.get("status");
    if (field === undefined) return { status: headers.has("location") ? 302 : 200, reason: "" };
    if (!/^[1-9]\d\d/.test(field)) return `upstream sent invalid status "${field.slice(0, 80)}"`;
    return { status: Number(field.slice(0, 3)), reason: field.slice(3).trim() };
  }

  #body(bytes: Uint8Array, events: ClientEvent[]): CgiProgress {
    if (bytes.length === 0 || this.#isHead) return "ok";
    const isMore = this.rest >= 0 && bytes.length > this.rest;
    const own = isMore ? bytes.subarray(0, this.rest) : bytes;
    if (this.rest > 0) this.rest -= own.length;
    if (own.length > 0) events.push({ type: "data", bytes: own });
    if (!isMore) return "ok";
    const detail = 'upstream sent more data than specified in "Content-Length" header';
    events.push({ type: "noted", level: "warn", detail });
    return "extra";
  }
}

function failed(events: ClientEvent[], rule: string, detail: string): "failed" {
  events.push({ type: "failed", kind: "invalid", error: { rule, detail } });
  return "failed";
}
