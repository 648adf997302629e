/** One page with commands: what they do, and what takes their places. */
import { compileRegex, type Pattern } from "../../config/regex.ts";
import type { Body } from "../../http/message.ts";
import type { Exchange } from "../exchange.ts";
import type { Command, Param } from "./command_reader.ts";
import { include } from "./include.ts";
import type { Found } from "./scanner.ts";
import { type Encoding, encode, evaluate, parseExpression, SsiFault } from "./strings.ts";

/** Text of a page that is kept for later (`block`). */
interface Block {
  readonly name: string;
  text: string;
}

/** What a page and all the pages that it includes have in common. */
export interface Shared {
  readonly variables: Map<string, string>;
  readonly blocks: Block[];
  /** Of the last regular expression that matched. */
  captures: readonly string[];
}

/** A piece of output: text, or the body of an included response. */
export type Piece = Uint8Array | Promise<Body>;

/** Why a page cannot go on at once: its output so far must be out ("output"), or a variable must be there. */
export type Pause = "output" | Promise<void>;

export interface PageConf {
  readonly silentErrors: boolean;
  /** A variable of the request, by its name in lower case. */
  variable(exchange: Exchange, name: string): string | undefined;
}

/** A level of `if`. */
interface Level {
  /** What is around it is shown. */
  readonly outer: boolean;
  /** One of its branches was. */
  chosen: boolean;
  /** `else` has been. */
  isLast: boolean;
  /** The branch at hand is. */
  shown: boolean;
}

interface Row {
  readonly params: readonly string[];
  readonly needed?: readonly string[];
  run(page: Page, params: Params): Pause | undefined;
}

export type Params = Readonly<Record<string, string | undefined>>;

const rows: Readonly<Record<string, Row>> = {
  include: { params: ["virtual", "file", "wait", "set", "stub"], run: (page, params) => include(page, params) },
  echo: { params: ["var", "default", "encoding"], needed: ["var"], run: (page, params) => page.echo(params) },
  config: { params: ["errmsg", "timefmt"], run: (page, params) => page.config(params) },
  set: { params: ["var", "value"], needed: ["var", "value"], run: (page, params) => page.set(params) },
  if: { params: ["expr"], needed: ["expr"], run: (page, params) => page.beginIf(params) },
  elif: { params: ["expr"], needed: ["expr"], run: (page, params) => page.branch(params) },
  else: { params: [], run: (page) => page.branch(undefined) },
  endif: { params: [], run: (page) => page.endIf() },
  block: { params: ["name"], needed: ["name"], run: (page, params) => page.beginBlock(params) },
  endblock: { params: [], run: () => undefined },
};

const conditional = new Set(["if", "elif", "else", "endif"]);
const maxParams = 16;
export const defaultTimeFormat = "%A, %d-%b-%Y %H:%M:%S %Z";

export class Page {
  readonly exchange: Exchange;
  readonly shared: Shared;
  readonly #conf: PageConf;
  timeFormat = defaultTimeFormat;
  #errorMessage = "[an error occurred while processing the directive]";
  #encoding: Encoding = "entity";
  readonly #levels: Level[] = [];
  #block: Block | undefined;
  #out: Piece[] = [];

  constructor(exchange: Exchange, shared: Shared, conf: PageConf) {
    this.exchange = exchange;
    this.shared = shared;
    this.#conf = conf;
  }

  /** Adds what `found` becomes to `out`. What is returned must happen before the next one. */
  run(found: Found, out: Piece[]): Pause | undefined {
    this.#out = out;
    if (found.kind === "text") {
      this.#text(found.bytes);
      return undefined;
    }
    try {
      if (found.kind === "command") return this.#command(found.command);
    } catch (error) {
      if (!(error instanceof SsiFault)) throw error;
      this.exchange.log("error", error.message);
    }
    if (!this.#conf.silentErrors) this.show(Buffer.from(this.#errorMessage, "latin1"));
    return undefined;
  }

  show(piece: Piece): void {
    this.#out.push(piece);
  }

  #text(bytes: Uint8Array): void {
    if (this.#block !== undefined) this.#block.text += Buffer.from(bytes).toString("latin1");
    else if (this.#shows) this.show(bytes);
  }

  get #shows(): boolean {
    return this.#levels.at(-1)?.shown ?? true;
  }

  #command(command: Command): Pause | undefined {
    const { name } = command;
    if (this.#block !== undefined) {
      if (name === "endblock") this.#block = undefined;
      else this.#block.text += written(command);
      return undefined;
    }
    const row = Object.hasOwn(rows, name) ? rows[name] : undefined;
    if (!this.#shows && !conditional.has(name)) return undefined;
    if (row === undefined) throw new SsiFault(`invalid SSI command: "${name}"`);
    return row.run(this, checkedParams(command, row));
  }

  /** Strings of commands may have variables. Throws SsiFault. */
  evaluate(text: string): string {
    return evaluate(text, (name) => this.variable(name));
  }

  /** The page's own variables stand above the request's. */
  variable(name: string): string | undefined {
    if (/^\d$/.test(name)) {
      const capture = this.shared.captures[Number(name)];
      if (capture !== undefined) return capture;
    }
    return this.shared.variables.get(name) ?? this.#conf.variable(this.exchange, name);
  }

  echo({ var: name = "", default: byDefault = "(none)", encoding }: Params): undefined {
    const value = this.variable(name.toLowerCase()) ?? byDefault;
    if (value === "") return;
    if (encoding === "none" || encoding === "url" || encoding === "entity") this.#encoding = encoding;
    else if (encoding !== undefined) this.exchange.log("error", `unknown encoding "${encoding}" in the "echo" command`);
    this.show(Buffer.from(encode(value, this.#encoding), "latin1"));
  }

  config({ errmsg, timefmt }: Params): undefined {
    if (timefmt !== undefined) this.timeFormat = timefmt;
    if (errmsg !== undefined) this.#errorMessage = errmsg;
  }

  set({ var: name = "", value = "" }: Params): undefined {
    this.shared.variables.set(name.toLowerCase(), this.evaluate(value));
  }

  beginIf({ expr = "" }: Params): undefined {
    const outer = this.#shows;
    const shown = outer && this.#holds(expr);
    this.#levels.push({ outer, chosen: shown, isLast: false, shown });
  }

  /** `else`, and with parameters `elif`. */
  branch(params: Params | undefined): undefined {
    const level = this.#levels.at(-1);
    if (level === undefined || level.isLast)
      throw new SsiFault(`invalid context of SSI command: "${params === undefined ? "else" : "elif"}"`);
    level.isLast = params === undefined;
    level.shown = false;
    if (!level.outer || level.chosen) return;
    level.shown = params === undefined || this.#holds(params.expr ?? "");
    level.chosen = level.shown;
  }

  endIf(): undefined {
    if (this.#levels.pop() === undefined) throw new SsiFault('invalid context of SSI command: "endif"');
  }

  beginBlock({ name = "" }: Params): undefined {
    this.#block = { name, text: "" };
    this.shared.blocks.push(this.#block);
  }

  #holds(text: string): boolean {
    const { left, right } = parseExpression(text);
    const value = this.evaluate(left);
    if (right === undefined) return value !== "";
    const other = this.evaluate(right.text);
    return (right.isRegex ? this.#matches(value, other) : value === other) !== right.isNegative;
  }

  #matches(value: string, source: string): boolean {
    const pattern = compiled(source);
    if (typeof pattern === "string") throw new SsiFault(pattern);
    const found = pattern.exec(value);
    if (found === undefined) return false;
    this.shared.captures = found;
    for (const [name, group] of pattern.names) this.shared.variables.set(name.toLowerCase(), found[group] ?? "");
    return true;
  }
}

const written = ({ name, params }: Command): string =>
  `<!--#${name}${params.map((param) => ` ${param.name}="${param.value}"`).join("")} -->`;

/** Throws SsiFault for parameters that the command does not have, has twice, or needs. */
function checkedParams({ name, params }: Command, { params: known, needed = [] }: Row): Params {
  if (params.length > maxParams) throw new SsiFault(`too many SSI command parameters: "${name}"`);
  const found: Record<string, string> = {};
  for (const param of params) addParam(found, param, name, known);
  for (const each of needed)
    if (found[each] === undefined)
      throw new SsiFault(`mandatory "${each}" parameter is absent in "${name}" SSI command`);
  return found;
}

function addParam(found: Record<string, string>, param: Param, command: string, known: readonly string[]): void {
  if (!known.includes(param.name))
    throw new SsiFault(`invalid parameter name: "${param.name}" in "${command}" SSI command`);
  if (found[param.name] !== undefined)
    throw new SsiFault(`duplicate "${param.name}" parameter in "${command}" SSI command`);
  found[param.name] = param.value;
}

// Pages have a few, and ask for them over and over.
const maxPatterns = 256;
const patterns = new Map<string, Pattern | string>();

function compiled(source: string): Pattern | string {
  const known = patterns.get(source);
  if (known !== undefined) return known;
  const made = compileRegex(source, false);
  if (patterns.size < maxPatterns) patterns.set(source, made);
  return made;
}
