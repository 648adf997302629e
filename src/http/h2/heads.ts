/**
 * Header blocks into requests, the same block into the same request: browsers and tools that ask again send the same bytes
 * again, and these mean the same as long as the table has not changed.
 */
import type { ProtocolError } from "../engine.ts";
import { type ConnectionError, code, connectionError } from "./errors.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import type { H2Options } from "./options.ts";
import type { Span } from "./reader.ts";
import { type Assembled, assemble } from "./request.ts";

/** Longer blocks have something in them that does not come again. */
const maxBlock = 512;
const maxCached = 64;

export class Heads {
  readonly decoder: HpackDecoder;
  readonly #options: H2Options;
  readonly #cache = new Map<string, Assembled>();
  /** The table's state that the cache is about. */
  #changes = 0;

  constructor(options: H2Options) {
    this.#options = options;
    this.decoder = new HpackDecoder(options.policy.looseHead);
  }

  /** `end`: no body follows. Undefined: the block cannot be decoded. */
  read({ bytes, from, to }: Span, end: boolean): Assembled | ConnectionError {
    const { decoder } = this;
    const key = end && to - from <= maxBlock ? bytes.latin1Slice(from, to) : undefined;
    if (key !== undefined) {
      const known = this.#cache.get(key);
      if (known !== undefined) return known;
    }
    if (!decoder.decode(bytes, from, to)) return decoder.error ?? undecodable;
    if (decoder.changes !== this.#changes) {
      this.#changes = decoder.changes;
      this.#cache.clear();
      return this.#assemble(to - from, end);
    }
    const made = this.#assemble(to - from, end);
    if (key !== undefined && "head" in made && made.error === undefined) {
      if (this.#cache.size >= maxCached) this.#cache.clear();
      this.#cache.set(key, made);
    }
    return made;
  }

  #assemble(length: number, end: boolean): Assembled | ConnectionError {
    const { decoder } = this;
    const { fieldLimit, fieldsLimit, policy } = this.#options;
    const made = assemble(decoder.fields, end, this.#options);
    made.head.headLength = length;
    if (decoder.longest <= fieldLimit && decoder.length <= fieldsLimit) return made;
    const what = decoder.longest > fieldLimit ? "client sent too large header field" : "client sent too large header";
    // As Nginx does: the connection is given up.
    if (policy.looseHead) return connectionError(code.enhanceYourCalm, "RFC 9113 10.5.1", what);
    return { ...made, error: tooLarge(what) };
  }
}

const undecodable = connectionError(code.compressionError, "RFC 9113 4.3", "undecodable header block");

const tooLarge = (detail: string): ProtocolError => ({ status: 431, rule: "RFC 6585 5", detail });
