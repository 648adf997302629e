/**
 * From the tree of statements to blocks of typed values: contexts, arities and duplicates are checked here, once for all
 * directives, with Nginx's words; what a value means is its row's matter.
 */
import { ConfigError, type Place, type Statement } from "../config/statement.ts";
import { type Conf, context, type Directive, type Directives } from "./directive.ts";
import type { Setup } from "./setup.ts";
import { unsupported } from "./unsupported.ts";

/** A directive's row under its name and slot. */
interface NamedRow {
  readonly slot: string;
  readonly row: Directive<unknown>;
}

/** All directives; a name may have several rows, for different contexts (`server`). */
export class Rows {
  readonly #byName = new Map<string, NamedRow[]>();

  add(directives: Directives): void {
    for (const [key, row] of Object.entries(directives)) {
      const name = nameOf(key);
      const rows = this.#byName.get(name) ?? [];
      rows.push({ slot: row.slot ?? key, row });
      this.#byName.set(name, rows);
    }
  }

  named(name: string): readonly NamedRow[] | undefined {
    return this.#byName.get(name);
  }
}

/** A key of a table is the directive's name; where one table has two rows of a name, "name@upstream" tells them apart. */
export const nameOf = (key: string): string => key.split("@")[0] ?? key;

/** A level of the configuration: main, http, a server, a location … */
export class Block {
  /** One of `context`. */
  readonly kind: number;
  readonly parent: Block | undefined;
  /** What opened it; undefined: it is the whole. */
  readonly statement: Statement | undefined;
  readonly children: Block[] = [];
  readonly #own = new Map<string, unknown>();
  readonly #merged = new Map<Directives, Conf<Directives>>();

  constructor(kind: number, parent?: Block, statement?: Statement) {
    this.kind = kind;
    this.parent = parent;
    this.statement = statement;
    parent?.children.push(this);
  }

  /** Has no name of its own: `if`, `limit_except`. Such a block inherits even the content handler. */
  get isUnnamed(): boolean {
    return (this.kind & (context.serverIf | context.locationIf | context.limitExcept)) !== 0;
  }

  /** Where it begins. */
  get at(): Place {
    return this.statement?.at ?? { file: "", line: 0 };
  }

  /** What this very block says; undefined: nothing. */
  own(slot: string): unknown {
    return this.#own.get(slot);
  }

  set(slot: string, value: unknown): void {
    this.#own.set(slot, value);
  }

  /** Each directive of a module with the value that holds in this block. Ask when the whole configuration has been read. */
  conf<D extends Directives>(directives: D): Conf<D> {
    const known = this.#merged.get(directives);
    if (known !== undefined) return known as Conf<D>;
    const conf: Record<string, unknown> = {};
    const outer = this.parent?.conf(directives);
    for (const [key, row] of Object.entries(directives)) conf[key] = this.#value(row.slot ?? key, row, outer?.[key]);
    this.#merged.set(directives, conf);
    return conf as Conf<D>;
  }

  #value(slot: string, row: Directive<unknown>, outerValue: unknown): unknown {
    const inner = this.#own.get(slot);
    const comesDown = row.inherit === undefined || (row.inherit === "unnamed" && this.isUnnamed);
    const outer = this.parent === undefined || !comesDown ? row.initial : outerValue;
    if (row.merge !== undefined) return row.merge(outer, inner);
    return inner === undefined ? outer : inner;
  }

  /** The blocks inside of one kind, in order. */
  childrenOf(kind: number): Block[] {
    return this.children.filter((child) => child.kind === kind);
  }
}

/** Reads all statements. Throws ConfigError for the first that cannot be. */
export function build(statements: readonly Statement[], rows: Rows, setup: Setup): Block {
  const main = new Block(context.main);
  fill(main, statements, rows, setup);
  return main;
}

function fill(block: Block, statements: readonly Statement[], rows: Rows, setup: Setup): void {
  for (const statement of statements) read(block, statement, rows, setup);
}

function read(block: Block, statement: Statement, rows: Rows, setup: Setup): void {
  const { name, at } = statement;
  const candidates = rows.named(name);
  if (candidates === undefined) throw unknown(name, at);
  const found = candidates.find(({ row }) => (row.contexts & block.kind) !== 0);
  if (found === undefined) throw new ConfigError(`"${name}" directive is not allowed here`, at);
  const { slot, row } = found;
  checkForm(statement, row);
  const opened = row.opens === undefined ? undefined : new Block(row.opens, block, statement);
  block.set(slot, row.parse(statement, block.own(slot), { setup, block, opened }));
  if (opened !== undefined) fill(opened, statement.block ?? [], rows, setup);
}

function checkForm({ name, args, at, block }: Statement, { args: arity, opens, ownBlock }: Directive<unknown>): void {
  const takesBlock = opens !== undefined || ownBlock === true;
  if (takesBlock && block === undefined) throw new ConfigError(`directive "${name}" has no opening "{"`, at);
  if (!takesBlock && block !== undefined) throw new ConfigError(`directive "${name}" is not terminated by ";"`, at);
  const [least, most] = typeof arity === "number" ? [arity, arity] : arity;
  if (args.length < least || args.length > most)
    throw new ConfigError(`invalid number of arguments in "${name}" directive`, at);
}

function unknown(name: string, at: Place): ConfigError {
  const why = unsupported.get(name);
  if (why === undefined) return new ConfigError(`unknown directive "${name}"`, at);
  return new ConfigError(`directive "${name}" is Nginx's, but Alicorn does not have it: ${why};`, at);
}
