/** What a configuration is compiled with: paths, variables, warnings. Lives until the site is built. */
import { isAbsolute, join } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import { ConfigError, type Place } from "../config/statement.ts";
import type { ZonePlan } from "./plan.ts";
import { Template } from "./template.ts";
import { Variables } from "./variables.ts";

export class Setup {
  readonly configuration: Configuration;
  readonly variables = new Variables();
  /** Lines for the operator that do not stop anything: "… in FILE:LINE". */
  readonly warnings: string[] = [];
  /** Absolute paths of the log files that it names. */
  readonly logFiles = new Set<string>();
  readonly #zones = new Map<string, ZonePlan>();
  readonly #templates: Template[] = [];
  readonly #last: (() => void)[] = [];

  constructor(configuration: Configuration) {
    this.configuration = configuration;
  }

  /** A string with variables; throws ConfigError for a malformed one. Unknown variables are found out by `finish`. */
  template(text: string, at: Place): Template {
    const made = new Template(text, at);
    this.#templates.push(made);
    return made;
  }

  /** A path of a directive, absolute: relative ones begin in the prefix. */
  path(text: string): string {
    return isAbsolute(text) ? text : join(this.configuration.prefix, text);
  }

  warn(message: string, at: Place): void {
    this.warnings.push(`${message} in ${at.file}:${at.line}`);
  }

  /** Asks for memory that all web workers share. Throws ConfigError where the name is taken for something else. */
  zone(wanted: ZonePlan, at: Place): void {
    const known = this.#zones.get(wanted.name);
    if (known !== undefined && (known.kind !== wanted.kind || known.sizeBytes !== wanted.sizeBytes))
      throw new ConfigError(`the shared memory zone "${wanted.name}" is already declared for a different use`, at);
    this.#zones.set(wanted.name, wanted);
  }

  get zones(): readonly ZonePlan[] {
    return [...this.#zones.values()];
  }

  /** Calls `check` when all statements have been read: for what may stand further down (zones, upstreams, named locations). */
  afterwards(check: () => void): void {
    this.#last.push(check);
  }

  /** All statements have been read: strings learn what their variables are. Throws ConfigError for one that nobody defines. */
  finish(): void {
    for (const check of this.#last) check();
    for (const each of this.#templates) each.resolve(this.variables);
    this.variables.close();
  }
}
