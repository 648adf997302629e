/** What the peer says about priorities in frames (RFC 9113 6.3, RFC 9218 7.1). */
import { broken, type ConnectionError } from "./errors.ts";
import { read31 } from "./frames.ts";
import type { Guard } from "./guard.ts";
import { type Priority, parsePriority } from "./priority.ts";
import { type Span, tooSmall } from "./reader.ts";
import type { H2Stream, Streams } from "./stream.ts";

/** PRIORITY_UPDATE may come before its stream does (RFC 9218 7.1): so many are kept. */
const maxEarly = 128;

export class Priorities {
  readonly #streams: Streams;
  readonly #guard: Guard;
  readonly #early = new Map<number, Priority>();

  constructor(streams: Streams, guard: Guard) {
    this.#streams = streams;
    this.#guard = guard;
  }

  /** A stream has begun: what was said about it before is younger than its own field (RFC 9218 7.1). */
  take(stream: H2Stream): void {
    if (this.#early.size === 0) return;
    const early = this.#early.get(stream.id);
    if (early === undefined) return;
    stream.priority = early;
    this.#early.delete(stream.id);
  }

  /** RFC 9113 6.3: checked, and ignored. */
  onPriority(id: number, { bytes, from, to }: Span): ConnectionError | undefined {
    if (id === 0) return broken("RFC 9113 6.3", "client sent PRIORITY frame with incorrect identifier");
    if (to - from !== 5) return tooSmall("PRIORITY");
    if (read31(bytes, from) === id)
      return broken("RFC 7540 5.3.1", `client sent PRIORITY frame for stream ${id} with incorrect dependency`);
    return this.#guard.control("PRIORITY");
  }

  /** RFC 9218 7.1 */
  onUpdate(id: number, { bytes, from, to }: Span): ConnectionError | undefined {
    if (id !== 0) return broken("RFC 9218 7.1", "client sent PRIORITY_UPDATE frame with incorrect identifier");
    if (to - from < 4) return tooSmall("PRIORITY_UPDATE");
    const about = read31(bytes, from);
    if ((about & 1) === 0) return broken("RFC 9218 7.1", "client sent PRIORITY_UPDATE frame about no request");
    const priority = parsePriority(bytes.latin1Slice(from + 4, to));
    const stream = this.#streams.open.get(about);
    if (stream !== undefined) stream.priority = priority;
    else if (this.#streams.isIdle(about) && this.#early.size < maxEarly) this.#early.set(about, priority);
    return this.#guard.control("PRIORITY_UPDATE");
  }
}
