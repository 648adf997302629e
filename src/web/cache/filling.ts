/**
 * A response on its way into the cache, and to the client that asked for it. The origin is read as fast as it sends; the cache's
 * file is what the client waits behind, however slow it is; and a client that leaves changes nothing.
 */
import { crc32 } from "node:zlib";
import type { Sink, Source } from "../../http/message.ts";
import { fileSource } from "../file_source.ts";
import { SharedFile } from "../files.ts";
import { bodyStartFor, type EntryHead, encodeEntry } from "./entry.ts";
import { type CacheStore, newId, type Place, writeAt } from "./store.ts";

export interface FillingOptions {
  readonly store: CacheStore;
  readonly place: Place;
  readonly head: EntryHead;
  readonly source: Source;
  /** Called once, before the client gets the last bytes: it is stored, or it will not be. */
  onEnd(): void;
}

/** Begins to fill an entry; the client's part is the source that comes back. */
export function fill(options: FillingOptions): Source {
  const { store, place, source, onEnd } = options;
  try {
    return new Filling(options, store.temporary());
  } catch (error) {
    store.complain(place.hash, error);
    onEnd();
    return source;
  }
}

class Filling implements Source, Sink {
  readonly #options: FillingOptions;
  readonly #path: string;
  readonly #file: SharedFile;
  readonly #bodyStart: number;
  /** Of the content: written, and with the client. */
  #written = 0;
  #given = 0;
  #crc = 0;
  /** filling · spoilt: the file is not written any further, the client gets what comes as it comes · done */
  #state: "filling" | "spoilt" | "done" = "filling";
  #isWhole = false;
  #failure: string | undefined;
  #pulling = false;
  #pumping = false;
  /** The client: waits for a piece; reads from the file; has left. */
  #waiting: Sink | undefined;
  #behind: Source | undefined;
  #isGone = false;
  /** Pieces that are in no file. */
  #pieces: Uint8Array[] = [];

  constructor(options: FillingOptions, { fd, path }: { readonly fd: number; readonly path: string }) {
    this.#options = options;
    this.#path = path;
    this.#file = new SharedFile(fd);
    this.#bodyStart = bodyStartFor(options.head);
    this.#pump();
  }

  // From the origin.

  /** A loop: sources may answer at once. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#pulling && this.#wantsMore()) {
      this.#pulling = true;
      this.#options.source.pull(this);
    }
    this.#pumping = false;
  }

  #wantsMore(): boolean {
    if (this.#state === "filling") return true;
    return this.#state === "spoilt" && this.#waiting !== undefined && this.#pieces.length === 0;
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#pulling = false;
    if (this.#state === "filling") this.#keep(bytes);
    // The file may have been spoilt just now.
    if (this.#state === "spoilt" && bytes.length > 0) this.#pieces.push(new Uint8Array(bytes));
    if (last) this.#finish();
    this.#answer(bytes);
    this.#pump();
  }

  #keep(bytes: Uint8Array): void {
    try {
      writeAt(this.#file.fd, bytes, this.#bodyStart + this.#written);
      this.#written += bytes.length;
      this.#crc = crc32(bytes, this.#crc);
    } catch (error) {
      this.#spoil(error);
    }
  }

  /** The disk is full, most likely. */
  #spoil(error: unknown): void {
    const { store, place, source } = this.#options;
    store.complain(place.hash, error);
    store.abandon(this.#path);
    this.#state = "spoilt";
    this.#options.onEnd();
    if (!this.#isGone) return;
    source.cancel("it can neither be stored nor sent");
    this.#close();
  }

  #finish(): void {
    this.#isWhole = true;
    if (this.#state === "filling") this.#publish();
    this.#state = "done";
    if (this.#isGone) this.#close();
  }

  #publish(): void {
    const { store, place, head, onEnd } = this.#options;
    const shape = { bodyStart: this.#bodyStart, bodyLength: this.#written, bodyCrc: this.#crc, id: newId() };
    try {
      const start = encodeEntry(head, shape);
      if (start === undefined) throw new Error("its head does not fit");
      writeAt(this.#file.fd, start, 0);
      store.publish(place, this.#path, this.#bodyStart + this.#written);
    } catch (error) {
      store.complain(place.hash, error);
      store.abandon(this.#path);
    }
    onEnd();
  }

  fail(reason: string): void {
    this.#pulling = false;
    this.#failure = reason;
    if (this.#state === "filling") {
      this.#options.store.abandon(this.#path);
      this.#options.onEnd();
    }
    this.#state = "done";
    if (this.#isGone) this.#close();
    else this.#answer(nothing);
  }

  // To the client.

  pull(to: Sink): void {
    this.#waiting = to;
    this.#answer(nothing);
    this.#pump();
  }

  /** Gives the client its next piece, if there is one. `fresh`: what has just come, which need not be read again. */
  #answer(fresh: Uint8Array): void {
    const to = this.#waiting;
    if (to === undefined || this.#behind !== undefined) return;
    if (this.#given < this.#written) {
      if (fresh.length > 0 && this.#given + fresh.length === this.#written) this.#give(to, fresh, fresh.length);
      else this.#readFile(to);
      return;
    }
    const piece = this.#pieces.shift();
    if (piece !== undefined) this.#give(to, piece, 0);
    else if (this.#isWhole) this.#give(to, nothing, 0);
    else if (this.#failure !== undefined) {
      this.#waiting = undefined;
      this.#close();
      to.fail(this.#failure);
    }
  }

  /** `fromFile`: how many of these bytes are in the file. */
  #give(to: Sink, bytes: Uint8Array, fromFile: number): void {
    this.#waiting = undefined;
    this.#given += fromFile;
    const last = this.#isWhole && this.#given === this.#written && this.#pieces.length === 0;
    if (last) this.#close();
    to.push(bytes, last);
  }

  #readFile(to: Sink): void {
    const length = this.#written - this.#given;
    const behind = fileSource({ file: this.#file.acquire(), offset: this.#bodyStart + this.#given, length });
    this.#behind = behind;
    behind.pull({
      push: (bytes) => {
        this.#behind = undefined;
        const own = new Uint8Array(bytes);
        behind.cancel("one piece at a time");
        if (!this.#isGone) this.#give(to, own, own.length);
      },
      fail: (reason) => {
        this.#behind = undefined;
        if (this.#isGone) return;
        this.#waiting = undefined;
        to.fail(reason);
      },
    });
  }

  cancel(reason: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#waiting = undefined;
    this.#behind?.cancel(reason);
    if (this.#state === "spoilt") this.#options.source.cancel(reason);
    if (this.#state !== "filling") this.#close();
  }

  #isClosed = false;

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#file.release();
  }
}

const nothing = new Uint8Array(0);
