/** The registry of `$names`: what the modules declare, and what a configuration defines. */
import { ConfigError, type Place } from "../config/statement.ts";
import { type Exchange, valuesOf } from "./exchange.ts";

/** One variable. A value is latin-1 text; undefined: there is none ("" in a string, false in a condition). */
export interface Variable {
  /** What it holds, for the reference page. */
  readonly summary: string;
  get(exchange: Exchange): string | undefined;
  /** `set $name value;` changes something besides the variable itself ($args, $limit_rate). */
  set?(exchange: Exchange, value: string): void;
  /** Computed once per request, then remembered: what costs something, or would differ the next time. */
  readonly cached?: boolean;
  /** Its values never need an escape in a log: printable ASCII without `"` and `\\`. */
  readonly plain?: boolean;
}

/** Variables whose names begin alike: `$arg_name`. */
export interface VariableFamily {
  readonly summary: string;
  /** The variable whose name ends with `rest`, in lower case. */
  get(rest: string): (exchange: Exchange) => string | undefined;
}

export type VariableTable = Readonly<Record<string, Variable>>;
/** By prefix: "arg_". */
export type FamilyTable = Readonly<Record<string, VariableFamily>>;

interface Known {
  readonly variable: Variable;
  /** May the configuration define or set it? */
  readonly changeable: boolean;
  slot: number;
}

/** A cached variable that has been computed and has no value. */
const absent = null;

export class Variables {
  readonly #known = new Map<string, Known>();
  readonly #families: [prefix: string, family: VariableFamily][] = [];
  #slots = 0;
  #open = true;

  /** From a module's tables. */
  declare(table: VariableTable, families: FamilyTable = {}): void {
    for (const [name, variable] of Object.entries(table))
      this.#known.set(name, { variable, changeable: variable.set !== undefined, slot: this.#slotFor(variable) });
    this.#families.push(...Object.entries(families));
    this.#families.sort(([a], [b]) => b.length - a.length);
  }

  /** From a statement (`map`, `geo`, `auth_request_set` …). Throws ConfigError where a module has one of that name. */
  define(name: string, variable: Variable, at: Place): void {
    const known = this.#known.get(name.toLowerCase());
    if (known !== undefined && !known.changeable) throw new ConfigError(`the duplicate "${name}" variable`, at);
    const slot = known !== undefined && known.slot >= 0 ? known.slot : this.#slotFor(variable);
    this.#known.set(name.toLowerCase(), { variable, changeable: true, slot });
  }

  /** A variable that `set` and named captures fill: returns how. `initial`: its value before; undefined: none. */
  settable(name: string, at: Place): (exchange: Exchange, value: string) => void {
    const lower = name.toLowerCase();
    let known = this.#known.get(lower);
    if (known === undefined) {
      known = { variable: this.#unset(lower), changeable: true, slot: this.#slots++ };
      this.#known.set(lower, known);
    }
    if (!known.changeable) throw new ConfigError(`the duplicate "${name}" variable`, at);
    const { set } = known.variable;
    if (set !== undefined) return set;
    if (known.slot < 0) known.slot = this.#slots++;
    const { slot } = known;
    return (exchange, value) => {
      valuesOf(exchange)[slot] = value;
    };
  }

  /** How to read a variable. Throws ConfigError for one that nobody knows. Ask when all statements have been read. */
  reader(name: string, at: Place): (exchange: Exchange) => string | undefined {
    const lower = name.toLowerCase();
    const known = this.#known.get(lower);
    if (known === undefined) return this.#fromFamily(lower, name, at);
    const { variable, slot } = known;
    if (slot < 0) return (exchange) => variable.get(exchange);
    if (variable.cached === false)
      return (exchange) => {
        const before = exchange.values?.[slot];
        return before === undefined ? variable.get(exchange) : (before ?? undefined);
      };
    return (exchange) => {
      const before = exchange.values?.[slot];
      if (before !== undefined) return before ?? undefined;
      const value = variable.get(exchange);
      valuesOf(exchange)[slot] = value ?? absent;
      return value;
    };
  }

  /** Are its values such that logs need no escape for them? */
  isPlain(name: string): boolean {
    return this.#known.get(name.toLowerCase())?.variable.plain === true;
  }

  #fromFamily(lower: string, name: string, at: Place): (exchange: Exchange) => string | undefined {
    for (const [prefix, family] of this.#families)
      if (lower.startsWith(prefix)) return family.get(lower.slice(prefix.length));
    throw new ConfigError(`unknown "${name}" variable`, at);
  }

  /** What a variable is where no `set` has been: one of a family ($http_name) is what it always is. */
  #unset(lower: string): Variable {
    const family = this.#families.find(([prefix]) => lower.startsWith(prefix));
    if (family === undefined) return { summary: "", get: () => undefined, cached: true };
    return { summary: "", get: family[1].get(lower.slice(family[0].length)), cached: false };
  }

  #slotFor(variable: Variable): number {
    return variable.cached === true ? this.#slots++ : -1;
  }

  /** No more variables: how many values an exchange may remember. */
  close(): void {
    this.#open = false;
  }

  get isOpen(): boolean {
    return this.#open;
  }
}
