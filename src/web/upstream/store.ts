/** proxy_store: a copy of an upstream's response becomes a file, once all of it is there. */
import { closeSync, fchmodSync, futimesSync, mkdirSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { parseHttpDate } from "../../base/date.ts";
import { ConfigError } from "../../config/statement.ts";
import type { Sink, Source } from "../../http/message.ts";
import { type Directive, duplicate, everywhere } from "../directive.ts";
import type { Template } from "../template.ts";

/** false: off; true: where the location's files are; else the file's path. */
export type StoreConf = boolean | Template;

export const storeRow: Directive<StoreConf> = {
  summary: "Whether, and where, responses are kept as files.",
  syntax: "on | off | string",
  contexts: everywhere,
  args: 1,
  initial: false,
  initialText: "off",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const [text = ""] = statement.args;
    if (text === "on" || text === "off") return text === "on";
    if (text === "") throw new ConfigError("empty path", statement.at);
    return setup.template(text.startsWith("$") ? text : setup.path(text), statement.at);
  },
};

const letters: Readonly<Record<string, number>> = { r: 4, w: 2, x: 1 };
const places: Readonly<Record<string, number>> = { user: 6, group: 3, all: 0 };

/** Permission bits: `user:rw group:r all:r`. The owner may always read and write. */
export const storeAccessRow: Directive<number> = {
  summary: "The permissions of kept files.",
  syntax: "users:permissions …",
  contexts: everywhere,
  args: [1, 3],
  initial: 0o600,
  initialText: "user:rw",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    let access = 0o600;
    for (const word of statement.args) {
      const [, who = "", rights] = /^(user|group|all):(rw|r|w)$/.exec(word) ?? [];
      if (rights === undefined) throw new ConfigError(`invalid value "${word}"`, statement.at);
      for (const letter of rights) access |= (letters[letter] ?? 0) << (places[who] ?? 0);
    }
    return access;
  },
};

export interface StoreOptions {
  /** Absolute. Directories are made. */
  readonly path: string;
  readonly access: number;
  /** The response's Last-Modified becomes the file's time. */
  readonly lastModified: string | undefined;
  /** Bytes that there must be; -1: as many as come. */
  readonly length: number;
  /** Told of what went wrong. */
  onError(message: string): void;
}

let lastName = 0;

/** Passes a body on and keeps it in a file, which appears when the body is complete. */
export function stored(source: Source, options: StoreOptions): Source {
  const copy = new Copy(options);
  return {
    pull: (to: Sink) =>
      source.pull({
        push(bytes, last) {
          copy.write(bytes);
          if (last) copy.finish();
          to.push(bytes, last);
        },
        fail(reason) {
          copy.drop();
          to.fail(reason);
        },
      }),
    cancel(reason) {
      copy.drop();
      source.cancel(reason);
    },
  };
}

class Copy {
  readonly #options: StoreOptions;
  #fd = -1;
  #name = "";
  #length = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    const { path, access } = options;
    this.#name = `${path}.${process.pid}-${String(++lastName).padStart(10, "0")}`;
    this.#attempt("open", () => {
      // Who may read a file may look into its directories.
      mkdirSync(dirname(path), { recursive: true, mode: access | ((access & 0o444) >> 2) });
      this.#fd = openSync(this.#name, "wx", 0o600);
    });
  }

  write(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (this.#fd >= 0) this.#attempt("write", () => writeSync(this.#fd, bytes));
  }

  finish(): void {
    const { path, access, lastModified, length } = this.#options;
    if (this.#fd < 0) return;
    if (length >= 0 && length !== this.#length) return this.drop();
    this.#attempt("rename", () => {
      fchmodSync(this.#fd, access);
      const seconds = lastModified === undefined ? undefined : parseHttpDate(lastModified);
      if (seconds !== undefined) futimesSync(this.#fd, seconds, seconds);
      closeSync(this.#fd);
      this.#fd = -1;
      renameSync(this.#name, path);
    });
  }

  drop(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    try {
      unlinkSync(this.#name);
    } catch {
      // Somebody has moved it away.
    }
  }

  #attempt(call: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.drop();
      this.#options.onError(`${call}() "${this.#name}" failed (${error instanceof Error ? error.message : error})`);
    }
  }
}
