/** The body of a page: its text, and the included responses in their places. */
import type { Body, Sink, Source } from "../../http/message.ts";
import { sourceOf } from "../body_change.ts";
import type { Page, Pause, Piece } from "./page.ts";
import type { Scanner } from "./scanner.ts";

/**
 * Asks for a piece of the page, does all its commands (so that responses without `wait` are on their way together), and
 * gives out what has become of it before it asks for the next.
 */
export class PageBody implements Source, Sink {
  readonly #inner: Source;
  readonly #scanner: Scanner;
  readonly #page: Page;
  readonly #queue: Piece[] = [];
  /** The included response that is being given out. */
  #current: Source | undefined;
  /** The page itself has no further piece. */
  #ended = false;
  /** The scanner has more of the last piece. */
  #hasMore = false;
  #pause: Pause | undefined;
  #to: Sink | undefined;
  #cancelled: string | undefined;

  constructor(body: Body, scanner: Scanner, page: Page) {
    this.#inner = sourceOf(body);
    this.#scanner = scanner;
    this.#page = page;
  }

  pull(to: Sink): void {
    this.#to = to;
    this.#go();
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#ended = last;
    this.#hasMore = true;
    this.#scanner.feed(bytes, last);
    this.#go();
  }

  fail(reason: string): void {
    if (this.#cancelled !== undefined) return;
    this.cancel(reason);
    this.#to?.fail(reason);
  }

  cancel(reason: string): void {
    if (this.#cancelled !== undefined) return;
    this.#cancelled = reason;
    this.#inner.cancel(reason);
    this.#current?.cancel(reason);
    for (const piece of this.#queue)
      if (piece instanceof Promise) void piece.then((body) => sourceOf(body).cancel(reason));
    this.#queue.length = 0;
  }

  #go(): void {
    while (this.#cancelled === undefined) {
      if (this.#current !== undefined) return this.#current.pull(this.#included);
      const next = this.#queue[0];
      if (next instanceof Promise) {
        this.#queue.shift();
        next.then((body) => this.#include(body));
        return;
      }
      if (next !== undefined) return this.#give(this.#text());
      const pause = this.#pause;
      this.#pause = undefined;
      if (pause instanceof Promise) {
        pause.then(
          () => this.#go(),
          (error: Error) => this.fail(error.message),
        );
        return;
      }
      if (this.#hasMore) this.#tryToWork();
      else if (this.#ended) return this.#give(nothing);
      else return this.#inner.pull(this);
    }
  }

  #tryToWork(): void {
    try {
      this.#work();
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  /** Does what the piece at hand says, up to a command that has to wait. */
  #work(): void {
    while (this.#pause === undefined) {
      const found = this.#scanner.next();
      if (found === undefined) {
        this.#hasMore = false;
        return;
      }
      this.#pause = this.#page.run(found, this.#queue);
    }
  }

  /** All text up to the next included response. */
  #text(): Uint8Array {
    const texts: Uint8Array[] = [];
    for (let next = this.#queue[0]; next instanceof Uint8Array; next = this.#queue[0]) {
      texts.push(next);
      this.#queue.shift();
    }
    return texts.length === 1 && texts[0] !== undefined ? texts[0] : Buffer.concat(texts);
  }

  get #isOver(): boolean {
    return this.#ended && !this.#hasMore && this.#queue.length === 0 && this.#pause === undefined;
  }

  #give(bytes: Uint8Array): void {
    this.#to?.push(bytes, this.#isOver);
  }

  #include(body: Body): void {
    const source = sourceOf(body);
    if (this.#cancelled !== undefined) return source.cancel(this.#cancelled);
    this.#current = source;
    this.#go();
  }

  readonly #included: Sink = {
    push: (bytes, last) => {
      if (last) this.#current = undefined;
      if (bytes.length > 0) this.#to?.push(bytes, last && this.#isOver);
      else this.#go();
    },
    fail: (reason) => {
      this.#current = undefined;
      this.fail(reason);
    },
  };
}

const nothing = new Uint8Array(0);
