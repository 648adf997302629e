/** Bodies that filters make of others: changed piece by piece, strung together, or gathered whole. */
import { type Body, HttpFailure, type Sink, type Source } from "../http/message.ts";
import { fileSource } from "./file_source.ts";

/** What a filter does with each piece; what it returns goes on to the client, now or (a promise) later. Empty: ask for the next piece. */
export type Change = (bytes: Uint8Array, last: boolean) => Uint8Array | Promise<Uint8Array>;

/** A body as a source, whatever it is. */
export function sourceOf(body: Body): Source {
  switch (body.kind) {
    case "stream":
      return body.source;
    case "file":
      return fileSource(body);
    case "bytes":
      return once(body.bytes);
    default:
      return once(nothing);
  }
}

/** A body whose pieces pass through `change`. */
export function changed(body: Body, change: Change): Body {
  return { kind: "stream", source: new ChangedSource(sourceOf(body), change) };
}

class ChangedSource implements Source, Sink {
  readonly #inner: Source;
  readonly #change: Change;
  #to: Sink | undefined;
  #cancelled = false;

  constructor(inner: Source, change: Change) {
    this.#inner = inner;
    this.#change = change;
  }

  pull(to: Sink): void {
    this.#to = to;
    this.#inner.pull(this);
  }

  cancel(reason: string): void {
    this.#cancelled = true;
    this.#inner.cancel(reason);
  }

  push(bytes: Uint8Array, last: boolean): void {
    try {
      const made = this.#change(bytes, last);
      if (!(made instanceof Promise)) return this.#pass(made, last);
      made.then(
        (later) => this.#pass(later, last),
        (error) => this.#break(error),
      );
    } catch (error) {
      this.#break(error);
    }
  }

  #break(error: unknown): void {
    if (this.#cancelled) return;
    this.#inner.cancel("a filter failed");
    this.fail(messageOf(error));
  }

  #pass(bytes: Uint8Array, last: boolean): void {
    if (this.#cancelled) return;
    if (bytes.length > 0 || last) this.#to?.push(bytes, last);
    else this.#inner.pull(this);
  }

  fail(reason: string): void {
    if (!this.#cancelled) this.#to?.fail(reason);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A body, or how to get one when its turn comes. */
export type BodyPart = Body | (() => Body | Promise<Body>);

/** One body behind the other; each is begun when the one before has ended. */
export function strung(parts: readonly BodyPart[]): Body {
  return { kind: "stream", source: new StrungSource(parts) };
}

class StrungSource implements Source, Sink {
  readonly #parts: readonly BodyPart[];
  #at = 0;
  #current: Source | undefined;
  #to: Sink | undefined;
  #cancelled: string | undefined;

  constructor(parts: readonly BodyPart[]) {
    this.#parts = parts;
  }

  pull(to: Sink): void {
    this.#to = to;
    if (this.#current !== undefined) return this.#current.pull(this);
    const part = this.#parts[this.#at];
    if (part === undefined) return to.push(nothing, true);
    const body = typeof part === "function" ? part() : part;
    if (body instanceof Promise)
      body.then(
        (later) => this.#begin(later),
        (error) => this.fail(messageOf(error)),
      );
    else this.#begin(body);
  }

  #begin(body: Body): void {
    const source = sourceOf(body);
    if (this.#cancelled !== undefined) return source.cancel(this.#cancelled);
    this.#current = source;
    source.pull(this);
  }

  cancel(reason: string): void {
    this.#cancelled = reason;
    this.#current?.cancel(reason);
    const rest = this.#current === undefined ? this.#at : this.#at + 1;
    for (const part of this.#parts.slice(rest))
      if (typeof part === "object" && part.kind !== "empty") sourceOf(part).cancel(reason);
  }

  push(bytes: Uint8Array, last: boolean): void {
    if (!last) return this.#to?.push(bytes, false);
    this.#at++;
    this.#current = undefined;
    this.#to?.push(bytes, this.#at === this.#parts.length);
  }

  fail(reason: string): void {
    this.#to?.fail(reason);
  }
}

/** Nginx holds back so little: it fits into a packet (`postpone_output`). */
const packetBytes = 1460;

/** The same content, but its first piece is no small one, unless it is the whole: what fails soon fails before it. */
export function postponed(source: Source): Source {
  return new PostponedSource(source);
}

class PostponedSource implements Source, Sink {
  readonly #inner: Source;
  #held: Uint8Array[] | undefined = [];
  #length = 0;
  #to: Sink | undefined;

  constructor(inner: Source) {
    this.#inner = inner;
  }

  pull(to: Sink): void {
    this.#to = to;
    this.#inner.pull(this);
  }

  push(bytes: Uint8Array, last: boolean): void {
    const held = this.#held;
    if (held === undefined || (last && held.length === 0)) return this.#to?.push(bytes, last);
    this.#length += bytes.length;
    if (!last && this.#length < packetBytes) {
      held.push(new Uint8Array(bytes));
      this.#inner.pull(this);
      return;
    }
    this.#held = undefined;
    this.#to?.push(held.length === 0 ? bytes : Buffer.concat([...held, bytes], this.#length), last);
  }

  fail(reason: string): void {
    this.#to?.fail(reason);
  }

  cancel(reason: string): void {
    this.#inner.cancel(reason);
  }
}

/** All bytes of a body. Rejects with HttpFailure 502 where it breaks off, or is longer than `most`. */
export function gather(body: Body, most = Number.MAX_SAFE_INTEGER): Promise<Uint8Array> {
  if (body.kind === "bytes") return Promise.resolve(body.bytes);
  if (body.kind === "empty") return Promise.resolve(nothing);
  const source = sourceOf(body);
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = [];
    let length = 0;
    const sink: Sink = {
      push(bytes, last) {
        length += bytes.length;
        if (length > most) {
          source.cancel("too long");
          reject(new HttpFailure(502, `a response of more than ${most} bytes cannot be kept in memory`));
          return;
        }
        // A copy: sources use their buffers again.
        pieces.push(new Uint8Array(bytes));
        if (last) resolve(Buffer.concat(pieces, length));
        else source.pull(sink);
      },
      fail: (reason) => reject(new HttpFailure(502, reason)),
    };
    source.pull(sink);
  });
}

function once(bytes: Uint8Array): Source {
  return { pull: (to) => to.push(bytes, true), cancel() {} };
}

const nothing = new Uint8Array(0);
