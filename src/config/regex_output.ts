/** The JavaScript expression in the making. Groups get their numbers at the end: helping groups come in between. */

/** The opening of a capturing group. */
export interface Open {
  /** The user's number, from 1; 0: a group of our own. */
  readonly group: number;
}

/** A reference to what a group has found. */
interface Reference {
  /** A group of our own, or the user's by number or name. */
  readonly to: Open | number | string;
  readonly caseless: boolean;
}

type Piece = string | { readonly open: Open } | { readonly reference: Reference };

export interface Finished {
  readonly source: string;
  /** `groups[n]` is the number in `source` of the user's group n; `groups[0]` is 0. */
  readonly groups: readonly number[];
  /** Of all groups in `source`, those of our own included. */
  readonly groupCount: number;
}

export class PatternOutput {
  readonly #pieces: Piece[] = [];

  /** Where the next piece will stand, for `wrap`. */
  get length(): number {
    return this.#pieces.length;
  }

  text(text: string): void {
    this.#pieces.push(text);
  }

  open(group: number): Open {
    const open = { group };
    this.#pieces.push({ open });
    return open;
  }

  reference(to: Open | number | string, caseless: boolean): void {
    this.#pieces.push({ reference: { to, caseless } });
  }

  /** Is it an assertion that begins at piece `start`? JavaScript repeats one only within another group. */
  isAssertion(start: number): boolean {
    const piece = this.#pieces[start];
    return typeof piece === "string" && /^\(\?<?[=!]/.test(piece);
  }

  /** Puts a non-capturing group around everything from piece `start` on. */
  group(start: number): void {
    this.#pieces.splice(start, 0, "(?:");
    this.#pieces.push(")");
  }

  /**
   * Makes everything from piece `start` on atomic: what it has found once it never gives back. A lookahead cannot be
   * entered again, so the first thing that it finds is what the reference behind it goes past.
   */
  atomic(start: number): void {
    const open: Open = { group: 0 };
    this.#pieces.splice(start, 0, "(?:(?=", { open });
    this.#pieces.push("))");
    this.reference(open, false);
    this.#pieces.push(")");
  }

  /** `groupOf`: the number of the user's group of a name. Every reference has to have its group. */
  finish(groupOf: ReadonlyMap<string, number>): Finished {
    const numbers = new Map<Open, number>();
    const groups = [0];
    for (const piece of this.#pieces) {
      if (typeof piece === "string" || !("open" in piece)) continue;
      numbers.set(piece.open, numbers.size + 1);
      if (piece.open.group > 0) groups[piece.open.group] = numbers.size;
    }
    const source = this.#pieces.map((piece) => {
      if (typeof piece === "string") return piece;
      if ("open" in piece) return "(";
      const { to, caseless } = piece.reference;
      const group = typeof to === "string" ? groupOf.get(to) : to;
      const number = typeof group === "object" ? numbers.get(group) : groups[group ?? 0];
      return `(?${caseless ? "i" : ""}:\\${number})`;
    });
    return { source: source.join(""), groups, groupCount: numbers.size };
  }
}
