/**
 * HTTP/1.0 and 1.1, client side (RFC 9112): one request and its response at a time.
 *
 * Two state words, one for each direction. A connection may carry another request only after an unambiguous end: the
 * response ended exactly where its framing said, the request is sent, both sides want to go on, and not a byte is left over.
 */
import { asBuffer } from "../../base/bytes.ts";
import type {
  ClientEngine,
  ClientEvent,
  ClientLimits,
  NoteLevel,
  ReceivedHead,
  ResponseError,
} from "../client_engine.ts";
import type { EngineEvent } from "../engine.ts";
import type { Headers } from "../headers.ts";
import { type BodyReader, ChunkedReader, LengthReader } from "./body.ts";
import { BodyWriter } from "./body_writer.ts";
import { type ReceivedFraming, receivedFraming } from "./framing.ts";
import { Kept } from "./kept.ts";
import { type Policy, strictPolicy } from "./policy.ts";
import { ResponseHeadReader } from "./response_head.ts";
import { type ClientRequestHead, writeRequestHead } from "./write_request.ts";

export type { ClientEvent, ClientLimits, ReceivedHead, ResponseError } from "../client_engine.ts";
export type { ClientRequestHead } from "./write_request.ts";

const usualLimits: ClientLimits = { headLimit: 8192 };

/**
 * What the next byte from the upstream is. "idle": nobody has asked for it. "done": left over behind a response. "over": of
 * no meaning.
 */
type Reading = "idle" | "head" | "body" | "close" | "tunnel" | "done" | "over";

type Sending = "idle" | "body" | "sent" | "tunnel";

const noEvents: readonly ClientEvent[] = [];
const end: ClientEvent = { type: "end" };
/** The readers of bodies number what they read; here there is only one. */
const stream = 1;

export class H1Client implements ClientEngine<ClientRequestHead> {
  readonly #out = new BodyWriter();
  #reading: Reading = "idle";
  #sending: Sending = "idle";
  #limits = usualLimits;
  #kept: Kept | undefined;
  #head: ResponseHeadReader | undefined;
  #body: BodyReader | undefined;
  readonly #bodyEvents: EngineEvent[] = [];
  // Of the request in progress:
  #isHead = false;
  #mayUpgrade = false;
  #mayBeBare = false;
  #persistent = true;
  // Of the response in progress:
  #framing: ReceivedFraming["framing"] = "none";

  /** Part of a response, or all of it, has arrived (interim ones count). */
  begun = false;

  /** Can another request follow on this connection? Always true before the first. */
  get reusable(): boolean {
    if (!this.#persistent) return false;
    return this.#reading === "idle" || (this.#reading === "done" && this.#sending === "sent");
  }

  /** All of the request has been given to `takeOutput`. */
  get requestSent(): boolean {
    return this.#sending === "sent" || this.#sending === "tunnel";
  }

  /** Forgets the last exchange, so that `sendHead` can begin another. Throws unless `reusable`. */
  reset(): void {
    if (!this.reusable) throw new Error("this connection cannot carry another request");
    this.#reading = "idle";
    this.#sending = "idle";
    this.begun = false;
  }

  /** Begins a request. Throws if it cannot be sent as it is (`writeRequestHead`), or out of turn. */
  sendHead(head: ClientRequestHead, limits: ClientLimits = usualLimits): void {
    if (this.#reading !== "idle" || this.#sending !== "idle") throw new Error("request out of turn");
    this.#out.text(writeRequestHead(head));
    this.#limits = limits;
    this.#isHead = head.method === "HEAD";
    this.#mayUpgrade = limits.mayUpgrade === true || (head.version === 11 && head.headers.has("upgrade"));
    this.#mayBeBare = limits.bareResponses ?? head.version === 10;
    this.#persistent = asksToStay(head);
    const length = head.bodyLength ?? 0;
    this.#out.begin(length < 0 ? "chunked" : "length", length);
    this.#reading = "head";
    this.#sending = length === 0 ? "sent" : "body";
  }

  /** More of the request's body, or of what goes into the tunnel. Throws if it is not as long as its head has said. */
  sendData(bytes: Uint8Array, last: boolean): void {
    if (this.#sending !== "body" && this.#sending !== "tunnel") throw new Error("request body out of turn");
    const out = this.#out;
    if (bytes.length > 0) out.send(bytes);
    if (last && this.#sending === "body") {
      out.end();
      this.#sending = "sent";
    }
    if (out.fault !== undefined) {
      this.#persistent = false;
      throw new Error("a request's body does not have the length that its head says");
    }
  }

  /** Pieces for the transport; text is latin-1. Empties the engine's output. */
  takeOutput(): readonly (string | Uint8Array)[] {
    return this.#out.take();
  }

  /** The events that these bytes complete. Array and bytes are the caller's; `bytes` must not change afterwards. */
  receive(bytes: Uint8Array): readonly ClientEvent[] {
    if (bytes.length === 0 || this.#reading === "over") return noEvents;
    const events: ClientEvent[] = [];
    let buffer = asBuffer(bytes);
    let from = 0;
    let to = buffer.length;
    const kept = this.#kept;
    if (kept !== undefined) {
      kept.append(bytes, 0, bytes.length);
      ({ buffer, start: from, end: to } = kept);
    }
    const at = this.#advance(buffer, from, to, events);
    if (kept !== undefined && events.length === 0 && at < to) kept.dropTo(at);
    else {
      // What was passed on stays where it is: what is left goes to new memory.
      this.#kept = undefined;
      if (at < to) {
        this.#kept = new Kept();
        this.#kept.append(buffer, at, to);
      }
    }
    return events;
  }

  /** The upstream will send nothing more. */
  receiveEnd(): readonly ClientEvent[] {
    const reading = this.#reading;
    this.#persistent = false;
    this.#reading = "over";
    this.#kept = undefined;
    switch (reading) {
      case "close":
      case "tunnel":
        return [end];
      case "head":
      case "body":
        return [
          {
            type: "failed",
            kind: "closed",
            error: { rule: "RFC 9112 8", detail: "upstream prematurely closed connection" },
          },
        ];
      default:
        return noEvents;
    }
  }

  /** Turns `bytes[from, to)` into events; returns where those begin that have to be kept. */
  #advance(bytes: Buffer, from: number, to: number, events: ClientEvent[]): number {
    let at = from;
    while (at < to) {
      switch (this.#reading) {
        case "head": {
          const next = this.#readHead(bytes, at, to, events);
          if (next < 0) return -next - 1;
          at = next;
          break;
        }
        case "body": {
          const next = this.#readBody(bytes, at, to, events);
          if (next < 0) return -next - 1;
          at = next;
          break;
        }
        case "close":
        case "tunnel":
          events.push({ type: "data", bytes: at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to) });
          return to;
        default:
          this.#noteExtra(events);
          return to;
      }
    }
    return at;
  }

  /** Where the reading goes on; negative, -1 - position: more bytes are needed from there on. */
  #readHead(bytes: Buffer, at: number, to: number, events: ClientEvent[]): number {
    this.#head ??= new ResponseHeadReader(this.#limits.headLimit, this.#mayBeBare && !this.begun ? "body" : "refuse");
    const reader = this.#head;
    const progress = reader.read(bytes, at, to);
    if (progress === "more") return -1 - reader.position;
    this.#head = undefined;
    if (progress === "done") this.#begin(reader, events);
    else if (reader.error !== undefined) this.#fail(reader.error, events);
    this.begun = true;
    return reader.position;
  }

  #begin(reader: ResponseHeadReader, events: ClientEvent[]): void {
    const { status, reason, version, headers } = reader;
    if (reader.ignoredLines !== undefined) {
      for (const line of reader.ignoredLines)
        note(events, "warn", `upstream sent invalid header line: "${line}", ignored`);
    }
    if (version === 9) note(events, "error", "upstream sent no valid HTTP/1.0 header");
    // RFC 9110 15.2: HTTP/1.0 has none of them.
    if (status === 103 && version === 10) {
      this.#fail({ rule: "RFC 9110 15.2", detail: "upstream sent HTTP/1.0 response with early hints" }, events);
      return;
    }
    const keepAlive = version === 11 && !(reader.hasConnection && saysClose(headers));
    const headLength = reader.length;
    if (status < 200) {
      const isUpgrade = status === 101;
      const head: ReceivedHead = {
        status,
        reason,
        version,
        headers,
        framing: "none",
        bodyLength: 0,
        keepAlive: keepAlive && !isUpgrade,
        headLength,
      };
      if (!isUpgrade) events.push({ type: "interim", head });
      else if (this.#mayUpgrade && this.#sending === "sent") this.#upgrade(head, events);
      else this.#fail({ rule: "RFC 9110 7.8", detail: "upstream switched protocols without being asked" }, events);
      return;
    }
    const found = reader.hasFraming ? receivedFraming(headers, this.#isHead, status) : this.#unframed(status);
    if (typeof found === "string") {
      this.#fail({ rule: "RFC 9112 6.3", detail: found }, events);
      return;
    }
    const { framing, length } = found;
    if (!keepAlive || framing === "close") this.#persistent = false;
    const head = { status, reason, version, headers, framing, bodyLength: length, keepAlive, headLength };
    events.push({ type: "response", head });
    this.#expectBody(framing, length, events);
  }

  #unframed(status: number): ReceivedFraming {
    return this.#isHead || status === 204 || status === 304 ? noBody : untilClose;
  }

  #upgrade(head: ReceivedHead, events: ClientEvent[]): void {
    this.#persistent = false;
    this.#reading = "tunnel";
    this.#sending = "tunnel";
    this.#out.begin("tunnel", 0);
    events.push({ type: "upgraded", head });
  }

  #expectBody(framing: ReceivedFraming["framing"], length: number, events: ClientEvent[]): void {
    this.#framing = framing;
    if (framing === "close") this.#reading = "close";
    else if (length === 0) this.#end(events);
    else {
      this.#reading = "body";
      this.#body =
        framing === "length"
          ? new LengthReader(stream, length)
          : new ChunkedReader(stream, trailerPolicy(this.#limits.headLimit));
    }
  }

  /** As #readHead. */
  #readBody(bytes: Buffer, at: number, to: number, events: ClientEvent[]): number {
    const body = this.#body;
    if (body === undefined) return to;
    const found = this.#bodyEvents;
    const progress = body.read(bytes, at, to, found);
    for (const event of found) {
      if (event.type === "data" && event.bytes.length > 0) events.push({ type: "data", bytes: event.bytes });
      else if (event.type === "trailers") events.push({ type: "trailers", headers: event.headers });
    }
    found.length = 0;
    if (progress === "more") return -1 - body.position;
    this.#body = undefined;
    if (progress === "done") this.#end(events);
    else
      this.#fail(
        { rule: body.error?.rule ?? "RFC 9112 7.1", detail: "upstream sent invalid chunked response" },
        events,
      );
    return body.position;
  }

  #end(events: ClientEvent[]): void {
    this.#reading = "done";
    // RFC 9112 9.3: who answers before the request is complete may or may not read the rest of it.
    if (this.#sending !== "sent") this.#persistent = false;
    events.push(end);
  }

  /** Bytes that belong to nothing: the next response must not begin with them. */
  #noteExtra(events: ClientEvent[]): void {
    const wasAsked = this.#reading === "done";
    this.#persistent = false;
    this.#reading = "over";
    if (!wasAsked) return;
    const what =
      this.#framing === "chunked" ? "data after final chunk" : 'more data than specified in "Content-Length" header';
    note(events, "warn", `upstream sent ${what}`);
  }

  #fail(error: ResponseError, events: ClientEvent[]): void {
    this.#persistent = false;
    this.#reading = "over";
    events.push({ type: "failed", kind: "invalid", error });
  }
}

const noBody: ReceivedFraming = { framing: "none", length: 0 };
const untilClose: ReceivedFraming = { framing: "close", length: -1 };

function note(events: ClientEvent[], level: NoteLevel, detail: string): void {
  events.push({ type: "noted", level, detail });
}

/** RFC 9112 9.3. "close" anywhere in the field, as Nginx looks for it: staying open by mistake is worse than closing. */
function saysClose({ names, values }: Headers): boolean {
  for (let i = 0; i < names.length; i++) {
    if (names[i]!.lower !== "connection" || values[i] === "keep-alive") continue;
    if (values[i]!.toLowerCase().includes("close")) return true;
  }
  return false;
}

/** Does the request leave the connection open for another (RFC 9112 9.3)? */
function asksToStay({ version, headers }: ClientRequestHead): boolean {
  if (saysClose(headers)) return false;
  return version === 11 || headers.all("connection").some((value) => value.toLowerCase().includes("keep-alive"));
}

let usualTrailers: Policy | undefined;

function trailerPolicy(limit: number): Policy {
  if (usualTrailers?.fieldsLimit !== limit) {
    usualTrailers = {
      ...strictPolicy,
      fieldLimit: limit,
      fieldsLimit: limit,
      underscores: "keep",
      proxyField: true,
    };
  }
  return usualTrailers;
}
