/** Where files are: `root` and `alias`, and the name that a URI stands for there. */
import type { Exchange } from "./exchange.ts";

export interface Documents {
  /** $document_root: the directory, without a slash at the end. */
  root(exchange: Exchange): string;
  /** $request_filename: the file that `uri` names. */
  path(exchange: Exchange, uri: string): string;
  /** What `alias` stands in for; undefined: this is `root`. */
  readonly alias: { readonly prefix: string } | undefined;
  /** Does a URI name the same file in every request? Else variables decide. */
  readonly isConstant: boolean;
}

/** The file that the request's URI names. undefined (answer 500, the log has it): the location's `alias` stands for a part that is gone. */
export function requestPath(exchange: Exchange): string | undefined {
  const { documents, name } = exchange.location;
  if (documents.alias === undefined || !exchange.rewrittenInPlace) return documents.path(exchange, exchange.uri);
  exchange.log("alert", `"alias" cannot be used in location "${name}" where URI was rewritten`);
  return undefined;
}
