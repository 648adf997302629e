/** URIs that come from responses and pages: they lead to another request of ours, and must not lead out of the documents. */
import { decodePath } from "./path.ts";

export interface InnerUri {
  /** Decoded. */
  readonly uri: string;
  readonly args: string;
}

const climbs = /(?:^|\/)\.\.(?:\/|$)/;

/** Cuts up and decodes a URI. undefined: it is unsafe: empty, a step up, NUL, a bad escape. */
export function innerUri(text: string): InnerUri | undefined {
  const question = text.indexOf("?");
  const path = question < 0 ? text : text.slice(0, question);
  if (path === "" || climbs.test(path)) return undefined;
  const uri = decodePath(path);
  if (uri === undefined || climbs.test(uri)) return undefined;
  return { uri, args: question < 0 ? "" : text.slice(question + 1) };
}
