/** What is shown in the place of a response that is empty or an error (`include … stub`). */
import { Headers } from "../../http/headers.ts";
import { type Body, emptyBody, ownHeaders, type Reply, type Sink, type Source } from "../../http/message.ts";

import { replaceReply } from "../reply.ts";

/** `page`: the reply that the stub is a part of; it has the stub's type. */
export function showStub(reply: Reply, text: string, page: Reply | undefined): void {
  const bytes = Buffer.from(text, "latin1");
  const body: Body = bytes.length === 0 ? emptyBody : { kind: "bytes", bytes };
  if (reply.isPage === true || reply.body.kind === "empty") {
    const headers = new Headers();
    const type = page?.head.headers.get("content-type");
    if (type !== undefined) headers.add("Content-Type", type);
    replaceReply(reply, { head: { status: 200, headers }, body });
  } else if (reply.body.kind === "stream") {
    // Nobody knows yet.
    if (reply.head.headers.has("content-length")) ownHeaders(reply.head).delete("content-length");
    reply.body = { kind: "stream", source: new OrElse(reply.body.source, bytes) };
  }
}

class OrElse implements Source, Sink {
  readonly #inner: Source;
  readonly #instead: Uint8Array;
  #isEmpty = true;
  #to: Sink | undefined;

  constructor(inner: Source, instead: Uint8Array) {
    this.#inner = inner;
    this.#instead = instead;
  }

  pull(to: Sink): void {
    this.#to = to;
    this.#inner.pull(this);
  }

  cancel(reason: string): void {
    this.#inner.cancel(reason);
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#isEmpty &&= bytes.length === 0;
    this.#to?.push(last && this.#isEmpty ? this.#instead : bytes, last);
  }

  fail(reason: string): void {
    this.#to?.fail(reason);
  }
}
