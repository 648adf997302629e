/** A configuration as it was read: plain data, which the master hands to its workers; each compiles it for itself. */
import type { Statement } from "./statement.ts";

export interface Configuration {
  readonly statements: readonly Statement[];
  /** Relative paths in directives begin here (`-p`). Absolute, ends with a slash. */
  readonly prefix: string;
  /** The main configuration file, absolute; "" if there is none (zero configuration). Relative paths of `include` begin in its directory. */
  readonly file: string;
  /** Where the error log goes until (and unless) the configuration names one (`-e`): a file, or "-" for stderr. */
  readonly errorLog: string;
  /**
   * What the master has read of files, by path: workers have it from here. Of those that can be read only once (a named pipe of pass
   * phrases), and of certificates where a reload asks whether they have changed.
   */
  readonly readOnce?: Record<string, string>;
}
