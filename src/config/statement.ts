/** What a configuration file says, as a tree: words, blocks, and where each stands. Knows no directive by name. */

/** A line of a file, for messages: `in /etc/nginx/nginx.conf:12`. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** `name arg arg;` or `name arg { … }`. Plain data: the master hands the tree to its workers. */
export interface Statement {
  readonly name: string;
  /** Without quotes, escapes resolved; variables as they stand. latin-1 text of the file's bytes. */
  readonly args: readonly string[];
  /** Where it ends: Nginx counts the line of the `;` or `{`. */
  readonly at: Place;
  /** The statements between the braces; undefined: it ended with `;`. */
  readonly block: readonly Statement[] | undefined;
}

/** The user wrote something that cannot be: what, and where. Ends `-t` and start-up; never shown with a stack. */
export class ConfigError extends Error {
  /** `at` undefined: the fault is in no particular line. */
  constructor(message: string, at: Place | undefined) {
    super(at === undefined ? message : `${message} in ${at.file}:${at.line}`);
  }
}
