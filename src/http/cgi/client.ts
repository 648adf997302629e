/**
 * Gateways that read one packet and the body behind it, answer, and close the connection: uwsgi and SCGI. They differ only in
 * how the packet is written.
 */
import type { ClientEngine, ClientEvent, ClientLimits } from "../client_engine.ts";
import type { GatewayHead } from "./params.ts";
import { CgiResponse } from "./response.ts";
import { SentBody } from "./sent_body.ts";

const usualLimits: ClientLimits = { headLimit: 8192 };
const noEvents: readonly ClientEvent[] = [];
const end: ClientEvent = { type: "end" };

export class CgiClient<H extends GatewayHead> implements ClientEngine<H> {
  readonly #write: (head: H) => Uint8Array;
  #out: Uint8Array[] = [];
  #body: SentBody | undefined;
  #response: CgiResponse | undefined;
  #tunnel = false;
  #over = false;

  /** `write`: makes the packet. Throws for what cannot be sent. */
  constructor(write: (head: H) => Uint8Array) {
    this.#write = write;
  }

  /** A connection is for one request. */
  get reusable(): boolean {
    return this.#response === undefined && !this.#over;
  }

  get requestSent(): boolean {
    return this.#body?.ended === true;
  }

  reset(): void {
    if (!this.reusable) throw new Error("this connection cannot carry another request");
  }

  sendHead(head: H, limits: ClientLimits = usualLimits): void {
    if (!this.reusable) throw new Error("request out of turn");
    this.#out.push(this.#write(head));
    this.#body = new SentBody(head.bodyLength);
    this.#response = new CgiResponse(head.method, limits, "fields");
  }

  sendData(bytes: Uint8Array, last: boolean): void {
    if (this.#body === undefined) throw new Error("request body out of turn");
    if (bytes.length > 0) this.#out.push(bytes);
    if (!this.#tunnel) this.#body.add(bytes, last);
  }

  takeOutput(): readonly Uint8Array[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  receive(bytes: Uint8Array): readonly ClientEvent[] {
    const response = this.#response;
    if (response === undefined) this.#over = true;
    if (response === undefined || this.#over) return noEvents;
    if (this.#tunnel) return [{ type: "data", bytes }];
    const events: ClientEvent[] = [];
    const progress = response.read(bytes, events);
    if (progress === "upgraded") this.#tunnel = true;
    else if (progress === "failed") this.#over = true;
    else if (progress === "extra" || (response.hasHead && response.rest === 0)) {
      this.#over = true;
      events.push(end);
    }
    return events;
  }

  receiveEnd(): readonly ClientEvent[] {
    const response = this.#response;
    const wasOver = this.#over;
    this.#over = true;
    if (wasOver || response === undefined) return noEvents;
    if (this.#tunnel || (response.hasHead && response.rest < 0)) return [end];
    return [prematureEnd];
  }
}

/** The upstream has left in the middle. */
export const prematureEnd: ClientEvent = {
  type: "failed",
  kind: "closed",
  error: { rule: "RFC 9112 8", detail: "upstream prematurely closed connection" },
};
