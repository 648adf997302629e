/** Where files are: `root` and `alias`, and the name that a URI stands for there. */
import type { Exchange } from "./exchange.ts";

export interface Documents {
  /** $document_root: the directory, without a slash at the end. */
  root(exchange: Exchange): string;
  /** $request_filename: the file that `uri` names. */
  path(exchange: Exchange, uri: string): string;
  /** What `alias` stands in for; undefined: this is `root`. */
  readonly alias: { readonly prefix: string } | undefined;
}
