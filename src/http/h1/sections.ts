/**
 * Field sections that come again: a client sends the same fields with most of its requests, whichever connection they come
 * over. What was understood of them once is not read a second time.
 */
import type { FieldsReader } from "./fields.ts";
import type { Policy } from "./policy.ts";

/** Longer ones are rarely the same, and cost more to keep. */
const longestSection = 2048;
/** Sections of one generation; two are kept. */
const most = 256;

const cr = 0x0d;
const lf = 0x0a;

/** The text of `bytes[from, to)`, if it may be a section of fields and nothing else. */
export function sectionText(bytes: Buffer, from: number, to: number): string | undefined {
  const length = to - from;
  if (length < 4 || length > longestSection) return undefined;
  if (bytes[to - 1] !== lf || bytes[to - 2] !== cr || bytes[to - 3] !== lf || bytes[to - 4] !== cr) return undefined;
  return bytes.latin1Slice(from, to);
}

/** Two generations: what is asked for stays, the rest is forgotten with the older one. */
export class KnownSections {
  #young = new Map<string, FieldsReader>();
  #old = new Map<string, FieldsReader>();

  /** The reader that has read this text to its end. */
  find(text: string): FieldsReader | undefined {
    const young = this.#young.get(text);
    if (young !== undefined) return young;
    const old = this.#old.get(text);
    if (old !== undefined) this.add(text, old);
    return old;
  }

  /** `fields` has read this text, and nothing else, and is not changed any more. */
  add(text: string, fields: FieldsReader): void {
    if (this.#young.size >= most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, fields);
  }
}

const byPolicy = new WeakMap<Policy, KnownSections>();

/** Those that were read by a policy: another one might understand them otherwise. */
export function sectionsOf(policy: Policy): KnownSections {
  let known = byPolicy.get(policy);
  if (known === undefined) {
    known = new KnownSections();
    byPolicy.set(policy, known);
  }
  return known;
}
