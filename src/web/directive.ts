/** A directive is one row: where it may stand, what it takes, what it means, how it is inherited, and its documentation. */
import { ConfigError, type Place, type Statement } from "../config/statement.ts";
import { parseOffset, parseSize, parseTime } from "../config/values.ts";
import type { Block } from "./build.ts";
import type { Setup } from "./setup.ts";
import type { Template } from "./template.ts";

/** Where a directive may stand, as in the line "Context:" of Nginx's documentation; to be or-ed. */
export const context = {
  main: 1,
  events: 2,
  http: 4,
  server: 8,
  location: 16,
  /** `if` in a server. */
  serverIf: 32,
  /** `if` in a location. */
  locationIf: 64,
  limitExcept: 128,
  upstream: 256,
  app: 512,
} as const;

const { http, server, location, locationIf } = context;
/** The usual places of a directive that locations inherit. */
export const everywhere = http | server | location;
export const everywhereIf = everywhere | locationIf;

/** One row of a module's table. V is the type of its value. */
export interface Directive<V> {
  /** What it does, in a sentence. */
  readonly summary: string;
  /** What may follow the name: "on | off", "size", "number size". */
  readonly syntax: string;
  readonly contexts: number;
  /** How many arguments: exactly, or from … to. */
  readonly args: number | readonly [least: number, most: number];
  readonly initial: V;
  /** The default as it is written in a configuration; absent: there is none. */
  readonly initialText?: string;
  /** Where we differ from Nginx, for the reference page. */
  readonly deviation?: string;
  /** Rows with the same slot fill one value together (`allow`, `deny`); default: its own name. */
  readonly slot?: string;
  /**
   * Which blocks get the enclosing block's value: all (absent), only those without a name of their own (`if`, `limit_except`:
   * content handlers), or none.
   */
  readonly inherit?: "unnamed" | "never";
  /** It has a block of this context; its statements are rows of modules. */
  readonly opens?: number;
  /** It has a block whose statements are its own matter (`types`, `map`). */
  readonly ownBlock?: boolean;
  /** Turns a statement into the value. `before`: what earlier statements of the same block said; most rows refuse that. */
  parse(statement: Statement, before: V | undefined, at: Parsing): V;
  /** How the enclosing block's value comes down. Absent: the inner value if there is one, else the outer. */
  merge?(outer: V, inner: V | undefined): V;
}

/** What a row's parser may ask. */
export interface Parsing {
  readonly setup: Setup;
  /** The block in which the statement stands. */
  readonly block: Block;
  /** The block that it opened, if its row `opens` one. */
  readonly opened: Block | undefined;
}

export type Directives = Readonly<Record<string, Directive<unknown>>>;

/** What a module reads: each directive under its own name, with the type that its row gives it. */
export type Conf<D extends Directives> = { readonly [Name in keyof D]: D[Name] extends Directive<infer V> ? V : never };

type Row<V> = Omit<Directive<V>, "args" | "parse" | "syntax"> & { readonly syntax?: string };

export const duplicate = ({ name, at }: Statement): ConfigError =>
  new ConfigError(`"${name}" directive is duplicate`, at);
export const invalidValue = ({ name, at }: Statement, value: string | undefined): ConfigError =>
  new ConfigError(`invalid value "${value ?? ""}" in "${name}" directive`, at);
export const invalidParameter = ({ at }: { readonly at: Place }, text: string): ConfigError =>
  new ConfigError(`invalid parameter "${text}"`, at);

/** A row with one argument that may be given once. */
function single<V>(
  row: Row<V>,
  syntax: string,
  parse: (text: string, statement: Statement, at: Parsing) => V,
): Directive<V> {
  return {
    syntax,
    ...row,
    args: 1,
    parse(statement, before, at) {
      if (before !== undefined) throw duplicate(statement);
      return parse(statement.args[0] ?? "", statement, at);
    },
  };
}

export const flag = (row: Row<boolean>): Directive<boolean> =>
  single({ initialText: row.initial ? "on" : "off", ...row }, "on | off", (text, { name, at }) => {
    if (text.toLowerCase() === "on") return true;
    if (text.toLowerCase() === "off") return false;
    throw new ConfigError(`invalid value "${text}" in "${name}" directive, it must be "on" or "off"`, at);
  });

/** Bytes, with k or m. */
export const size = <D extends number | undefined>(row: Row<D>): Directive<number | D> =>
  single<number | D>(row, "size", (text, statement) => {
    const value = parseSize(text);
    if (value === undefined) throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return value;
  });

/** Bytes, with k, m or g. */
export const offset = <D extends number | undefined>(row: Row<D>): Directive<number | D> =>
  single<number | D>(row, "size", (text, statement) => {
    const value = parseOffset(text);
    if (value === undefined) throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return value;
  });

/** A time in ms. */
export const time = <D extends number | undefined>(row: Row<D>): Directive<number | D> =>
  single<number | D>(row, "time", (text, statement) => {
    const value = parseTime(text, "ms");
    if (value === undefined) throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return value;
  });

/** A time in whole seconds. */
export const seconds = <D extends number | undefined>(row: Row<D>): Directive<number | D> =>
  single<number | D>(row, "time", (text, statement) => {
    const value = parseTime(text, "s");
    if (value === undefined) throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return value;
  });

export const number = <D extends number | undefined>(row: Row<D>): Directive<number | D> =>
  single<number | D>(row, "number", (text, { name, at }) => {
    if (!/^\d{1,15}$/.test(text)) throw new ConfigError(`"${name}" directive invalid number`, at);
    return Number(text);
  });

/** A word as it stands. */
export const text = <D extends string | undefined>(row: Row<D>): Directive<string | D> =>
  single<string | D>(row, "string", (given) => given);

/** A string with variables. */
export const template = <D extends Template | undefined>(row: Row<D>): Directive<Template | D> =>
  single<Template | D>(row, "string", (given, { at }, { setup }) => setup.template(given, at));

/** One of some words. */
export const choice = <const W extends string>(words: readonly W[], row: Row<W>): Directive<W> =>
  single<W>({ initialText: row.initial, ...row }, words.join(" | "), (given, { at }) => {
    const found = words.find((word) => word === given.toLowerCase());
    if (found === undefined) throw new ConfigError(`invalid value "${given}"`, at);
    return found;
  });

/** Words, from one or several statements of a block. */
export const words = (row: Row<readonly string[]>): Directive<readonly string[]> => ({
  syntax: "string …",
  ...row,
  args: [1, Number.POSITIVE_INFINITY],
  parse: ({ args }, before = []) => [...before, ...args],
});

/** Understood and of no effect here; `deviation` says why. */
export const accepted = (row: {
  readonly contexts: number;
  readonly args?: Directive<unknown>["args"];
  readonly syntax: string;
  readonly deviation: string;
}): Directive<undefined> => ({
  summary: "Accepted.",
  args: [1, Number.POSITIVE_INFINITY],
  ...row,
  initial: undefined,
  parse: () => undefined,
});
