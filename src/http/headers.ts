/**
 * Fields of a message head: ordered, as sent, found without regard to case (RFC 9110 5.1).
 *
 * Names are interned: each spelling is lower-cased and turned into its CGI key once per process, then only compared.
 */

/** A field name in the three spellings that Alicorn needs. */
export interface FieldName {
  /** As it stands on the wire: `Accept-Language`. */
  readonly raw: string;
  /** `accept-language`: what look-ups compare. */
  readonly lower: string;
  /** The CGI/WSGI key, `HTTP_ACCEPT_LANGUAGE`; `CONTENT_TYPE` and `CONTENT_LENGTH` have no prefix (PEP 3333). */
  readonly key: string;
  /** The key as it stands in an application's list of environ keys and values: between two line feeds. */
  readonly listed: string;
}

// Spellings come from clients: the table is bounded, names past it are made anew each time.
const maxInterned = 4096;
const interned = new Map<string, FieldName>();

/** The interned form of a name. `raw` must be a valid token (RFC 9110 5.6.2): the engines check that. */
export function fieldName(raw: string): FieldName {
  const known = interned.get(raw);
  if (known !== undefined) return known;
  const lower = raw.toLowerCase();
  const upper = raw.toUpperCase().replaceAll("-", "_");
  const key = upper === "CONTENT_TYPE" || upper === "CONTENT_LENGTH" ? upper : `HTTP_${upper}`;
  const name = { raw, lower, key, listed: `\n${key}\n` };
  if (interned.size < maxInterned) interned.set(raw, name);
  return name;
}

/** An ordered list of fields. Two parallel arrays, so that a request of ten fields costs two allocations, not twenty. */
export class Headers {
  readonly names: FieldName[] = [];
  readonly values: string[] = [];
  /** Several responses use this list, and it never changes again: to change one's fields, take a `copy` (`ownHeaders`). */
  shared = false;
  /** Of a shared list: its HTTP/1 form, which an engine has once made. */
  wire: string | undefined = undefined;
  /** Of a shared list: what somebody, `by`, has last made of it. */
  made: { readonly by: object; readonly what: string } | undefined = undefined;

  /** A list from `name, value` pairs. */
  static of(...pairs: readonly (readonly [name: string, value: string])[]): Headers {
    const headers = new Headers();
    for (const [name, value] of pairs) headers.add(name, value);
    return headers;
  }

  /** A list of the same fields that is the caller's own. */
  copy(): Headers {
    const headers = new Headers();
    headers.names.push(...this.names);
    headers.values.push(...this.values);
    return headers;
  }

  get size(): number {
    return this.names.length;
  }

  /** Appends a field; `value` without surrounding white space. */
  add(name: string, value: string): void {
    this.names.push(fieldName(name));
    this.values.push(value);
  }

  /** The first value under a lower-case name. */
  get(lower: string): string | undefined {
    const { names } = this;
    for (let i = 0; i < names.length; i++) if (names[i]!.lower === lower) return this.values[i];
    return undefined;
  }

  has(lower: string): boolean {
    return this.get(lower) !== undefined;
  }

  /** All values under a lower-case name, in order. */
  all(lower: string): string[] {
    return this.values.filter((_, i) => this.names[i]!.lower === lower);
  }

  /** Replaces the first field of that name (and drops further ones), or appends it. `name` as it shall be sent. */
  set(name: string, value: string): void {
    const { lower } = fieldName(name);
    const at = this.names.findIndex((each) => each.lower === lower);
    if (at < 0) {
      this.add(name, value);
      return;
    }
    this.values[at] = value;
    for (let i = this.names.length - 1; i > at; i--) if (this.names[i]!.lower === lower) this.#removeAt(i);
  }

  delete(lower: string): void {
    for (let i = this.names.length - 1; i >= 0; i--) if (this.names[i]!.lower === lower) this.#removeAt(i);
  }

  #removeAt(i: number): void {
    this.names.splice(i, 1);
    this.values.splice(i, 1);
  }
}
