/** No protocol at all: a connection that is a tunnel from its beginning (CONNECT, RFC 9110 9.3.6). Nothing is said to the upstream first. */
import type { ClientEngine, ClientEvent } from "./client_engine.ts";
import { Headers } from "./headers.ts";

export class TunnelClient implements ClientEngine {
  #isUsed = false;
  #output: Uint8Array[] = [];

  get reusable(): boolean {
    return !this.#isUsed;
  }

  /** There is none. */
  get requestSent(): boolean {
    return true;
  }

  reset(): void {
    if (this.#isUsed) throw new Error("a tunnel carries nothing else");
  }

  sendHead(): void {
    this.reset();
    this.#isUsed = true;
  }

  /** The connection is there: that is all that a client of CONNECT wants to know. */
  opened(): readonly ClientEvent[] {
    const head = {
      status: 200,
      reason: "",
      version: 11,
      headers: new Headers(),
      framing: "none",
      bodyLength: 0,
      keepAlive: false,
      headLength: 0,
    } as const;
    return [{ type: "upgraded", head }];
  }

  sendData(bytes: Uint8Array): void {
    this.#output.push(bytes);
  }

  takeOutput(): readonly Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  receive(bytes: Uint8Array): readonly ClientEvent[] {
    return [{ type: "data", bytes }];
  }

  receiveEnd(): readonly ClientEvent[] {
    return [{ type: "end" }];
  }
}
