/** `gzip_types`, `ssi_types` and their like: the media types of replies that a filter is for. */
import type { Headers } from "../http/headers.ts";
import { type Directive, everywhere } from "./directive.ts";

/** Media types in lower case, without parameters; "any": all replies, even those without a type. */
export type MimeTypes = ReadonlySet<string> | "any";

const html = "text/html";

/** A row whose value is a list of media types. `initial`: what holds where nothing is said; default: HTML. */
export function mimeTypes({
  summary,
  initial = [html],
  contexts = everywhere,
}: {
  readonly summary: string;
  readonly initial?: readonly string[];
  readonly contexts?: number;
}): Directive<MimeTypes> {
  return {
    summary,
    syntax: "mime-type … | *",
    contexts,
    args: [1, Number.POSITIVE_INFINITY],
    initial: new Set(initial),
    initialText: initial.join(" "),
    parse({ args, at }, before, { setup }) {
      if (before === "any") return before;
      // HTML is among them always.
      const all = new Set(before ?? [html]);
      for (const each of args) {
        if (each === "*") return "any";
        const type = each.toLowerCase();
        if (all.has(type)) setup.warn(`duplicate MIME type "${type}"`, at);
        all.add(type);
      }
      return all;
    },
  };
}

/** Is a reply with these fields one of them? Parameters of its type (`; charset=…`) do not count. */
export function isOfType(types: MimeTypes, headers: Headers): boolean {
  if (types === "any") return true;
  const given = headers.get("content-type");
  return given !== undefined && types.has(mediaType(given));
}

/** A Content-Type without its parameters, in lower case. */
export function mediaType(value: string): string {
  const semicolon = value.indexOf(";");
  return (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase();
}
