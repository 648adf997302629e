/** What modules remember about a request, by keys of their own: a list, since a Map costs more to make than half a dozen notes to find. */

export class Notes {
  readonly #keys: symbol[] = [];
  readonly #values: unknown[] = [];

  get(key: symbol): unknown {
    return this.#values[this.#keys.indexOf(key)];
  }

  set(key: symbol, value: unknown): void {
    const at = this.#keys.indexOf(key);
    if (at >= 0) {
      this.#values[at] = value;
      return;
    }
    this.#keys.push(key);
    this.#values.push(value);
  }

  copy(): Notes {
    const copy = new Notes();
    copy.#keys.push(...this.#keys);
    copy.#values.push(...this.#values);
    return copy;
  }
}
